// Where no WebSocket gets through: server-sent events, then plain JSON, and back.
import assert from "node:assert/strict";
import test from "node:test";
import WebSocket from "ws";
import { client, count, failure, hurry, next, pieces, proxy, ended, reaches, running, server } from "./support.mjs";

const troupe = await server({ faults: true });

for (const [how, block] of [
  ["refuses upgrades", (between) => between.refuseUpgrades(403)],
  ["drops the Upgrade header", (between) => between.dropUpgradeHeader()],
  ["ends sockets as soon as they open", (between) => between.killSockets()],
]) {
  test(`a proxy that ${how}: answers come as a stream, and the client says why`, async (t) => {
    const between = await proxy(t, troupe);
    block(between);
    const chat = client(t, between);
    const answer = chat.chat(count(10), { model: "echo-20ms" });
    const all = await pieces(answer);
    assert.equal(all.join(""), count(10));
    assert.ok(all.length > 3, "it came in pieces");
    assert.equal(answer.via, "sse");
    assert.ok(answer.runId);
    assert.equal(chat.state.is, "http");
    assert.equal(chat.state.why.code, "WEBSOCKET_BLOCKED");
    assert.match(chat.state.why.message, /HTTP 426/);
    assert.ok(chat.state.until > Date.now() + 25_000);
  });
}

test("the socket is tried again, and new questions take it", async (t) => {
  const between = await proxy(t, troupe);
  between.refuseUpgrades();
  const chat = client(t, between);
  await reaches(chat, "http");
  const first = chat.chat(count(40), { model: "echo-20ms" });
  await next(first, "text");
  between.restore();
  chat.connect();
  await reaches(chat, "connected");
  const second = chat.chat("over the socket");
  assert.equal((await second.result).text, "over the socket");
  assert.equal(second.via, "websocket");
  assert.equal((await first.result).text, count(40));
  assert.equal(first.via, "sse");
});

test("the socket is tried again by itself when its time has come", async (t) => {
  hurry(t);
  const between = await proxy(t, troupe);
  between.refuseUpgrades();
  const chat = client(t, between);
  await reaches(chat, "http");
  between.restore();
  await reaches(chat, "connected");
});

test("a stream that breaks off goes on by its last event", async (t) => {
  const between = await proxy(t, troupe);
  between.refuseUpgrades();
  const chat = client(t, between);
  const answer = chat.chat(count(50), { model: "echo-20ms" });
  const heard = pieces(answer);
  await next(answer, "text", () => answer.seq >= 10);
  between.cut();
  assert.equal((await heard).join(""), count(50));
  assert.equal(between.count("/api/chat", { method: "POST" }), 2);
});

test("an answer begun on a socket goes on as a stream", async (t) => {
  const between = await proxy(t, troupe);
  const chat = client(t, between);
  const answer = chat.chat(count(80), { model: "echo-20ms" });
  await next(answer, "text");
  assert.equal(answer.via, "websocket");
  between.refuseUpgrades();
  between.cut();
  assert.equal((await pieces(answer)).join(""), count(80));
  assert.equal(answer.via, "sse");
});

test("stop over HTTP asks the server", async (t) => {
  const chat = client(t, troupe, { transport: "http" });
  const answer = chat.chat(count(400), { model: "echo-20ms" });
  await next(answer, "text");
  const result = await answer.stop();
  assert.equal(result.cancelled, true);
  assert.ok(result.text);
  assert.equal(await running(troupe), 0);
  const silent = chat.chat("say nothing", { provider: "faulty", model: "silent" });
  await next(silent, "state");
  assert.equal((await silent.stop()).cancelled, true);
});

test("a proxy that keeps streams to itself: the answer comes in one piece, asked once", async (t) => {
  const between = await proxy(t, troupe);
  between.refuseUpgrades();
  between.bufferStreams();
  const chat = client(t, between);
  await reaches(chat, "http");
  hurry(t); // 20 s without a byte are one
  const before = await ended(troupe, "complete");
  const answer = chat.chat(count(150), { model: "echo-20ms" });
  assert.equal((await answer.result).text, count(150));
  assert.equal(answer.via, "json");
  assert.equal(await ended(troupe, "complete", before + 1), before + 1);
  const second = chat.chat("short");
  assert.equal((await second.result).text, "short");
  assert.equal(second.via, "json");
});

for (const [how, options] of Object.entries({ "without a WebSocket class": { WebSocket: undefined }, "by choice": { transport: "http" } })) {
  test(`${how} the way is HTTP from the beginning`, async (t) => {
    withoutWebSocket(t);
    const chat = client(t, troupe, options);
    assert.equal(chat.state.is, "http");
    assert.equal(chat.state.until, Infinity);
    const answer = chat.chat("hello");
    assert.equal((await answer.result).text, "hello");
    assert.equal(answer.via, "sse");
    assert.deepEqual(chat.answers, []);
  });
}

test("the platform's own WebSocket is used where there is one, and missed where nothing else will do", async (t) => {
  withoutWebSocket(t);
  assert.throws(() => client(t, troupe, { WebSocket: undefined, transport: "websocket" }), { code: "INVALID_OPTION" });
  globalThis.WebSocket = WebSocket;
  const answer = client(t, troupe, { WebSocket: undefined }).chat("hello");
  assert.equal((await answer.result).text, "hello");
  assert.equal(answer.via, "websocket");
});

/** Takes the platform's WebSocket away, which Node has since version 22, until the test ends. */
function withoutWebSocket(t) {
  const own = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  delete globalThis.WebSocket;
  t.after(() => {
    delete globalThis.WebSocket;
    if (own) Object.defineProperty(globalThis, "WebSocket", own);
  });
}

test("errors over HTTP are the same", async (t) => {
  const chat = client(t, troupe, { transport: "http" });
  const unknown = await failure(chat.chat("x", { provider: "nobody" }));
  assert.equal(unknown.code, "UNKNOWN_PROVIDER");
  assert.equal(unknown.status, 400);
  assert.equal(unknown.advice, "fix");
  const broken = await failure(chat.chat(count(40), { provider: "faulty", model: "cut-50" }));
  assert.equal(broken.code, "PROVIDER_INTERRUPTED");
  assert.ok(count(40).startsWith(broken.partial.trimEnd()) && broken.partial);
});

test("with transport websocket there is no other way", async (t) => {
  const between = await proxy(t, troupe);
  between.refuseUpgrades();
  const chat = client(t, between, { transport: "websocket" });
  const waiting = await reaches(chat, "waiting");
  assert.equal(waiting.why.code, "WEBSOCKET_BLOCKED");
  const answer = chat.chat("patience");
  between.restore();
  chat.connect();
  assert.equal((await answer.result).via ?? answer.via, "websocket");
  assert.equal(between.count("/api/chat"), 0);
});
