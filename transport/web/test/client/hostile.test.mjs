// A server that is broken or means harm: nothing is thrown out of the client, nothing
// goes round without a pause, and every answer has exactly one end.
import assert from "node:assert/strict";
import test from "node:test";
import { TroupeError } from "../../client/troupe.js";
import { event, fakeClient, json, settle, stream } from "./fakes.mjs";
import { failure, next } from "./support.mjs";

const clock = (t) => t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
const encoder = new TextEncoder();
const sse = (...texts) => stream(...texts.map((text) => encoder.encode(text)));

/** Lets streams of the platform go on, which need turns of the event loop. */
const turns = async (n = 20) => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Fails the test where a promise or a microtask throws. */
function watch(t) {
  const thrown = [];
  const note = (error) => thrown.push(error);
  process.on("unhandledRejection", note);
  process.on("uncaughtException", note);
  t.after(() => {
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
  });
  return thrown;
}

const values = ["null", "true", "-1", "1e300", "1e999", '"7"', '"\\ud800\\n"', "[]"]
  .concat(['{"toString":1,"valueOf":1}', '{"input_tokens":{"toString":1},"output_tokens":"2"}', '{"__proto__":{"seq":1}}']);
const error = { type: "error", code: "INTERNAL", message: "No.", retryable: true, retry_after: 3, config: "c", env: "e", origin: "o" };
const kinds = [
  { type: "accepted", id: "q", run_id: "r" },
  { type: "status", id: "q", state: "queued", position: 1 },
  { type: "reasoning", id: "q", content: "Hm." },
  { type: "chunk", id: "q", seq: 2, from: 2, content: "b" },
  { type: "snapshot", id: "q", run_id: "r", seq: 2, content: "b" },
  { ...error, id: "nobody" },
  { ...error, for: "resume", run_id: "r" },
  { ...error, for: "cancel" },
  { type: "pong" },
];
const ends = [
  { type: "complete", id: "q", run_id: "r", seq: 9, full_response: "abc", finish_reason: "stop", provider: "p", model: "m", attempts: 1, usage: { input_tokens: 1, output_tokens: 1 } },
  { type: "cancelled", id: "q", run_id: "r", seq: 9, full_response: "abc" },
  { ...error, id: "q", run_id: "r", partial: "abc" },
  { ...error, code: "CONNECTION_LIMIT_EXCEEDED" },
  { ...error, id: "q", code: "SHUTTING_DOWN" },
  { type: "reconnect", after_ms: 5 },
];

/** Every frame with every field made wrong in every way; of two equal names the last counts. */
function* broken(frames) {
  for (const frame of frames) {
    const most = JSON.stringify(frame).slice(0, -1);
    for (const field of [...Object.keys(frame), "__proto__"]) for (const value of values) yield `${most},"${field}":${value}}`;
  }
}

/** What the declarations promise of an answer and its end. */
function checkAnswer(answer, text) {
  assert.equal(typeof answer.text, "string", text);
  assert.equal(typeof answer.reasoning, "string", text);
  assert.match(answer.runId, /^[!-~]{0,256}$/, text);
  assert.ok(Number.isSafeInteger(answer.seq), text);
  assert.ok(answer.position === undefined || Number.isSafeInteger(answer.position), text);
}

function checkEnd(end, text) {
  if (end instanceof TroupeError) {
    for (const name of ["code", "message", "partial", "config", "env", "origin"]) assert.equal(typeof end[name], "string", text);
    assert.ok(end.retryAfter >= 0 && end.retryAfter <= 1e9, text);
    if (end.retryAt) new Date(end.retryAt).toISOString();
  } else {
    for (const name of ["text", "provider", "model", "finishReason", "runId"]) assert.ok(["string", "undefined"].includes(typeof end[name]), text);
    if (end.usage) assert.ok(Number.isSafeInteger(end.usage.input_tokens + end.usage.output_tokens), text);
  }
}

test("frames that are wrong in any field, on a socket", async (t) => {
  clock(t);
  const thrown = watch(t);
  for (const text of broken([...kinds, ...ends])) {
    const { troupe, made } = fakeClient(t);
    made[0].admit();
    const answer = troupe.chat("question", { id: "q" });
    const heard = [];
    answer.on("end", (end) => heard.push(end));
    await settle();
    made[0].say({ type: "accepted", id: "q", run_id: "r" }, { type: "chunk", id: "q", seq: 1, content: "a" });
    for (let twice = 0; twice < 2; twice++) made[0].onmessage?.({ data: text });
    checkAnswer(answer, text);
    if (troupe.state.until) new Date(troupe.state.until).toISOString();
    made[0].say({ type: "complete", id: "q", run_id: "r", seq: 99, full_response: "the end" });
    troupe.close();
    assert.equal(heard.length, 1, text);
    checkEnd(heard[0], text);
  }
  assert.deepEqual(thrown, []);
});

