import assert from "node:assert/strict";
import test from "node:test";
import { Memory, Store, further, newId } from "../../page/store.js";
import { Keys } from "../../page/local.js";

const conversation = id => ({ id, title: id, created: 1, updated: 1, settings: {}, shown: {} });
const turn = (id, more) => ({
  id, conversation: "c", parent: "", created: 2, question: "?", answer: "", reasoning: "", state: "running", runId: "", seq: 0, ...more,
});

/** Stores of two tabs over the same records. */
function tabs() {
  const records = new Memory();
  const ends = [{}, {}];
  for (const [at, end] of ends.entries()) end.postMessage = data => ends[1 - at].onmessage?.({ data: structuredClone(data) });
  return ends.map(end => new Store(records, end));
}

test("a question brings its conversation along, and other tabs hear of it", async () => {
  const [one, two] = tabs();
  const heard = [];
  two.onChange((message, fromElsewhere) => heard.push([message.about, message.id, fromElsewhere]));
  await one.add(conversation("c"), turn("t"));
  assert.deepEqual(heard, [["conversations", undefined, true], ["turn", "t", true]]);
  const [saved] = await two.conversations();
  assert.deepEqual([saved.id, saved.updated, saved.running, saved.shown], ["c", 2, "t", { "": "t" }]);
  assert.equal((await two.turns("c")).length, 1);
});

test("an attempt that brought nothing here is not taken away where another tab brought it to its end", async () => {
  const [one, two] = tabs();
  await one.add(conversation("c"), turn("t"));
  await one.add(await one.conversation("c"), turn("u"));
  const stale = { ...await two.turn("t"), state: "failed" };
  await one.save(turn("t", { state: "complete", answer: "All of it" }));
  await two.forget(stale);
  await two.forget(turn("u", { state: "failed" }));
  assert.deepEqual((await one.turns("c")).map(({ id, answer }) => [id, answer]), [["t", "All of it"]]);
});

test("two tabs that ask in one conversation do not lose each other's choice of versions", async () => {
  const [one, two] = tabs();
  await one.add(conversation("c"), turn("a"));
  const stale = await two.conversation("c");
  await one.add(await one.conversation("c"), turn("b", { parent: "a" }));
  await two.add(stale, turn("x", { parent: "elsewhere" }));
  await two.change("c", { title: "Named", shown: { y: "z" } });
  const saved = await one.conversation("c");
  assert.deepEqual(saved.shown, { "": "a", a: "b", elsewhere: "x", y: "z" });
  assert.equal(saved.title, "Named");
});

test("what is further stays, whichever tab saves last", async () => {
  const [one, two] = tabs();
  await one.add(conversation("c"), turn("t"));
  await one.save(turn("t", { runId: "r", seq: 5, answer: "12345" }));
  await two.save(turn("t", { runId: "r", seq: 3, answer: "123" }));
  assert.equal((await one.turn("t")).answer, "12345");
  await two.save(turn("t", { state: "complete", answer: "123456" }));
  await one.save(turn("t", { state: "failed", answer: "12345" }));
  await one.save(turn("t", { runId: "r", seq: 9, answer: "late" }));
  const saved = await two.turn("t");
  assert.deepEqual([saved.state, saved.answer], ["complete", "123456"]);
  assert.equal((await one.conversation("c")).running, "", "nothing runs any more");
});

test("an end that failed may still become a good one, and text of another run counts as it is", () => {
  assert.equal(further(turn("t", { state: "complete" }), turn("t", { state: "failed" })), true);
  assert.equal(further(turn("t", { state: "failed" }), turn("t", { state: "stopped" })), false);
  assert.equal(further(turn("t", { runId: "new", seq: 0 }), turn("t", { runId: "old", seq: 7 })), true);
  assert.equal(further(turn("t", { runId: "r", seq: 6 }), turn("t", { runId: "r", seq: 7 })), false);
});

test("what is deleted stays deleted when its answer goes on, and comes back whole", async () => {
  const [one, two] = tabs();
  await one.add(conversation("c"), turn("t"));
  await one.add(conversation("other"), { ...turn("u"), conversation: "other" });
  const gone = await one.remove("c");
  await two.save(turn("t", { state: "complete", answer: "late" }));
  assert.equal(await one.turn("t"), undefined);
  assert.equal(await one.conversation("c"), undefined);
  await one.change("c", { title: "late" });
  assert.deepEqual((await one.conversations()).map(c => c.id), ["other"]);
  await one.restore(gone);
  assert.deepEqual(await two.turns("c"), gone.turns);
  assert.equal((await two.conversation("c")).title, "c");
  await two.removeAll();
  assert.deepEqual(await one.conversations(), []);
});

/** Records of a browser that is full: what is there may change and go, nothing may come. */
function full() {
  const records = new Memory();
  records.lasting = true;
  records.full = true;
  const change = records.change.bind(records);
  records.change = async edits => {
    for (const { table, key, with: edit } of records.full ? edits : []) {
      const old = await records.get(table, key);
      if (old === undefined && edit(old) !== undefined) throw Object.assign(new Error("full"), { name: "QuotaExceededError" });
    }
    return change(edits);
  };
  return records;
}

