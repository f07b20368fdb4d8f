// Questions and answers over a WebSocket to a real server.
import assert from "node:assert/strict";
import test from "node:test";
import { client, count, failure, next, pieces, reaches, running, server, Storage } from "./support.mjs";

const troupe = await server({ faults: true, runs: { per_connection: 4 } });

test("an answer is iterated, also late and twice", async (t) => {
  const chat = client(t, troupe);
  const answer = chat.chat(count(8), { model: "echo-5ms" });
  assert.equal((await pieces(answer)).join(""), count(8));
  const late = await pieces(answer);
  assert.equal(late.length, 8);
  assert.equal(late.join(""), count(8));
  const result = await answer.result;
  assert.deepEqual(
    { ...result, usage: undefined, runId: undefined },
    { cancelled: false, text: count(8), finishReason: "stop", provider: "echo", model: "echo-5ms", attempts: 1, usage: undefined, runId: undefined },
  );
  assert.equal(result.usage.output_tokens, 8);
  assert.equal(result.runId, answer.runId);
  assert.equal(answer.via, "websocket");
  assert.deepEqual(chat.answers, []);
});

test("events tell the same story, and end comes once and last", async (t) => {
  const chat = client(t, troupe);
  const answer = chat.chat(count(5), { model: "echo-5ms" });
  const story = [];
  let text = "";
  answer.on("state", (state) => story.push(state));
  answer.on("accepted", () => story.push("accepted"));
  answer.on("text", (piece) => (text += piece));
  answer.on("end", (end, which) => story.push(end, which));
  await answer.result;
  assert.equal(text, count(5));
  const [end, which] = story.splice(-2);
  assert.equal(end.text, text);
  assert.equal(which, answer);
  assert.deepEqual(story, ["sent", "waiting", "accepted", "streaming", "complete"]);
});

test("several questions at once each get their own answer, and one too many is told", async (t) => {
  const chat = client(t, troupe);
  const answers = [33, 34, 35, 36].map((n) => chat.chat(count(n), { model: "echo-20ms" }));
  const fifth = chat.chat("one more", { model: "echo-20ms" });
  const refused = await failure(fifth);
  assert.equal(refused.code, "RUN_IN_PROGRESS");
  assert.equal(refused.retryable, true);
  assert.equal(refused.advice, "wait");
  assert.deepEqual(await Promise.all(answers.map(async (answer) => (await answer.result).text)), [33, 34, 35, 36].map(count));
});

test("stop waits for the server's word and keeps what had come", async (t) => {
  const chat = client(t, troupe);
  const answer = chat.chat(count(200), { model: "echo-20ms" });
  const states = [];
  answer.on("state", (state) => states.push(state));
  await next(answer, "text");
  const stopped = answer.stop();
  assert.equal(answer.state, "stopping");
  const result = await stopped;
  assert.equal(result.cancelled, true);
  assert.ok(count(200).startsWith(result.text.trimEnd()) && result.text.length > 0);
  assert.equal(result.text, answer.text);
  assert.ok(result.usage, "the server told what it cost: it was the server that ended it");
  assert.deepEqual(states.slice(-2), ["stopping", "cancelled"]);
  assert.equal(await running(troupe), 0);
});

test("stop before the first token, and before it was sent", async (t) => {
  const chat = client(t, troupe);
  const silent = chat.chat("say nothing", { provider: "faulty", model: "silent" });
  await next(silent, "accepted");
  assert.equal((await silent.stop()).cancelled, true);
  const unsent = client(t, troupe, { connect: false }).chat("never");
  const result = await unsent.stop();
  assert.deepEqual(result, { cancelled: true, text: "" });
  assert.equal(unsent.via, undefined);
});

test("a signal stops", async (t) => {
  const chat = client(t, troupe);
  const abort = new AbortController();
  const answer = chat.chat(count(200), { model: "echo-20ms", signal: abort.signal });
  await next(answer, "text");
  abort.abort();
  assert.equal((await answer.result).cancelled, true);
  assert.equal((await chat.chat("x", { signal: abort.signal }).result).cancelled, true);
});

test("an answer that breaks off fails with what had come", async (t) => {
  const chat = client(t, troupe);
  const answer = chat.chat(count(40), { provider: "faulty", model: "cut-50" });
  const heard = [];
  await assert.rejects(async () => {
    for await (const piece of answer) heard.push(piece);
  }, { name: "TroupeError", code: "PROVIDER_INTERRUPTED", advice: "retry" });
  const error = await failure(answer);
  assert.equal(error.partial, heard.join(""));
  assert.ok(error.partial.length > 0);
  assert.equal(answer.state, "failed");
});

test("earlier turns go along, the system prompt too", async (t) => {
  const chat = client(t, troupe);
  const alone = await chat.chat("two words").result;
  const messages = [{ role: "user", content: "one" }, { role: "assistant", content: "two three", id: "ignored" }];
  const led = await chat.chat("two words", { messages, system: "four more words here" }).result;
  assert.equal(led.usage.input_tokens - alone.usage.input_tokens, 7);
});

test("a question is found again without its run, by id and client key, and without either asked once", async (t) => {
  const storage = new Storage();
  const before = client(t, troupe, { storage });
  const asked = before.chat(count(60), { model: "echo-20ms" });
  await next(asked, "accepted");
  const saved = { ...asked.saved(), runId: "", seq: 0, text: "" };
  before.close();
  assert.equal((await failure(asked)).code, "CLOSED");

  const after = client(t, troupe, { storage });
  assert.equal(after.session, before.session);
  const found = after.follow(saved, { model: "echo-20ms" });
  assert.equal((await found.result).text, count(60));
  assert.equal(found.runId, asked.runId);

  const stranger = client(t, troupe, { session: after.session }); // another client key
  const own = stranger.follow({ ...saved, id: "new" }, { model: "echo-1ms" });
  await own.result;
  assert.notEqual(own.runId, asked.runId);
});

test("after a reload an answer goes on where it was saved", async (t) => {
  const storage = new Storage();
  const before = client(t, troupe, { storage });
  const asked = before.chat(count(60), { model: "echo-20ms" });
  await next(asked, "text", () => asked.seq === 10);
  const saved = JSON.parse(JSON.stringify(asked.saved()));
  before.close();

  const after = client(t, troupe, { storage });
  const followed = after.follow(saved);
  let more = "";
  followed.on("text", (piece) => (more += piece));
  assert.equal((await pieces(followed)).join(""), count(60));
  assert.equal(saved.text + more, count(60));
  assert.equal(followed.runId, asked.runId);
});

test("the same id with the same content is the same answer", async (t) => {
  const chat = client(t, troupe);
  const one = chat.chat(count(10), { id: "mine", model: "echo-20ms" });
  assert.equal(chat.chat(count(10), { id: "mine" }), one);
  const other = await failure(chat.chat("something else", { id: "mine" }));
  assert.equal(other.code, "INVALID_OPTION");
  assert.equal((await one.result).text, count(10));
  const again = chat.chat(count(10), { id: "mine" });
  assert.equal((await again.result).text, count(10));
  assert.equal(again.runId, one.runId);
});

test("providers and health", async (t) => {
  const chat = client(t, troupe);
  const echo = (await chat.providers()).find((offer) => offer.name === "echo");
  assert.equal(echo.state, "ready");
  assert.equal((await chat.health()).status, "ok");
  await reaches(chat, "connected");
});