test("frames that are wrong in any field, as events and as one object", async (t) => {
  const thrown = watch(t);
  const last = event({ type: "complete", id: "q", run_id: "r", seq: 99, full_response: "the end" });
  for (const text of broken(ends)) {
    for (const status of [200, 500]) {
      const replies = [sse(`data: ${text}\n\n`, `data: ${text}\n\n`, last), new Response(text, { status })];
      for (const reply of replies) {
        const { troupe } = fakeClient(t, { transport: "http", answers: { "/api/chat": () => reply } });
        const answer = troupe.chat("question", { id: "q" });
        const heard = [];
        answer.on("end", (end) => heard.push(end));
        await turns(3);
        checkAnswer(answer, text);
        troupe.close();
        assert.equal(heard.length, 1, text);
        checkEnd(heard[0], text);
      }
    }
  }
  assert.deepEqual(thrown, []);
});

test("an error without a code is a fault of the server", async (t) => {
  const { troupe, last } = fakeClient(t);
  last().admit();
  const answer = troupe.chat("question", { id: "q" });
  await settle();
  last().say({ type: "error", id: "q", message: { toString: 1 }, retry_after: 1e300 });
  const error = await failure(answer);
  assert.equal(error.code, "INTERNAL");
  assert.equal(error.message, "INTERNAL");
  assert.equal(error.advice, "retry");
  assert.equal(error.retryAt, 0);
});

test("a run that no address can name is none: its stop makes no rejection", async (t) => {
  const thrown = watch(t);
  const slow = () => new Response(new ReadableStream({ start: (c) => c.enqueue(encoder.encode('data: {"type":"accepted","id":"q","run_id":"\\ud800"}\n\n')) }), {
    headers: { "Content-Type": "text/event-stream" },
  });
  clock(t);
  const { troupe, requests } = fakeClient(t, { transport: "http", answers: { "/api/chat": slow } });
  const answer = troupe.chat("question", { id: "q" });
  await turns();
  assert.equal(answer.runId, "");
  const stopped = answer.stop();
  t.mock.timers.tick(2_000);
  assert.equal((await stopped).cancelled, true);
  await turns();
  assert.equal(requests.length, 1);
  assert.deepEqual(thrown, []);
});

test("everything said twice is heard once, and nothing after the end", async (t) => {
  const { troupe, last } = fakeClient(t);
  last().admit();
  const answer = troupe.chat("question", { id: "q" });
  const story = [];
  for (const name of ["accepted", "text", "reasoning", "state", "end"]) answer.on(name, (what) => story.push(name === "end" ? name : what));
  await settle();
  const twice = (frame) => last().say({ id: "q", ...frame }, { id: "q", ...frame });
  twice({ type: "accepted", run_id: "r" });
  twice({ type: "chunk", seq: 1, content: "a" });
  twice({ type: "snapshot", run_id: "r", seq: 3, content: "bc" });
  last().say({ type: "snapshot", id: "q", run_id: "r", seq: 2, content: "older" });
  twice({ type: "complete", run_id: "r", seq: 4, full_response: "abc" });
  twice({ type: "error", run_id: "r", code: "INTERNAL", message: "No." });
  twice({ type: "chunk", seq: 4, content: "d" });
  twice({ type: "accepted", run_id: "r2" });
  assert.deepEqual(story, ["sent", "waiting", "r", "streaming", "a", "bc", "complete", "end"]);
  assert.equal((await answer.result).text, "abc");
  assert.equal(answer.runId, "r");
});

test("a listener that closes the client: the end is still the last thing that anybody hears", async (t) => {
  for (const trigger of ["accepted", "text", "state", "reasoning"]) {
    const { troupe, last } = fakeClient(t);
    last().admit();
    const answer = troupe.chat("question", { id: "q" });
    await settle();
    answer.on(trigger, () => troupe.close());
    const story = [];
    for (const name of ["accepted", "text", "state", "reasoning", "end"]) answer.on(name, () => story.push(name));
    const socket = last();
    socket.say({ type: "reasoning", id: "q", content: "Hm." });
    socket.say({ type: "snapshot", id: "q", run_id: "r", seq: 1, content: "a" }, { type: "chunk", id: "q", seq: 2, content: "b" });
    assert.equal(story.at(-1), "end", trigger);
    assert.deepEqual(story.filter((name) => name === "end"), ["end"], trigger);
    assert.equal((await failure(answer)).code, "CLOSED");
    assert.equal(answer.state, "failed");
  }
});

test("a listener that closes the client when a question is sent stops it from being sent", async (t) => {
  const { troupe, last } = fakeClient(t);
  const answer = troupe.chat("question", { messages: [{ role: "user", content: "earlier" }] });
  answer.on("state", (state) => state === "sent" && troupe.close());
  last().admit();
  assert.equal((await failure(answer)).code, "CLOSED");
  assert.equal(last().of("chat").length, 0);
});