test("a full browser says so for as long as something is not kept, and keeps it when there is room", async () => {
  const records = full();
  const store = new Store(records, null);
  assert.equal(store.trouble, "");
  const told = [];
  store.onChange(({ about }) => about === "trouble" && told.push(store.trouble));
  const asked = turn("t");
  await store.add(conversation("c"), asked);
  assert.match(store.trouble, /did not save .*QuotaExceededError/);
  asked.answer = "the text";
  await store.save(asked, { quiet: true });
  await store.save(turn("deleted elsewhere"));
  await store.change("c", { title: "Named", settings: { model: "m" } });
  assert.equal(await records.get("turns", "t"), undefined, "there is no room yet");
  assert.equal(told.length, 1, "the warning stays");
  assert.deepEqual((await store.conversations()).map(c => c.title), ["Named"], "it is there to be read meanwhile");
  assert.equal((await store.turns("c"))[0].answer, "the text");

  records.full = false;
  Object.assign(asked, { state: "complete", answer: "the whole text" });
  await store.save(asked);
  assert.equal(store.trouble, "");
  assert.equal((await records.get("turns", "t")).answer, "the whole text");
  const kept = await records.get("conversations", "c");
  assert.deepEqual([kept.title, kept.settings, kept.running], ["Named", { model: "m" }, ""]);
});

test("what was not kept comes with the next change of anything, and not after its deletion", async () => {
  const records = full();
  const [mine, others] = [{ postMessage() {} }, []];
  const store = new Store(records, mine);
  store.onChange(({ about, id }) => about === "turn" && others.push(id));
  await store.add(conversation("c"), turn("t"));
  await store.add(conversation("d"), { ...turn("u"), conversation: "d" });
  mine.onmessage({ data: { about: "removed", conversation: "c" } });
  records.full = false;
  await store.change("d", { title: "Room" });
  assert.equal(await records.get("turns", "t"), undefined);
  assert.equal((await records.get("turns", "u")).id, "u");
  assert.equal(store.trouble, "");
  assert.deepEqual(others, ["t", "u", "u"], "other tabs hear of it when they can read it");
});

test("a tab that joined late takes nothing away from what another one heard", async () => {
  const [one, two] = tabs();
  await one.add(conversation("c"), turn("t"));
  const ended = { state: "complete", runId: "r", seq: 9, answer: "yes" };
  await one.save(turn("t", { ...ended, reasoning: "first thought, second thought" }));
  await two.save(turn("t", { ...ended, reasoning: "second thought" }));
  assert.equal((await one.turn("t")).reasoning, "first thought, second thought");
  await one.add(conversation("c"), turn("u"));
  await one.save(turn("u", { runId: "r", seq: 5, answer: "1 2 3 4 5", reasoning: "long" }));
  await two.save(turn("u", { state: "stopped", runId: "r", seq: 5, answer: "", reasoning: "" }));
  const { state, answer, reasoning } = await one.turn("u");
  assert.deepEqual([state, answer, reasoning], ["stopped", "1 2 3 4 5", "long"]);
  await two.save(turn("u", { state: "complete", runId: "r", answer: "1 2 3" }));
  await one.add(conversation("c"), turn("v", { runId: "old", seq: 3, answer: "of the old run" }));
  await one.save(turn("v", { runId: "new", answer: "new" }));
  assert.equal((await one.turn("v")).answer, "new", "another run begins anew");
});

test("damaged records are read as far as they go, and hide no others", async () => {
  const records = new Memory();
  const store = new Store(records, null);
  await store.add(conversation("good"), { ...turn("a"), conversation: "good" });
  const put = (table, record) => records.change([{ table, key: record.id, with: () => record }]);
  await put("conversations", { id: "untitled", updated: "yesterday", shown: "x", settings: { model: 5, provider: "p" } });
  await put("conversations", { id: 7, title: "No name" });
  await put("turns", { id: "b", conversation: "good", parent: 3, state: "odd", answer: { length: 1 }, seq: -1, result: "?", trouble: [] });
  await put("turns", { id: "c", conversation: "good", parent: "lost", created: 9, state: "complete", answer: "Still here", result: { usage: {} } });
  const [first, second] = await store.conversations();
  assert.deepEqual([first.id, second.id, second.title, second.updated, second.shown, second.settings], ["good", "untitled", "Untitled", 0, {}, { provider: "p" }]);
  const turns = Object.fromEntries((await store.turns("good")).map(one => [one.id, one]));
  assert.deepEqual([turns.b.parent, turns.b.state, turns.b.answer, turns.b.seq], ["", "failed", "", 0]);
  assert.match(turns.b.trouble.message, /not kept/);
  assert.deepEqual([turns.c.parent, turns.c.result], ["a", {}], "what came after a lost turn is found after the one before");
  await store.save({ ...turns.b, state: "complete", answer: "mended" });
  assert.equal((await store.turn("b")).answer, "mended");
});

test("without a database the page is told that nothing is kept", () => {
  assert.match(new Store(new Memory(), null).trouble, /keeps nothing/);
});

test("ids are many, and fit addresses and frames", () => {
  const ids = new Set(Array.from({ length: 1000 }, newId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.match(id, /^[a-z0-9]{24}$/);
});

test("keys are in memory, and in the tab's storage only while that is asked for", () => {
  const kept = new Map();
  const storage = { get: key => kept.get(key) ?? "", set: (key, value) => (value ? kept.set(key, value) : kept.delete(key)) };
  const keys = new Keys(storage);
  keys.set("openai", "  sk-1 ");
  assert.equal(kept.size, 0);
  assert.deepEqual(keys.for("openai"), { openai: "sk-1" });
  assert.equal(keys.for("anthropic"), undefined);
  keys.keep(true);
  const later = new Keys(storage);
  assert.deepEqual([later.kept, later.get("openai")], [true, "sk-1"]);
  later.set("openai", " ");
  assert.deepEqual(later.names, []);
  later.set("gemini", "g");
  later.keep(false);
  assert.equal(kept.size, 0);
  assert.equal(new Keys(storage).kept, false);
  assert.equal(later.get("gemini"), "g", "until the page is left");
  later.forget();
  assert.deepEqual(later.names, []);
});
