// Two tabs over the same records, each with a client that does what the test says.
import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { TroupeError } from "../../client/troupe.js";
import { Chat } from "../../page/chat.js";
import { Keys } from "../../page/local.js";
import { Memory, Store } from "../../page/store.js";

const leaving = [];
globalThis.addEventListener = (name, listener) => { if (name === "pagehide") leaving.push(listener); };
mock.timers.enable({ apis: ["setTimeout", "setInterval"] });

class FakeAnswer {
  #listeners = new Map();
  runId = ""; seq = 0; text = ""; reasoning = ""; position = undefined;
  state = "unsent";
  stops = 0;

  constructor(id, options, saved) {
    Object.assign(this, { id, options, saved0: saved });
    if (saved) Object.assign(this, { runId: saved.runId, seq: saved.seq, text: saved.text });
  }

  on(event, listener) {
    const all = this.#listeners.get(event) ?? this.#listeners.set(event, new Set()).get(event);
    all.add(listener);
    return () => all.delete(listener);
  }

  saved() { return { id: this.id, runId: this.runId, seq: this.seq, text: this.text }; }

  async stop() {
    this.stops++;
    this.#emit("state", this.state = "stopping");
  }

  is(state) { this.#emit("state", this.state = state); }

  accepted(runId) {
    this.runId = runId;
    this.#emit("accepted", runId);
    this.is("streaming");
  }

  end(more) {
    this.is(more?.cancelled ? "cancelled" : "complete");
    this.#emit("end", { cancelled: false, text: this.text, ...more });
  }

  fails(code) {
    this.is("failed");
    this.#emit("end", new TroupeError({ code, message: code }));
  }

  #emit(event, what) { for (const listener of [...this.#listeners.get(event) ?? []]) listener(what); }
}

class FakeClient {
  state = { is: "connected" };
  answers = [];
  on() {}
  chat(content, options) { return this.#made(options.id, options); }
  follow(saved, options) { return this.#made(saved.id, options, saved); }
  #made(...about) { return this.answers[this.answers.push(new FakeAnswer(...about)) - 1]; }
}

const first = async () => {};
const offers = { list: [], default: undefined, first: first() };

/** Tabs of one browser; what one says the others hear a moment later. */
function tabs(count = 2, records = new Memory()) {
  const ends = Array.from({ length: count }, () => ({}));
  for (const end of ends) {
    end.postMessage = data => queueMicrotask(() => { for (const other of ends) if (other !== end) other.onmessage(structuredClone({ data })); });
  }
  return ends.map((end, at) => {
    const client = new FakeClient(), store = new Store(records, end), told = [];
    const keys = new Keys({ get: () => "", set() {} });
    const chat = new Chat(client, store, keys, offers, {
      onChange() {},
      onEnd: turn => told.push([turn.question, turn.state, chat.shows(turn)]),
      onDoing: (turn, state) => told.push([turn.question, state]),
    }, `tab ${at}`);
    store.onChange(({ about, conversation, id }, fromElsewhere) => {
      if (fromElsewhere && about === "turn") chat.heard(conversation, id);
      if (fromElsewhere && about === "conversations") chat.reread();
    });
    return { client, store, chat, told, keys, get shown() { return chat.path.map(turn => turn.question); } };
  });
}

async function quiet() { for (let i = 0; i < 200; i++) await null; }
async function after(ms) {
  mock.timers.tick(ms);
  await quiet();
}

/** Both tabs with one conversation of one answered question. */
async function both(...more) {
  const [one, two] = tabs(...more);
  await one.chat.open("");
  one.chat.ask("First");
  await quiet();
  one.client.answers[0].accepted("r1");
  one.client.answers[0].end();
  await quiet();
  await two.chat.open(one.chat.id);
  assert.deepEqual(two.shown, ["First"]);
  return [one, two];
}

test("together: two tabs that ask at the same moment each look at their own question", async () => {
  const [one, two] = await both();
  one.chat.ask("From one");
  two.chat.ask("From two");
  await quiet();
  assert.deepEqual([one.shown, two.shown], [["First", "From one"], ["First", "From two"]]);
  assert.equal(one.chat.turns.length, 3, "the other one is a version");
});

test("together: what another tab asks next is shown, and what it asks again is not", async () => {
  const [one, two] = await both();
  one.chat.ask("Second");
  await quiet();
  assert.deepEqual(two.shown, ["First", "Second"]);
  one.client.answers[1].accepted("r2");
  await quiet();
  one.chat.again(one.chat.turns[0]);
  await quiet();
  assert.deepEqual(one.shown, ["First"]);
  assert.deepEqual(two.shown, ["First", "Second"]);
});

test("together: what follows an answer that runs here is shown when that has ended", async () => {
  const [one, two] = await both();
  one.chat.ask("Second");
  await quiet();
  one.client.answers[1].accepted("r2");
  await quiet();
  two.client.answers[0].accepted("r2");
  one.client.answers[1].end();
  one.chat.ask("Third");
  await quiet();
  assert.deepEqual(two.shown, ["First", "Second"]);
  two.client.answers[0].end();
  await quiet();
  assert.deepEqual(two.shown, ["First", "Second", "Third"]);
});

test("together: to ask again stops what this tab asked below, and not what another one did", async () => {
  const [one, two] = await both();
  one.chat.ask("Mine");
  await quiet();
  const [, mine] = one.client.answers;
  mine.accepted("r2");
  await quiet();
  two.chat.again(two.chat.turns[0]);
  assert.equal(mine.stops + two.client.answers[0].stops, 0);
  one.chat.again(one.chat.turns[0]);
  assert.equal(mine.stops, 1);
  mine.end({ cancelled: true });
  assert.deepEqual(one.told.at(-1), ["Mine", "stopped", false], "it is not what is looked at");
});

test("together: a stop reaches the tab that holds the question", async () => {
  const [one, two] = await both();
  one.chat.ask("Waits for room");
  await quiet();
  await after(400);
  assert.equal(two.client.answers.length, 0, "it is left to the tab that asked");
  two.chat.stop();
  await quiet();
  assert.equal(two.chat.busy, "stopping");
  assert.equal(one.client.answers[1].stops, 1);
  one.client.answers[1].end({ cancelled: true });
  await quiet();
  assert.deepEqual([one.chat.busy, two.chat.busy], ["idle", "idle"]);
  assert.equal(two.chat.turns.at(-1).state, "stopped");
});

test("together: where no tab answers, a stop goes to the server from here, and nothing is asked", async () => {
  const [one, two] = await both();
  one.chat.ask("Waits for room");
  await quiet();
  one.store.whisper = () => {}; // frozen
  two.chat.stop();
  await after(500);
  const [sought] = two.client.answers;
  assert.deepEqual([sought.saved0.runId, sought.stops, sought.state], ["", 1, "stopping"]);
});

test("together: what a tab held that was closed is taken over", async () => {
  const before = leaving.length;
  const [one, two] = await both();
  one.chat.ask("Waits for room");
  await quiet();
  await after(400);
  leaving[before]();
  await quiet();
  one.store.whisper = () => {}; // it is gone
  assert.equal(two.client.answers.length, 0, "the one that left may be a reload");
  await after(3000);
  await after(400);
  assert.deepEqual(two.client.answers.map(({ saved0 }) => saved0.content), ["Waits for room"]);
});

test("together: a tab that wakes too late for the end takes it from the one that heard it", async () => {
  const before = leaving.length;
  const [one, two] = await both();
  one.chat.ask("Second");
  await quiet();
  const heard = one.client.answers[1];
  heard.accepted("r2");
  await after(400);
  leaving[before](); // for the other tab it has gone
  await quiet();
  const { whisper } = one.store;
  one.store.whisper = () => {};
  await after(3000);
  await after(400);
  one.store.whisper = whisper;
  assert.equal(two.client.answers.length, 1);
  heard.text = "The whole answer";
  heard.end();
  await quiet();
  two.client.answers[0].fails("RUN_NOT_FOUND");
  await quiet();
  const late = two.chat.turns.find(turn => turn.question === "Second");
  assert.deepEqual([late.state, late.answer, late.trouble], ["complete", "The whole answer", undefined]);
});

test("together: a conversation that is deleted in one tab is stopped in the other, and only a deletion takes it away", async () => {
  const [one, two] = await both();
  one.chat.ask("On and on");
  await quiet();
  assert.equal(await two.chat.reread(), undefined);
  await two.store.remove("another");
  await quiet();
  assert.equal(one.client.answers[1].stops, 0);
  assert.equal(one.chat.removed("another"), false);
  await two.store.remove(one.chat.id);
  await quiet();
  assert.equal(one.client.answers[1].stops, 1);
  assert.equal(one.chat.removed(one.chat.id), true);
});

test("together: a conversation that was never stored outlives the changes of other tabs", async () => {
  const records = new Memory();
  const [one, two] = tabs(2, records);
  await one.chat.open("");
  const { change } = records;
  records.change = async () => { throw new Error("full"); };
  one.chat.ask("Is it kept?");
  await quiet();
  records.change = change;
  await two.chat.open("");
  two.chat.ask("Something else");
  await quiet();
  assert.deepEqual([one.shown, one.chat.opened], [["Is it kept?"], true]);
});

test("together: a stop that nobody confirms lets the user go on, with what was heard", async () => {
  const [{ chat, client, told }] = await both();
  chat.ask("Tell me");
  await quiet();
  const [, answer] = client.answers;
  answer.accepted("r2");
  answer.text = "Half";
  client.state = { is: "waiting" };
  chat.stop();
  assert.equal(chat.busy, "stopping");
  await after(4000);
  assert.equal(chat.busy, "idle");
  const last = chat.path.at(-1);
  assert.equal(chat.runs.state(last), "unstopped");
  assert.deepEqual(told.at(-1), ["Tell me", "unstopped"]);
  client.state = { is: "connected" };
  assert.equal(chat.runs.state(last), "unconfirmed");
  chat.ask("Go on");
  await quiet();
  assert.deepEqual(client.answers[2].options.messages.slice(-2).map(one => one.content), ["Tell me", "Half"]);
  answer.end({ cancelled: true });
  assert.equal(chat.path[1].state, "stopped");
});

test("together: \"sent\" is told when it is, and of what is looked at", async () => {
  const [{ chat, client, told }] = await both();
  const before = told.length;
  chat.ask("Second");
  await quiet();
  assert.deepEqual(told.slice(before), [["Second", "unsent"]]);
  client.answers[1].is("sent");
  client.answers[1].is("waiting");
  assert.deepEqual(told.slice(before + 1), [["Second", "sent"]], "once");
});

test("together: a question waits until it is known whose key goes along, and can be stopped before", async () => {
  const [{ chat, client, keys }] = await both();
  keys.set("vendor", "sk-1");
  let known;
  offers.first = new Promise(resolve => { known = resolve; });
  chat.ask("With my key");
  await quiet();
  assert.deepEqual([client.answers.length, chat.busy, chat.runs.state(chat.path.at(-1))], [1, "busy", "sent"]);
  offers.default = { name: "vendor" };
  known();
  await quiet();
  assert.deepEqual(client.answers[1].options.apiKeys, { vendor: "sk-1" });
  client.answers[1].end();

  offers.first = new Promise(() => {});
  chat.ask("Never mind");
  await quiet();
  chat.stop();
  assert.deepEqual([client.answers.length, chat.busy, chat.path.at(-1).state], [2, "idle", "stopped"]);
});
