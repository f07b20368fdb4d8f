// The HTTP way against a fetch that does what the test says: the parser of event
// streams, resumes, and how often it is tried.
import assert from "node:assert/strict";
import test from "node:test";
import { event, fakeClient, json, settle, stream } from "./fakes.mjs";
import { failure, pieces } from "./support.mjs";

const encoder = new TextEncoder();
const sse = (text) => stream(encoder.encode(text));
const clock = (t) => t.mock.timers.enable({ apis: ["setTimeout", "Date"] });

/** Lets streams and promises of the platform go on, which need turns of the event loop. */
const turns = async (n = 20) => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
};

const frames = [
  { type: "accepted", id: "q", run_id: "r" },
  { type: "status", id: "q", state: "waiting" },
  { type: "chunk", id: "q", seq: 1, content: "Grüße: " },
  { type: "chunk", id: "q", seq: 2, content: "€😀\n" },
  { type: "complete", id: "q", run_id: "r", seq: 3, full_response: "Grüße: €😀\n" },
];

const texts = {
  "as the server writes it": frames.map((f, i) => `event: ${f.type}\nid: r:${i}\ndata: ${JSON.stringify(f)}\n\n`).join(":\n\n"),
  "with CRLF, comments, a byte order mark and unknown fields":
    "\uFEFF: hello\r\n\r\n" + frames.map((f) => `retry: 5\r\ndata:${JSON.stringify(f)}\r\nunknown\r\n\r\n`).join(": still here\r\n\r\n"),
  "with data over several lines": frames.map((f) => JSON.stringify(f, null, 1).split("\n").map((line) => `data: ${line}\n`).join("") + "\n").join(""),
  "with returns alone": frames.map((f) => `data: ${JSON.stringify(f)}\r\r`).join(""),
};

for (const [how, text] of Object.entries(texts)) {
  test(`an event stream ${how} is understood, wherever it is split`, async (t) => {
    const whole = encoder.encode(text);
    for (let at = 0; at <= whole.length; at++) {
      const { troupe } = fakeClient(t, { transport: "http", answers: { "/api/chat": () => stream(whole.slice(0, at), whole.slice(at)) } });
      const answer = troupe.chat("hi", { id: "q" });
      assert.equal((await pieces(answer)).join(""), "Grüße: €😀\n", `split at ${at}`);
      assert.equal(answer.runId, "r");
      troupe.close();
    }
    const { troupe } = fakeClient(t, { transport: "http", answers: { "/api/chat": () => stream(...Array.from(whole, (byte) => Uint8Array.of(byte))) } });
    assert.deepEqual(await pieces(troupe.chat("hi", { id: "q" })), ["Grüße: ", "€😀\n"]);
  });
}

test("what is asked, and how it goes on", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const broken = sse(event(frames[0]) + event(frames[2]));
  const rest = sse(event({ type: "snapshot", id: "q", run_id: "r", seq: 2, content: "€😀\n" }) + event(frames[4]));
  const answers = [broken, rest];
  const { troupe, requests } = fakeClient(t, { transport: "http", product: "11", answers: { "/api/chat": () => answers.shift() } });
  const answer = troupe.chat("hi", { id: "q", apiKeys: { openai: "sk" } });
  assert.equal((await answer.result).text, "Grüße: €😀\n");
  const [ask, resume] = requests;
  const key = ask.body.client_key;
  assert.equal(ask.url, "http://chat.test/api/chat");
  assert.deepEqual(ask.headers, { "Content-Type": "application/json", Accept: "text/event-stream" });
  assert.deepEqual(ask.body, {
    type: "chat", id: "q", content: "hi", messages: [], repeat: false, client_key: key, on_disconnect: "continue",
    api_keys: { openai: "sk" }, session_id: "s", product_id: "11",
  });
  assert.equal(resume.headers["Last-Event-ID"], "r:1");
  assert.deepEqual(resume.body, { id: "q", client_key: key, session_id: "s", product_id: "11" });
});

test("five tries without progress, then the answer fails with what had come", async (t) => {
  t.mock.method(Math, "random", () => 0);
  let calls = 0;
  const begun = () => sse(event(frames[0]) + event(frames[2]));
  const { troupe } = fakeClient(t, { transport: "http", answers: { "/api/chat": () => (calls++ === 0 ? begun() : sse(":\n\n")) } });
  const error = await failure(troupe.chat("hi", { id: "q" }));
  assert.equal(error.code, "CONNECTION_LOST");
  assert.equal(error.partial, "Grüße: ");
  assert.equal(error.advice, "retry");
  assert.equal(calls, 6);
});

