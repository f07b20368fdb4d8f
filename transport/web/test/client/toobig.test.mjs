// A server that takes smaller frames than the client supposes: earlier turns are left
// out until it takes the question, and what was learned is kept.
import assert from "node:assert/strict";
import test from "node:test";
import { event, fakeClient, json, settle, stream } from "./fakes.mjs";
import { client, count, failure, server, tooBig } from "./support.mjs";

const clock = (t) => t.mock.timers.enable({ apis: ["setTimeout", "Date"] });

/** A conversation of so many entries, each of which holds so many words. */
const talk = (entries, words = 20) => Array.from({ length: entries }, (_, i) => ({ role: i % 2 ? "assistant" : "user", content: count(words) }));

for (const transport of ["websocket", "http"]) {
  for (const bound of [4_096, 65_536]) {
    test(`a long conversation with a server that takes ${bound} bytes (${transport})`, async (t) => {
      const troupe = await server({ websocket: { max_message_bytes: bound } });
      const chat = client(t, troupe, { transport });
      const troubles = [];
      chat.on("error", (error) => troubles.push(error));
      const messages = talk(200, 120);
      assert.ok(JSON.stringify(messages).length > 150_000);

      const first = await chat.chat("does it fit?", { messages }).result;
      assert.equal(first.text, "does it fit?");
      assert.ok(first.usage.input_tokens > 120, "some earlier turns went along");
      const learning = await tooBig(troupe);
      assert.ok(learning >= 1 && learning <= 6, `${learning}`);

      const second = await chat.chat("and now?", { messages }).result;
      assert.equal(second.text, "and now?");
      assert.equal(await tooBig(troupe), learning, "it is known by now");
      assert.deepEqual(troubles, []);

      const error = await failure(chat.chat("x".repeat(bound), { messages }));
      assert.equal(error.code, "MESSAGE_TOO_BIG");
      assert.equal(error.advice, "fix");
      assert.equal((await chat.chat("short").result).text, "short");
    });
  }
}

/** Takes the socket's questions as a server does that allows so many bytes. */
function judge(socket, bound) {
  const frame = socket.of("chat").at(-1);
  if (!frame) return undefined;
  if (Buffer.byteLength(JSON.stringify(frame)) <= bound) {
    const { id, content } = frame;
    socket.say({ type: "accepted", id, run_id: id }, { type: "complete", id, run_id: id, seq: 1, full_response: content });
  } else {
    socket.say({ type: "error", code: "MESSAGE_TOO_BIG", message: "Too big.", retryable: false });
    socket.end(1009);
  }
  return frame;
}

async function reconnected(t, { troupe, last }) {
  await settle();
  t.mock.timers.tick(troupe.state.until - Date.now());
  last().admit();
  await settle();
}

test("each refusal halves the frame, and the question is asked again as a repeat", async (t) => {
  clock(t);
  t.mock.method(Math, "random", () => 1);
  const fake = fakeClient(t);
  fake.last().admit();
  const ends = [];
  const answer = fake.troupe.chat("hello", { id: "q", messages: talk(100) });
  answer.on("end", (end) => ends.push(end));
  await settle();
  const frames = [judge(fake.last(), 2_000)];
  while (!ends.length) {
    assert.equal(answer.state, "unsent");
    assert.ok(fake.troupe.state.until - Date.now() <= 500, "what is learned on the way does not make waits longer");
    await reconnected(t, fake);
    frames.push(judge(fake.last(), 2_000));
  }
  assert.equal((await answer.result).text, "hello");
  const sizes = frames.map((frame) => Buffer.byteLength(JSON.stringify(frame)));
  for (let i = 1; i < sizes.length; i++) assert.ok(sizes[i] <= sizes[i - 1] / 2, `${sizes}`);
  assert.ok(frames.at(-1).messages.length > 0);
  assert.deepEqual(frames.map((frame) => frame.repeat), [false, ...frames.slice(1).map(() => true)]);
  assert.equal(ends.length, 1);

  // A question that was made before, or is made later, is cut to the same size.
  const next = fake.troupe.chat("next", { id: "n", messages: talk(100) });
  await settle();
  judge(fake.last(), 2_000);
  assert.equal((await next.result).text, "next");
  const wide = fake.troupe.chat("w".repeat(1_700), { id: "w", messages: talk(100) });
  await settle();
  assert.deepEqual(judge(fake.last(), 2_000).messages, [], "a question alone may be larger than what was learned");
  assert.equal((await wide.result).cancelled, false);
});

