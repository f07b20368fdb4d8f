// The connection by the clock: backoff, liveness, hints, and what a lost frame means.
import assert from "node:assert/strict";
import test from "node:test";
import { fakeClient, healthy, json, settle } from "./fakes.mjs";
import { failure } from "./support.mjs";

const clock = (t) => t.mock.timers.enable({ apis: ["setTimeout", "Date"] });

async function pass(t, ms) {
  t.mock.timers.tick(ms);
  await settle();
}

/** Lets the client's wait pass, and no more. */
const waited = (t, troupe) => pass(t, troupe.state.until - Date.now());

test("waits grow exponentially, with full jitter, up to 30 s", async (t) => {
  clock(t);
  for (const luck of [0, 0.5, 0.999999]) {
    t.mock.method(Math, "random", () => luck);
    const { troupe, last, made } = fakeClient(t);
    last().admit();
    for (let attempt = 1; attempt <= 9; attempt++) {
      last().end();
      await settle(); // where it never opened, it is asked why
      const { state } = troupe;
      assert.equal(state.is, "waiting");
      assert.equal(state.attempt, attempt);
      const wait = state.until - Date.now();
      const most = Math.min(30_000, 500 * 2 ** (attempt - 1));
      assert.ok(Math.abs(wait - luck * most) <= 1, `attempt ${attempt}: ${wait} of ${most}`);
      const before = made.length;
      await pass(t, Math.max(0, wait - 2));
      if (wait > 2) assert.equal(made.length, before, "not too early");
      await pass(t, 3);
      assert.equal(made.length, before + 1);
    }
    troupe.close();
  }
});

const worthIt = {
  "it lasted 5 s": (t) => pass(t, 5_000),
  "an answer got on": async (t, troupe, last) => {
    troupe.chat("hello", { id: "q" });
    await settle();
    last().say({ type: "accepted", id: "q", run_id: "r" }, { type: "chunk", id: "q", seq: 1, content: "a" });
  },
};

for (const [how, prove] of Object.entries(worthIt)) {
  test(`a connection that was worth it starts the waits anew: ${how}`, async (t) => {
    clock(t);
    for (const admit of [(last) => last().admit(), async (last) => (last().open(), await pass(t, 2_000))]) {
      const { troupe, last } = fakeClient(t);
      for (let failed = 1; failed <= 3; failed++) {
        last().end();
        await settle();
        assert.equal(troupe.state.attempt, failed);
        await waited(t, troupe);
      }
      assert.deepEqual(troupe.state, { is: "connecting", attempt: 4 });
      await admit(last);
      assert.equal(troupe.state.is, "connected");
      await prove(t, troupe, last);
      last().end();
      assert.equal(troupe.state.attempt, 1);
    }
  });
}

test("silence is probed after 20 s, and 10 s later the socket is dead", async (t) => {
  clock(t);
  const { troupe, last, made } = fakeClient(t);
  const [socket] = made;
  socket.admit();
  assert.equal(socket.of("ping").length, 1, "its pong is how the client knows that it is let in");
  await pass(t, 15_000);
  socket.say({ type: "status", id: "x", state: "waiting" });
  await pass(t, 19_999);
  assert.equal(socket.of("ping").length, 1);
  await pass(t, 10_000);
  assert.equal(socket.of("ping").length, 2);
  socket.say({ type: "pong" });
  await pass(t, 20_000);
  assert.equal(socket.of("ping").length, 3);
  await pass(t, 9_999);
  assert.equal(troupe.state.is, "connected");
  await pass(t, 1);
  assert.equal(troupe.state.is, "waiting");
  await pass(t, 500);
  assert.equal(made.length, 2);
  last().admit();
  socket.say({ type: "error", code: "INVALID_SESSION", message: "too late" });
  assert.equal(troupe.state.is, "connected", "the dead socket is not heard");
});

test("a handshake that hangs is given up after 10 s", async (t) => {
  clock(t);
  const { troupe, requests } = fakeClient(t);
  await pass(t, 9_999);
  assert.equal(requests.length, 0);
  await pass(t, 1);
  assert.deepEqual(requests.map(({ url, credentials, cache }) => [url, credentials, cache]), [
    ["http://chat.test/ws/chat/s", "omit", "no-store"],
    ["http://chat.test/api/health", "omit", "no-store"],
  ]);
  assert.equal(troupe.state.why.code, "NOT_REACHABLE");
});

test("HTTP mode tries the socket after 30 s, doubling to 5 min", async (t) => {
  clock(t);
  const { troupe, last } = fakeClient(t, { answers: { "/ws/": json(426, {}), "/api/health": healthy } });
  last().end();
  await settle();
  assert.equal(troupe.state.is, "connecting", "a second look first: the server may have been starting");
  await pass(t, 500);
  for (const wait of [30, 60, 120, 240, 300, 300]) {
    last().end();
    await settle();
    assert.equal(troupe.state.is, "http");
    assert.equal(troupe.state.until - Date.now(), wait * 1000);
    await pass(t, wait * 1000);
    assert.equal(troupe.state.is, "http", "also while it tries");
  }
  last().admit();
  assert.equal(troupe.state.is, "connected");
});

