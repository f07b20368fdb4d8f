// A connection that is lost in the middle of an answer, and a server that goes away.
import assert from "node:assert/strict";
import test from "node:test";
import WebSocket from "ws";
import { client, count, failure, next, pieces, proxy, ended, reaches, running, server } from "./support.mjs";

test("a cut socket: the answer goes on, nothing is lost or said twice", async (t) => {
  const troupe = await server();
  const between = await proxy(t, troupe);
  const chat = client(t, between);
  const answers = [170, 160].map((n) => chat.chat(count(n), { model: "echo-20ms" }));
  const heard = answers.map((answer) => pieces(answer));
  for (const at of [10, 30]) {
    await next(answers[0], "text", () => answers[0].seq >= at);
    between.cut();
    await reaches(chat, "waiting");
  }
  assert.deepEqual((await Promise.all(heard)).map((all) => all.join("")), [count(170), count(160)]);
  for (const answer of answers) assert.equal((await answer.result).text, answer.text);
  assert.equal(chat.states.filter((state) => state.is === "waiting").length, 2);
  assert.equal(chat.states.find((state) => state.is === "waiting").why.code, "CONNECTION_LOST");
  assert.equal(between.count(/^\/ws\//, { upgrade: true }), 3);
});

test("a question that waits for the connection is asked when it is there", async (t) => {
  const troupe = await server();
  const between = await proxy(t, troupe);
  between.down();
  const chat = client(t, between);
  const waiting = await reaches(chat, "waiting");
  assert.equal(waiting.why.code, "NOT_REACHABLE");
  assert.ok(waiting.until <= Date.now() + 1_000);
  const answer = chat.chat("patience");
  assert.equal(answer.state, "unsent");
  between.restore();
  chat.connect();
  assert.equal((await answer.result).text, "patience");
});

test("a stop that meets a lost connection is said again", async (t) => {
  const troupe = await server();
  const between = await proxy(t, troupe);
  const chat = client(t, between);
  const answer = chat.chat(count(400), { model: "echo-20ms" });
  await next(answer, "text");
  between.blackhole();
  const stopped = answer.stop();
  between.cut();
  between.restore();
  const result = await stopped;
  assert.equal(result.cancelled, true);
  assert.equal(result.text, answer.text);
  assert.equal(await running(troupe), 0);
});

test("a server that dies takes the answer along, and the client says so", async (t) => {
  const troupe = await server();
  const chat = client(t, troupe);
  const answer = chat.chat(count(400), { model: "echo-20ms" });
  await next(answer, "text");
  await troupe.kill9();
  await reaches(chat, "waiting");
  await troupe.start();
  const error = await failure(answer);
  assert.equal(error.code, "RUN_NOT_FOUND");
  assert.equal(error.partial, answer.text);
  assert.ok(count(400).startsWith(error.partial.trimEnd()) && error.partial);
  assert.equal((await chat.chat("and now?").result).text, "and now?");
});

test("a server that says goodbye is left, its answer heard or honestly ended", async (t) => {
  const troupe = await server();
  const chat = client(t, troupe);
  const short = chat.chat(count(20), { model: "echo-20ms" });
  const long = chat.chat(count(400), { model: "echo-20ms" });
  await next(long, "text");
  const gone = troupe.restart({ politely: true });
  const waiting = await reaches(chat, "waiting");
  assert.equal(waiting.why.code, "SHUTTING_DOWN");
  assert.equal((await short.result).text, count(20));
  await gone;
  const error = await failure(long);
  assert.equal(error.partial, long.text);
  assert.ok(error.partial.length > count(20).length);
  assert.equal((await chat.chat("again").result).text, "again");
});

test("a question whose accept was lost is not asked twice", async (t) => {
  const troupe = await server();
  const between = await proxy(t, troupe);
  const ears = deafSockets();
  const chat = client(t, between, ears);
  await reaches(chat, "connected");
  ears.deaf = true;
  const answer = chat.chat(count(60), { model: "echo-20ms" });
  while ((await running(troupe)) < 1);
  between.cut();
  await reaches(chat, "waiting");
  assert.equal(answer.state, "unsent");
  assert.equal(answer.runId, "");
  ears.deaf = false;
  assert.equal((await answer.result).text, count(60));
  assert.equal(await ended(troupe, "complete", 1), 1);
});

test("a stop of a question whose accept was lost stops it all the same", async (t) => {
  const troupe = await server();
  const between = await proxy(t, troupe);
  const ears = deafSockets();
  const chat = client(t, between, ears);
  await reaches(chat, "connected");
  ears.deaf = true;
  const answer = chat.chat(count(400), { model: "echo-20ms" });
  while ((await running(troupe)) < 1);
  between.cut();
  await reaches(chat, "waiting");
  const stopped = answer.stop();
  ears.deaf = false;
  assert.equal((await stopped).cancelled, true);
  assert.equal(await ended(troupe, "cancelled", 1), 1);
});

/** Sockets that hear nothing while `deaf`. */
function deafSockets() {
  const ears = {
    deaf: false,
    WebSocket: class extends WebSocket {
      emit(event, ...args) {
        return event === "message" && ears.deaf ? true : super.emit(event, ...args);
      }
    },
  };
  return ears;
}
