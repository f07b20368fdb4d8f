// What frames do to an answer: joined, repeated and missing chunks, ends, hostile ones.
import assert from "node:assert/strict";
import test from "node:test";
import { trimMessages, TroupeError } from "../../client/troupe.js";
import { fakeClient, settle } from "./fakes.mjs";
import { failure, pieces } from "./support.mjs";

async function answering(t) {
  const { troupe, last } = fakeClient(t);
  last().admit();
  const answer = troupe.chat("question", { id: "q" });
  const heard = pieces(answer);
  heard.catch(() => {}); // looked at by those tests that expect it
  await settle();
  const say = (...frames) => last().say(...frames.map((frame) => ({ id: "q", ...frame })));
  say({ type: "accepted", run_id: "r" });
  return { troupe, answer, heard, say, socket: last() };
}

const chunk = (seq, content, from) => ({ type: "chunk", seq, content, ...(from && { from }) });

test("joined chunks are taken whole, known ones not again, a gap is filled at the end", async (t) => {
  const { answer, heard, say } = await answering(t);
  say(chunk(1, "a"), chunk(4, "bcd", 2), chunk(4, "bcd", 2), chunk(3, "c"), chunk(5, "cde", 3), chunk(7, "g"));
  assert.equal(answer.text, "abcd");
  assert.equal(answer.seq, 4);
  say({ type: "complete", run_id: "r", seq: 8, full_response: "abcdefg" });
  assert.deepEqual(await heard, ["a", "bcd", "efg"]);
  assert.equal((await answer.result).text, "abcdefg");
});

test("a full response that differs wins, and nothing is yielded twice", async (t) => {
  const { answer, heard, say } = await answering(t);
  say(chunk(1, "abc"), { type: "complete", run_id: "r", seq: 2, full_response: "xyz!" });
  assert.deepEqual(await heard, ["abc"]);
  assert.equal((await answer.result).text, "xyz!");
  assert.equal(answer.text, "xyz!");
});

test("snapshots add only what is new", async (t) => {
  const { answer, heard, say } = await answering(t);
  say(chunk(1, "a"), { type: "snapshot", run_id: "r", seq: 1, content: "" }, { type: "snapshot", run_id: "r", seq: 3, content: "bc" });
  say({ type: "snapshot", run_id: "r", seq: 3, content: "bc" }, chunk(4, "d"));
  say({ type: "complete", run_id: "r", seq: 5, full_response: "abcd" });
  assert.equal((await heard).join(""), "abcd");
  assert.equal(answer.state, "complete");
});

test("states, positions, reasoning, and a turn that moves", async (t) => {
  const { answer, say } = await answering(t);
  const told = [];
  answer.on("state", (state) => told.push([state, answer.position]));
  answer.on("reasoning", (piece) => told.push(piece));
  answer.on("accepted", (run) => told.push(run));
  say({ type: "status", state: "queued", position: 3 }, { type: "status", state: "queued", position: 2 }, { type: "status", state: "nonsense" });
  say({ type: "status", state: "waiting" }, { type: "reasoning", content: "Hm. " }, { type: "reasoning", content: "Ah." });
  say({ type: "accepted", run_id: "r2" }, chunk(1, "a"));
  assert.deepEqual(told, [["queued", 3], ["queued", 2], ["waiting", undefined], "Hm. ", "Ah.", "r2", ["streaming", undefined]]);
  assert.equal(answer.reasoning, "Hm. Ah.");
  assert.equal(answer.runId, "r2");
});

test("an error keeps what had come, its time and its code", async (t) => {
  const { answer, say } = await answering(t);
  const before = Date.now();
  say(chunk(1, "half"), { type: "error", run_id: "r", code: "PROVIDER_RATE_LIMITED", message: "Slowly.", retryable: true, retry_after: 12, partial: "half and" });
  const error = await failure(answer);
  assert.ok(error instanceof TroupeError);
  assert.equal(error.partial, "half and");
  assert.equal(error.retryAfter, 12);
  assert.ok(error.retryAt >= before + 12_000 && error.retryAt <= Date.now() + 12_000);
});