test("a refusal names its time, and the client keeps to it", async (t) => {
  clock(t);
  const { troupe, last, made } = fakeClient(t);
  last().open();
  last().say({ type: "error", code: "CONNECTION_RATE_EXCEEDED", message: "Too many connections.", retry_after: 40 });
  last().end(1008);
  const wait = troupe.state.until - Date.now();
  assert.ok(wait >= 40_000 && wait <= 40_501, `${wait}`);
  assert.equal(troupe.state.why.message, "Too many connections.");
  const answer = troupe.chat("hello");
  await settle();
  assert.equal(answer.state, "unsent");
  await pass(t, 39_999);
  assert.equal(made.length, 1);
  await pass(t, 502);
  assert.equal(made.length, 2);
});

for (const [status, code] of [[429, "CONNECTION_LIMIT_EXCEEDED"], [503, "SHUTTING_DOWN"]]) {
  test(`a handshake answered ${status} waits as the body says`, async (t) => {
    clock(t);
    const refusal = json(status, { type: "error", code, message: "Later.", retryable: true, retry_after: 7 });
    const { troupe, last } = fakeClient(t, { answers: { "/ws/": refusal, "/api/health": healthy } });
    last().end();
    await settle();
    assert.equal(troupe.state.why.code, code);
    assert.ok(troupe.state.until >= Date.now() + 7_000);
  });
}

test("a reconnect hint: what streams is heard on the old socket, new questions take the new one", async (t) => {
  clock(t);
  const { troupe, made } = fakeClient(t);
  made[0].admit();
  const old = troupe.chat("old", { id: "old" });
  await settle();
  made[0].say({ type: "accepted", id: "old", run_id: "r" }, { type: "chunk", id: "old", seq: 1, content: "a" });
  made[0].say({ type: "reconnect", after_ms: 250 });
  assert.equal(troupe.state.is, "waiting");
  assert.equal(troupe.state.until - Date.now(), 250);
  const fresh = troupe.chat("new", { id: "new" });
  await pass(t, 250);
  made[1].admit();
  assert.deepEqual(made[1].of("chat").map((frame) => frame.id), ["new"]);
  assert.equal(made[1].of("resume").length, 0);
  assert.equal(made[0].closed, undefined);
  made[0].say({ type: "chunk", id: "old", seq: 2, content: "b" }, { type: "complete", id: "old", run_id: "r", seq: 3, full_response: "ab" });
  assert.equal((await old.result).text, "ab");
  assert.equal(made[0].closed, 1000, "and then it is let go");
  assert.equal(fresh.state, "sent");
});

test("an old socket that ends early hands what it carried to the new one", async (t) => {
  clock(t);
  const { troupe, made } = fakeClient(t);
  made[0].admit();
  const answer = troupe.chat("old", { id: "old" });
  await settle();
  made[0].say({ type: "accepted", id: "old", run_id: "r" }, { type: "chunk", id: "old", seq: 1, content: "a" }, { type: "reconnect", after_ms: 0 });
  await pass(t, 1);
  made[1].admit();
  made[0].end(1001);
  assert.deepEqual(made[1].of("resume").map(({ run_id, after, id }) => ({ run_id, after, id })), [{ run_id: "r", after: 1, id: "old" }]);
  assert.equal(troupe.state.is, "connected");
  made[1].say({ type: "snapshot", id: "old", run_id: "r", seq: 3, content: "bc" }, { type: "complete", id: "old", run_id: "r", seq: 4, full_response: "abc" });
  assert.equal((await answer.result).text, "abc");
});

test("a question that a leaving server does not take is asked at the next one", async (t) => {
  clock(t);
  const { troupe, made } = fakeClient(t);
  made[0].admit();
  const answer = troupe.chat("hello", { id: "q" });
  await settle();
  made[0].say({ type: "error", id: "q", code: "SHUTTING_DOWN", message: "Bye.", retryable: true, retry_after: 1 });
  assert.equal(answer.state, "unsent");
  assert.equal(made[0].of("chat").length, 1);
  await pass(t, 1_000);
  made[1].admit();
  assert.deepEqual(made[1].of("chat").map(({ id, repeat }) => [id, repeat]), [["q", true]]);
});

test("a resume that is refused for now is asked again, one that is refused for good is the end", async (t) => {
  clock(t);
  const { troupe, last } = fakeClient(t);
  last().admit();
  const answer = troupe.follow({ id: "q", runId: "r", seq: 2, text: "ab", content: "x" });
  await settle();
  last().say({ type: "error", for: "resume", run_id: "r", code: "RATE_LIMIT_EXCEEDED", message: "Slowly.", retryable: true, retry_after: 2 });
  await pass(t, 1_999);
  assert.equal(last().of("resume").length, 1);
  await pass(t, 1);
  assert.equal(last().of("resume").length, 2);
  last().say({ type: "error", for: "resume", run_id: "r", code: "RUN_NOT_FOUND", message: "Gone.", retryable: false });
  const error = await failure(answer);
  assert.equal(error.code, "RUN_NOT_FOUND");
  assert.equal(error.partial, "ab");
  assert.equal(error.advice, "tell");
});

