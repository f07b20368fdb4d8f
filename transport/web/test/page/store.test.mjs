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

test("a browser that does not save says so, until it saves again", async () => {
  const records = new Memory();
  records.lasting = true;
  const store = new Store(records, null);
  assert.equal(store.trouble, "");
  const { change } = records;
  records.change = async () => { throw Object.assign(new Error("full"), { name: "QuotaExceededError" }); };
  const told = [];
  store.onChange(message => message.about === "trouble" && told.push(store.trouble));
  await store.change("c", { title: "x" });
  await store.change("c", { title: "y" });
  records.change = change;
  await store.change("c", { title: "z" });
  assert.equal(told.length, 2);
  assert.match(told[0], /did not save .*QuotaExceededError/);
  assert.equal(told[1], "");
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