test("a server that refuses every frame is not asked for ever", async (t) => {
  clock(t);
  const fake = fakeClient(t);
  fake.last().admit();
  const answer = fake.troupe.chat("hello", { messages: talk(256, 80) });
  await settle();
  let asked = 1;
  for (; judge(fake.last(), 0).messages.length > 0; asked++) await reconnected(t, fake);
  assert.equal((await failure(answer)).code, "MESSAGE_TOO_BIG");
  assert.ok(asked > 3 && asked < 15, `${asked}`);
  await reconnected(t, fake);
  assert.equal(fake.last().of("chat").length, 0);
  assert.equal(fake.troupe.state.is, "connected");
});

test("a close with 1009 alone says it too, and what the old socket says later is not heard", async (t) => {
  clock(t);
  const fake = fakeClient(t);
  const [old] = fake.made;
  old.admit();
  const answer = fake.troupe.chat("hello", { id: "q", messages: talk(50) });
  await settle();
  old.end(1009);
  old.say({ type: "complete", id: "q", run_id: "old", seq: 1, full_response: "from the old one" });
  await reconnected(t, fake);
  assert.equal(fake.last().of("chat").length, 1);
  judge(fake.last(), 200_000);
  assert.equal((await answer.result).text, "hello");
});

test("of several questions the largest is to blame, not the last", async (t) => {
  clock(t);
  const fake = fakeClient(t);
  fake.last().admit();
  const large = fake.troupe.chat("x".repeat(5_000), { id: "large" });
  const small = fake.troupe.chat("small", { id: "small" });
  await settle();
  fake.last().say({ type: "error", code: "MESSAGE_TOO_BIG", message: "Too big." });
  assert.equal((await failure(large)).code, "MESSAGE_TOO_BIG");
  await reconnected(t, fake);
  judge(fake.last(), 1_000);
  assert.equal((await small.result).text, "small");
});

for (const when of ["before the refusal", "after the refusal"]) {
  test(`a stop ${when} is the end of it`, async (t) => {
    clock(t);
    const fake = fakeClient(t);
    fake.last().admit();
    const answer = fake.troupe.chat("hello", { id: "q", messages: talk(50) });
    await settle();
    if (when.startsWith("before")) void answer.stop();
    judge(fake.last(), 1_000);
    const stopped = answer.stop();
    await reconnected(t, fake);
    assert.equal(fake.last().of("chat").length, 0);
    assert.deepEqual(fake.last().of("cancel").map(({ id }) => id), ["q"]);
    fake.last().say({ type: "error", for: "cancel", code: "NO_ACTIVE_RUN", message: "Nothing runs.", retryable: false });
    assert.deepEqual(await stopped, { cancelled: true, text: "" });
  });
}

const refusal = json(413, { type: "error", code: "MESSAGE_TOO_BIG", message: "Too big.", retryable: false });
const page = () => new Response("<html>", { status: 413, headers: { "Content-Type": "text/html" } });
const done = () => stream(new TextEncoder().encode(event({ type: "complete", id: "q", run_id: "r", seq: 1, full_response: "done" })));

for (const [what, refuse] of Object.entries({ "the server": refusal, "a proxy": page })) {
  test(`413 of ${what} is learned from`, async (t) => {
    const answers = { "/api/chat": (init) => (init.body.length > 2_000 ? refuse() : done()) };
    const { troupe, requests } = fakeClient(t, { transport: "http", answers });
    assert.equal((await troupe.chat("hello", { id: "q", messages: talk(100) }).result).text, "done");
    const tries = requests.length;
    assert.ok(tries > 2 && tries < 10, `${tries}`);
    assert.ok(requests.at(-1).body.messages.length > 0);
    assert.deepEqual([requests[0].body.repeat, requests[1].body.repeat], [false, true]);
    assert.equal((await troupe.chat("again", { id: "q", messages: talk(100) }).result).text, "done");
    assert.equal(requests.length, tries + 1);
    assert.equal((await failure(troupe.chat("x".repeat(2_000), { messages: talk(100) }))).code, "MESSAGE_TOO_BIG");
    assert.equal(requests.length, tries + 2, "there was nothing to leave out");
  });
}

test("413 for ever, and a stop in between, over HTTP", async (t) => {
  const { troupe, requests } = fakeClient(t, { transport: "http", answers: { "/api/chat": refusal } });
  assert.equal((await failure(troupe.chat("hello", { messages: talk(256, 80) }))).code, "MESSAGE_TOO_BIG");
  assert.ok(requests.length < 15, `${requests.length}`);
  assert.deepEqual(requests.at(-1).body.messages, []);

  const other = fakeClient(t, { transport: "http", answers: { "/api/chat": () => (void answer.stop(), refusal()) } });
  const answer = other.troupe.chat("hello", { messages: talk(50) });
  assert.deepEqual(await answer.result, { cancelled: true, text: "" });
  assert.equal(other.requests.length, 1);
});