test("close code 1009 fails the question that was sent last, and no other", async (t) => {
  clock(t);
  const { troupe, made } = fakeClient(t);
  made[0].admit();
  const good = troupe.chat("good", { id: "good" });
  const big = troupe.chat("big", { id: "big" });
  await settle();
  made[0].say({ type: "accepted", id: "good", run_id: "r" });
  made[0].end(1009);
  assert.equal((await failure(big)).code, "MESSAGE_TOO_BIG");
  await pass(t, 500);
  made[1].admit();
  assert.equal(made[1].of("chat").length, 0);
  assert.equal(made[1].of("resume").length, 1);
  assert.equal(good.state, "waiting");
});

test("three sockets that open and end without a word lead to HTTP", async (t) => {
  clock(t);
  const { troupe, last, made } = fakeClient(t, { answers: { "/ws/": json(426, {}), "/api/health": healthy } });
  for (let i = 1; i <= 3; i++) {
    last().open();
    last().end();
    await settle();
    assert.equal(troupe.state.is, i < 3 ? "waiting" : "http");
    if (i < 3) await waited(t, troupe);
  }
  assert.equal(made.length, 3);
  assert.match(troupe.state.why.message, /opens and is cut/);
});

test("closing ends answers with CLOSED and leaves nothing behind", async (t) => {
  clock(t);
  const { troupe, made } = fakeClient(t);
  made[0].admit();
  const answer = troupe.chat("x");
  await settle();
  troupe.close();
  assert.equal((await failure(answer)).code, "CLOSED");
  assert.equal(made[0].closed, 1000);
  assert.equal((await failure(troupe.chat("y"))).code, "CLOSED");
  troupe.connect();
  await pass(t, 600_000);
  assert.equal(made.length, 1);
  assert.equal(troupe.state.is, "closed");
});

test("coming back online or into view tries at once, unless the server named a time", async (t) => {
  clock(t);
  const page = new EventTarget();
  page.visibilityState = "visible";
  const network = new EventTarget();
  globalThis.document = page;
  globalThis.addEventListener = network.addEventListener.bind(network);
  globalThis.removeEventListener = network.removeEventListener.bind(network);
  t.after(() => {
    for (const name of ["document", "addEventListener", "removeEventListener"]) delete globalThis[name];
  });
  t.mock.method(Math, "random", () => 0.999);
  const { troupe, last, made } = fakeClient(t);
  for (const [target, name] of [[network, "online"], [page, "visibilitychange"]]) {
    last().admit();
    last().end();
    assert.equal(troupe.state.is, "waiting");
    const before = made.length;
    target.dispatchEvent(new Event(name));
    assert.equal(made.length, before + 1);
  }
  last().open();
  last().say({ type: "error", code: "CONNECTION_LIMIT_EXCEEDED", message: "Full.", retry_after: 5 });
  last().end(1008);
  const before = made.length;
  network.dispatchEvent(new Event("online"));
  assert.equal(made.length, before);
  troupe.connect();
  assert.equal(made.length, before + 1);
  last().admit();
  const pings = last().of("ping").length;
  network.dispatchEvent(new Event("online"));
  assert.equal(last().of("ping").length, pings + 1, "an open socket is asked whether it lives");
});

test("stops that are looked for on a new socket go one after the other, so that each gets its own answer", async (t) => {
  clock(t);
  const { troupe, last } = fakeClient(t);
  last().admit();
  const [one, two, three] = ["1", "2", "3"].map((id) => troupe.chat("hello", { id }));
  await settle();
  last().end(); // before anything was heard of them
  const stopped = [one, two, three].map((answer) => answer.stop());
  await settle();
  await waited(t, troupe);
  const socket = last();
  socket.admit();
  await settle();
  const sought = () => socket.of("cancel").map(({ id }) => id);
  assert.deepEqual(sought(), ["1"]);

  const no = { type: "error", for: "cancel", message: "No." };
  socket.say({ ...no, code: "BUS_UNAVAILABLE", retryable: true });
  await pass(t, 1_000);
  assert.deepEqual(sought(), ["1", "1"], "the others wait on");
  socket.say({ type: "cancelled", id: "1", run_id: "r", seq: 3, full_response: "so far" });
  await settle();
  assert.deepEqual(sought(), ["1", "1", "2"]);
  socket.say({ ...no, code: "NO_ACTIVE_RUN", retryable: false });
  await settle();
  assert.deepEqual(await stopped[1], { cancelled: true, text: "" });
  assert.equal(three.state, "stopping");
  assert.deepEqual(sought(), ["1", "1", "2", "3"]);
  socket.say({ type: "accepted", id: "3", run_id: "r3" }, { type: "cancelled", id: "3", run_id: "r3", seq: 9, full_response: "all of it" });
  assert.equal((await stopped[0]).text, "so far");
  assert.equal((await stopped[2]).text, "all of it");
  assert.deepEqual(sought(), ["1", "1", "2", "3"]);
});
