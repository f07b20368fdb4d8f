// Doors that are closed: for good, for a while, and for one question.
import assert from "node:assert/strict";
import test from "node:test";
import { client, failure, fetchFrom, next, reaches, server, socketFrom } from "./support.mjs";

const troupe = await server({ http: { allowed_origins: ["https://allowed.example"] }, products: { 11: { name: "Espresso" } } });
const narrow = await server({
  limits: { messages: { max: 2, window: "1m" } },
  pool: { max_per_ip: 1, idle_timeout: "1s" },
  websocket: { max_message_bytes: 4096 },
});
const single = await server({ pool: { max_per_ip: 1 } });

test("a refused origin is explained with the line to add, and nothing else is tried", async (t) => {
  const origin = "https://shop.example";
  const asked = [];
  const fetch = (url, init) => {
    asked.push(`${init.method ?? "GET"} ${new URL(url).pathname} ${init.credentials}`);
    return fetchFrom(origin)(url, init);
  };
  const chat = client(t, troupe, { WebSocket: socketFrom(origin), fetch, session: "s" });
  const answer = chat.chat("may I?");
  const error = await failure(answer);
  assert.equal(error.code, "ORIGIN_NOT_ALLOWED");
  assert.equal(error.config, 'http: {extra_origins: ["https://shop.example"]}');
  assert.equal(error.env, "TROUPE_HTTP_EXTRA_ORIGINS=https://shop.example");
  assert.equal(error.origin, origin);
  assert.equal(error.status, 403);
  assert.equal(error.advice, "fix");
  assert.equal(chat.state.is, "refused");
  assert.equal(chat.state.why.config, error.config);
  assert.equal((await failure(chat.chat("again"))).code, "ORIGIN_NOT_ALLOWED");
  assert.deepEqual(asked, ["GET /ws/chat/s omit", "GET /api/health omit"]);
});

test("over HTTP a refused origin is refused as well", async (t) => {
  const chat = client(t, troupe, { transport: "http", fetch: fetchFrom("https://shop.example") });
  const error = await failure(chat.chat("may I?"));
  assert.equal(error.code, "ORIGIN_NOT_ALLOWED");
  assert.ok(error.config);
  assert.equal(chat.state.is, "refused");
});

test("an allowed origin is let in", async (t) => {
  const chat = client(t, troupe, { WebSocket: socketFrom("https://allowed.example"), fetch: fetchFrom("https://allowed.example") });
  assert.equal((await chat.chat("may I?").result).text, "may I?");
});

for (const [what, options, code] of [
  ["a session that is no label", { session: "not a label" }, "INVALID_SESSION"],
  ["a product that is no label", { product: "a b" }, "INVALID_PRODUCT"],
  ["a product that does not exist", { product: "12" }, "PRODUCT_NOT_FOUND"],
]) {
  for (const transport of ["auto", "http"]) {
    test(`${what} is refused (${transport})`, async (t) => {
      const chat = client(t, troupe, { ...options, transport });
      assert.equal((await failure(chat.chat("x"))).code, code);
      assert.equal(chat.state.is, "refused");
      assert.equal(chat.state.why.advice, "fix");
    });
  }
}

test("a product is asked on the customer address", async (t) => {
  const chat = client(t, troupe, { product: "11" });
  assert.equal((await chat.chat("hello").result).text, "hello");
  const plain = client(t, troupe, { product: "11", transport: "http" });
  assert.equal((await plain.chat("hello").result).text, "hello");
});

test("a limit of questions tells when the next one is welcome", async (t) => {
  const chat = client(t, narrow);
  await chat.chat("one").result;
  await chat.chat("two").result;
  const error = await failure(chat.chat("three"));
  assert.equal(error.code, "RATE_LIMIT_EXCEEDED");
  assert.equal(error.retryable, true);
  assert.equal(error.advice, "retry");
  assert.ok(error.retryAfter > 50 && error.retryAfter <= 60, `${error.retryAfter}`);
  assert.ok(Math.abs(error.retryAt - Date.now() - error.retryAfter * 1000) < 1_000);
  assert.equal(chat.state.is, "connected");
});

test("a full server makes the connection wait as long as it says, and the question with it", async (t) => {
  const first = client(t, single);
  await reaches(first, "connected");
  const second = client(t, single, { session: "second" });
  const answer = second.chat("room for me?");
  const [error] = await next(second, "error");
  assert.equal(error.code, "CONNECTION_LIMIT_EXCEEDED");
  const waiting = await reaches(second, "waiting");
  assert.equal(waiting.why.code, "CONNECTION_LIMIT_EXCEEDED");
  assert.equal(waiting.why.retryAfter, 5);
  assert.ok(waiting.until >= Date.now() + 4_500 && waiting.until <= Date.now() + 6_000);
  assert.equal(answer.state, "unsent");
  first.close();
  await closed(single);
  second.connect();
  assert.equal((await answer.result).text, "room for me?");
});

test("an idle socket is let go and comes back with the next question", async (t) => {
  await closed(narrow);
  const chat = client(t, narrow, { session: "idler" });
  await reaches(chat, "connected");
  const idle = await reaches(chat, "idle");
  assert.equal(idle.why.code, "IDLE_TIMEOUT");
  assert.equal((await chat.chat("still there?").result).text, "still there?");
  assert.deepEqual(chat.states.map((state) => state.is), ["connected", "idle", "connecting", "connected"]);
});

test("a question that is too big for the server fails alone and is not sent again", async (t) => {
  const chat = client(t, narrow, { session: "long" });
  const error = await failure(chat.chat("x".repeat(5_000)));
  assert.equal(error.code, "MESSAGE_TOO_BIG");
  assert.equal(error.advice, "fix");
  await reaches(chat, "waiting");
  assert.equal((await chat.chat("short").result).text, "short");
});

test("a question that is too big by itself is never sent", async (t) => {
  const chat = client(t, troupe, { maxFrameBytes: 1_000, connect: false });
  const answer = chat.chat("ü".repeat(500));
  assert.equal((await failure(answer)).code, "MESSAGE_TOO_BIG");
  assert.equal(answer.via, undefined);
  assert.equal(chat.state.is, "idle");
});

async function closed(server) {
  while ((await server.status()).connection_pool.active > 0);
}