test("listeners hear states in the order in which they came to be", async (t) => {
  clock(t);
  const { troupe, last } = fakeClient(t);
  const story = [];
  troupe.on("state", (state) => state.is === "waiting" && troupe.connect());
  troupe.on("state", (state) => story.push(state.is));
  last().admit();
  last().end();
  assert.deepEqual(story, ["connected", "waiting", "connecting"]);
});

/** How many sockets, and the question how often, a server gets in 10 minutes that does this to each. */
async function sockets(t, meet) {
  clock(t);
  t.mock.method(Math, "random", () => 0.5);
  const { troupe, made } = fakeClient(t);
  const answer = troupe.chat("question", { id: "q" });
  for (let met = 0, passed = 0; passed < 600_000; passed += 50) {
    for (; met < made.length; met++) {
      made[met].admit();
      await settle();
      meet(made[met], met);
    }
    t.mock.timers.tick(50);
    await settle();
  }
  return { made: made.length, asked: made.flatMap((socket) => socket.of("chat")).length, state: answer.state };
}

const accept = (socket, n) => socket.say({ type: "accepted", id: "q", run_id: `r${n}` });
const habits = {
  "closes after the first frame": (socket) => socket.end(1000),
  "closes after an accept, of another run each time": (socket, n) => (accept(socket, n), socket.end(1000)),
  "asks to come again at once": (socket) => socket.say({ type: "reconnect", after_ms: 0 }),
  "asks to come again, and names another run": (socket, n) => (accept(socket, n), socket.say({ type: "reconnect", after_ms: -1 }), socket.end(1000)),
  "takes no question": (socket) => socket.say({ type: "error", id: "q", code: "SHUTTING_DOWN", message: "Bye.", retry_after: 0 }),
};

for (const [habit, meet] of Object.entries(habits)) {
  test(`a server that ${habit} is met more and more rarely`, async (t) => {
    const { made, asked, state } = await sockets(t, meet);
    assert.ok(made > 20 && made < 60, `${made} sockets`); // a mean of 15 s in the end
    const unheard = state === "failed"; // what was sent six times and never heard of is given up
    assert.equal(unheard, /first frame|come again at once/.test(habit), state);
    if (unheard) assert.equal(asked, 6);
  });
}

test("accepts of ever new runs over HTTP come to an end", async (t) => {
  t.mock.method(Math, "random", () => 0);
  let calls = 0;
  const { troupe } = fakeClient(t, { transport: "http", answers: { "/api/chat": () => sse(event({ type: "accepted", id: "q", run_id: `r${calls++}` })) } });
  assert.equal((await failure(troupe.chat("question", { id: "q" }))).code, "CONNECTION_LOST");
  assert.ok(calls < 20, `${calls}`);
});

test("accepts of ever new runs make no flood of stops", async (t) => {
  clock(t);
  let enqueue;
  const slow = () => new Response(new ReadableStream({ start: (c) => void (enqueue = (frame) => c.enqueue(encoder.encode(event(frame)))) }), {
    headers: { "Content-Type": "text/event-stream" },
  });
  const { troupe, requests } = fakeClient(t, { transport: "http", answers: { "/cancel": json(500, {}), "/api/chat": slow } });
  const answer = troupe.chat("question", { id: "q" });
  await turns();
  void answer.stop();
  for (let i = 0; i < 200; i++) enqueue({ type: "accepted", id: "q", run_id: `r${i}` });
  await turns();
  assert.ok(requests.length > 1 && requests.length < 12, `${requests.length}`);
  assert.equal(answer.state, "stopping");
});

test("a stream that is always too slow is given up", async (t) => {
  t.mock.method(Math, "random", () => 0);
  let calls = 0;
  const slow = () => (calls++, sse(event({ type: "error", id: "q", code: "SLOW_CONSUMER", message: "Too slow.", retryable: true })));
  const { troupe } = fakeClient(t, { transport: "http", answers: { "/api/chat": slow } });
  const answer = troupe.chat("question", { id: "q" });
  const [end] = await next(answer, "end");
  assert.equal(end.code, "CONNECTION_LOST");
  assert.equal(calls, 6);
});

test("a saved answer that was damaged does no harm", async (t) => {
  const { troupe, last } = fakeClient(t);
  last().admit();
  for (const [i, saved] of [{ runId: { toString: 1 }, seq: "x", text: 5 }, { runId: "r\n", seq: -1 }, { runId: "r", seq: "7", text: null }].entries()) {
    const answer = troupe.follow({ id: `q${i}`, content: "question", ...saved });
    await settle();
    checkAnswer(answer, JSON.stringify(saved));
    assert.equal(answer.text + answer.seq, "0");
  }
  assert.deepEqual(last().sent.map(({ type, after }) => [type, after]).slice(1), [["chat", undefined], ["chat", undefined], ["resume", 0]]);
});