test("nonsense from the other side does no harm", async (t) => {
  const { troupe, answer, say, socket } = await answering(t);
  socket.onmessage({ data: "not json" });
  socket.onmessage({ data: new ArrayBuffer(4) });
  for (const frame of [null, 1, [], "x", {}, { type: "chunk" }, { type: "chunk", id: "q" }, { type: "chunk", id: "__proto__", seq: 1, content: "x" }, { type: "toString", id: "q" }]) {
    socket.say(frame);
  }
  say(chunk(1, { evil: true }), chunk(1, 5), { type: "accepted", run_id: 7 });
  assert.equal(answer.text, "");
  assert.equal(answer.runId, "r");
  say({ type: "complete", run_id: "r", full_response: "fine" });
  assert.equal((await answer.result).text, "fine");
  assert.equal(troupe.state.is, "connected");
});

test("a listener that throws breaks nothing but itself", async (t) => {
  const thrown = [];
  t.mock.method(globalThis, "queueMicrotask", (run) => {
    try {
      run();
    } catch (error) {
      thrown.push(error.message);
    }
  });
  const { answer, say } = await answering(t);
  answer.on("text", () => {
    throw new Error("mine");
  });
  let text = "";
  const off = answer.on("text", (piece) => (text += piece));
  say(chunk(1, "a"));
  off();
  say(chunk(2, "b"));
  assert.equal(text, "a");
  assert.equal(answer.text, "ab");
  assert.deepEqual(thrown, ["mine", "mine"]);
});

test("earlier turns are trimmed oldest first, question and answer together", () => {
  const turns = [];
  for (let i = 0; i < 4; i++) turns.push({ role: "user", content: `q${i}` }, { role: "assistant", content: `ä${i}` });
  const size = (messages) => Buffer.byteLength(JSON.stringify(messages));
  for (let maxMessages = 0; maxMessages <= 9; maxMessages++) {
    const most = Math.min(8, maxMessages - (maxMessages % 2));
    assert.deepEqual(trimMessages(turns, { maxMessages, maxBytes: 10_000 }), turns.slice(8 - most));
  }
  for (let maxBytes = 2; maxBytes <= size(turns) + 5; maxBytes++) {
    const kept = trimMessages(turns, { maxMessages: 256, maxBytes });
    assert.ok(size(kept) <= maxBytes);
    assert.equal(kept.length % 2, 0);
    const longer = turns.slice(turns.length - kept.length - 2);
    if (kept.length < 8) assert.ok(size(longer) > maxBytes, "no more would have fitted");
  }
  const led = [{ role: "system", content: "s" }, ...turns];
  assert.deepEqual(trimMessages(led, { maxMessages: 8, maxBytes: 10_000 }), turns);
  assert.deepEqual(trimMessages(led, { maxMessages: 9, maxBytes: 10_000 }), led);
  assert.deepEqual(trimMessages([], { maxMessages: 8, maxBytes: 2 }), []);
});

test("a whole frame stays within its bytes, as UTF-8, to the last one", async (t) => {
  for (let length = 0; length < 40; length++) {
    const { troupe, last } = fakeClient(t, { maxFrameBytes: 1_500 });
    last().admit();
    const messages = Array.from({ length: 60 }, (_, i) => ({ role: i % 2 ? "assistant" : "user", content: "ü€😀".repeat(i % 5) }));
    troupe.chat("é".repeat(length), { messages, system: "\"quoted\"\n" });
    await settle();
    const [frame] = last().of("chat");
    const size = Buffer.byteLength(JSON.stringify(frame));
    assert.ok(size <= 1_500, `${size}`);
    assert.ok(size > 1_350, "no more is left out than must be");
    assert.deepEqual(frame.messages.at(-1), messages.at(-1));
    troupe.close();
  }
});

test("what a question says is what the protocol calls it", async (t) => {
  const { troupe, last } = fakeClient(t, { provider: "openai", temperature: 0.2, system: "default" });
  last().admit();
  troupe.chat("hello", { id: "q", model: "m", system: "own", maxTokens: 5, reasoning: true, apiKeys: { openai: "sk" }, onDisconnect: "grace" });
  troupe.chat("bare", { id: "b" });
  await settle();
  const [full, bare] = last().of("chat");
  assert.deepEqual({ ...full, client_key: "" }, {
    type: "chat", id: "q", content: "hello", messages: [], repeat: false, client_key: "", on_disconnect: "grace", provider: "openai", model: "m",
    system: "own", temperature: 0.2, max_tokens: 5, reasoning: true, api_keys: { openai: "sk" },
  });
  assert.equal(bare.on_disconnect, "continue");
  assert.equal(bare.api_keys, undefined);
  assert.match(full.client_key, /^[\w-]{32}$/);
});