test("tries that nobody answers are repeats, after waits with jitter", async (t) => {
  clock(t);
  t.mock.method(Math, "random", () => 1);
  const { troupe, requests } = fakeClient(t, { transport: "http" });
  const answer = troupe.chat("hi", { id: "q" });
  for (const wait of [500, 1_000, 2_000, 4_000, 8_000]) {
    await turns();
    const before = requests.length;
    t.mock.timers.tick(wait - 1);
    await settle();
    assert.equal(requests.length, before);
    t.mock.timers.tick(1);
    await settle();
    assert.equal(requests.length, before + 1);
  }
  assert.equal((await failure(answer)).code, "CONNECTION_LOST");
  assert.deepEqual(requests.map(({ body }) => body.repeat), [false, true, true, true, true, true]);
});

test("a stream without a byte for 20 s is asked again as one object, and so are those that follow", async (t) => {
  clock(t);
  const complete = json(200, { ...frames[4], session_id: "s" });
  const hang = (init) =>
    new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
  const { troupe, requests } = fakeClient(t, {
    transport: "http",
    answers: { "/api/chat": (init) => (init.headers.Accept === "application/json" ? complete() : hang(init)) },
  });
  const answer = troupe.chat("hi", { id: "q" });
  await turns();
  t.mock.timers.tick(19_999);
  await turns();
  assert.equal(requests.length, 1);
  t.mock.timers.tick(1);
  await turns();
  t.mock.timers.tick(1);
  await turns();
  assert.equal((await answer.result).text, "Grüße: €😀\n");
  assert.equal(answer.via, "json");
  assert.deepEqual(requests.map(({ headers, body }) => [headers.Accept, body.id, body.repeat]), [
    ["text/event-stream", "q", false],
    ["application/json", "q", true],
  ]);
  await troupe.chat("next").result;
  assert.equal(requests.at(-1).headers.Accept, "application/json");
});

test("a page where a stream should be is no answer: plain JSON is asked for", async (t) => {
  const page = () => new Response("<html>", { status: 200, headers: { "Content-Type": "text/html" } });
  const answers = [page(), json(200, frames[4])()];
  const { troupe, requests } = fakeClient(t, { transport: "http", answers: { "/api/chat": () => answers.shift() } });
  assert.equal((await troupe.chat("hi", { id: "q" }).result).text, "Grüße: €😀\n");
  assert.equal(requests[1].body.repeat, true);
});

test("a stop before the run is known waits 2 s for its name", async (t) => {
  clock(t);
  let answerStream;
  const slow = () => new Response(new ReadableStream({ start: (controller) => void (answerStream = controller) }), { headers: { "Content-Type": "text/event-stream" } });
  const cancelled = json(200, { type: "cancelled", run_id: "r", seq: 1, full_response: "", usage: { input_tokens: 1, output_tokens: 0, estimated: true } });
  const { troupe, requests } = fakeClient(t, { transport: "http", answers: { "/cancel": cancelled, "/api/chat": slow } });
  const known = troupe.chat("hi", { id: "q" });
  await turns();
  const stopped = known.stop();
  answerStream.enqueue(encoder.encode(event(frames[0])));
  await turns();
  assert.ok((await stopped).usage, "the server's word");
  assert.equal(requests.at(-1).url, "http://chat.test/api/chat/r/cancel");

  const nameless = troupe.chat("hi", { id: "q2" });
  await turns();
  const gone = nameless.stop();
  t.mock.timers.tick(1_999);
  assert.equal(nameless.state, "stopping");
  t.mock.timers.tick(1);
  assert.deepEqual(await gone, { cancelled: true, text: "" });
  await turns();
  assert.equal(requests.at(-1).signal.aborted, true);
});

test("a door that is closed for a while keeps the question, a limit ends it", async (t) => {
  clock(t);
  const answers = [
    json(429, { type: "error", code: "CONNECTION_LIMIT_EXCEEDED", message: "Full.", retryable: true }, { "Retry-After": "5" })(),
    json(429, { type: "error", code: "RATE_LIMIT_EXCEEDED", message: "Slowly.", retryable: true, retry_after: 40 })(),
  ];
  const { troupe, requests } = fakeClient(t, { transport: "http", answers: { "/api/chat": () => answers.shift() } });
  const answer = troupe.chat("hi", { id: "q" });
  await turns();
  assert.equal(troupe.state.is, "waiting");
  assert.equal(troupe.state.why.retryAfter, 5);
  assert.equal(answer.state, "unsent");
  t.mock.timers.tick(4_999);
  await turns();
  assert.equal(requests.length, 1);
  t.mock.timers.tick(1_000);
  await turns();
  assert.equal(requests.length, 2);
  const error = await failure(answer);
  assert.equal(error.code, "RATE_LIMIT_EXCEEDED");
  assert.equal(error.status, 429);
  assert.equal(error.retryAfter, 40);
});
