import assert from "node:assert/strict";
import test from "node:test";
import { ageOf, doing, ending, isAboutChoice, offerLabel, offerNote, titleOf, troubleWords } from "../../page/words.js";
import { describe, secondsUntil } from "../../lib/connection.js";

test("a title is the first line of the question, cut between words and never inside a character", () => {
  assert.equal(titleOf("  What is tea?\nAnd coffee?"), "What is tea?");
  assert.equal(titleOf("a\tb   c"), "a b c");
  assert.equal(titleOf("one two three four", 12), "one two…");
  assert.equal(titleOf("abcdefghijklmnop", 10), "abcdefghi…");
  assert.equal(titleOf("👩‍🚀".repeat(40), 10).isWellFormed(), true);
  assert.equal(titleOf(" \n "), "New chat");
  assert.equal(titleOf("x".repeat(60)).length, 60);
  assert.equal(Array.from(titleOf("x".repeat(61))).length, 60);
});

test("what an answer waits for is in words, and the queue has its position", () => {
  for (const state of ["unsent", "sent", "queued", "waiting", "elsewhere", "unstopped", "unconfirmed"]) assert.match(doing(state), /[.…]$/);
  assert.equal(doing("queued", 1), "Waiting for room… You are next.");
  assert.equal(doing("queued", 3), "Waiting for room… You are number 3.");
  assert.equal(doing("queued", undefined), "Waiting for room…");
});

test("the end of an answer tells how it ended and who answered", () => {
  const result = { provider: "echo", model: "m", finishReason: "length", usage: { output_tokens: 1234, estimated: true } };
  assert.equal(ending({ state: "complete", result }), "cut at the longest answer · echo · m · about 1,234 tokens");
  assert.equal(ending({ state: "stopped", result: { usage: { output_tokens: 1, estimated: false } } }), "Stopped · 1 token");
  assert.equal(ending({ state: "failed" }), "");
});

test("an answer that broke off is called incomplete, also where the server has forgotten it", () => {
  assert.equal(troubleWords({ answer: "half", trouble: { code: "WORKER_LOST", message: "Why." } }), "This answer is incomplete. Why.");
  assert.equal(troubleWords({ answer: "", trouble: { code: "WORKER_LOST", message: "Why." } }), "Why.");
  assert.match(troubleWords({ answer: "half", trouble: { code: "RUN_NOT_FOUND" } }), /^This answer is incomplete\. The rest of it cannot be fetched/);
  assert.match(troubleWords({ answer: "", trouble: { code: "RUN_NOT_FOUND" } }), /^This answer cannot be fetched/);
  assert.equal(isAboutChoice({ code: "PROVIDER_UNAUTHORIZED" }), true);
  assert.equal(isAboutChoice({ code: "RATE_LIMIT_EXCEEDED" }), false);
});

test("a provider's state is in words", () => {
  assert.equal(offerLabel({ name: "a", state: "ready" }), "a");
  assert.equal(offerLabel({ name: "a", state: "needs_key" }), "a (needs your key)");
  assert.equal(offerLabel({ name: "a", state: "resting" }), "a (resting)");
  assert.equal(offerNote(undefined), "");
  assert.equal(offerNote({ name: "a", state: "ready" }), "");
  assert.match(offerNote({ name: "a", state: "needs_key" }), /your own key/);
  assert.match(offerNote({ name: "a", state: "resting", retry_after: 9 }), /another 9 s/);
});

test("conversations are grouped by days, not by hours", () => {
  const noon = new Date(2026, 4, 20, 12).getTime();
  assert.equal(ageOf(new Date(2026, 4, 20, 0, 0, 1).getTime(), noon), "Today");
  assert.equal(ageOf(new Date(2026, 4, 19, 23, 59).getTime(), noon), "Last seven days");
  assert.equal(ageOf(new Date(2026, 4, 13, 0, 0, 1).getTime(), noon), "Last seven days");
  assert.equal(ageOf(new Date(2026, 4, 12, 23, 59).getTime(), noon), "Earlier");
});

const now = 1_000_000;
const why = (code, more) => ({ code, message: "Why so.", ...more });

test("the connection's words say what is, why, and for how long", () => {
  assert.deepEqual(describe({ is: "connected" }, now), { is: "connected", text: "Connected" });
  assert.equal(describe({ is: "connecting", attempt: 1 }, now).text, "Connecting…");
  assert.equal(describe({ is: "connecting", attempt: 2 }, now).text, "Connecting again…");
  assert.deepEqual(describe({ is: "waiting", until: now + 4001, attempt: 1, why: why("NOT_REACHABLE") }, now),
    { is: "waiting", text: "Not connected. Trying again in 5 s.", detail: "Why so.", until: now + 4001, again: true });
  assert.equal(describe({ is: "waiting", until: now - 5, why: why("SHUTTING_DOWN") }, now).text, "The server is restarting. Trying again now.");
  for (const code of ["CONNECTION_LIMIT_EXCEEDED", "CONNECTION_RATE_EXCEEDED", "SESSION_LIMIT_EXCEEDED"]) {
    assert.doesNotMatch(describe({ is: "waiting", until: now, why: why(code) }, now).text, /^Not connected/);
  }
  const http = describe({ is: "http", until: now + 30000, why: why("WEBSOCKET_BLOCKED") }, now);
  assert.match(http.text, /HTTP/);
  assert.equal(http.detail, "Why so. Answers come over HTTP meanwhile. The WebSocket is tried again in 30 s.");
  assert.equal(describe({ is: "closed" }, now).text, "Closed");
  assert.equal(describe({ is: "idle" }, now).detail, "The next question connects.");
  assert.equal(describe({ is: "idle", why: why("IDLE_TIMEOUT") }, now).detail, "Why so. The next question connects.");
});

test("a refused origin comes with the line to add, any other refusal without one", () => {
  const origin = describe({ is: "refused", why: why("ORIGIN_NOT_ALLOWED", { config: "http: {…}", env: "X=y" }) }, now);
  assert.deepEqual([origin.config, origin.env, origin.detail], ["http: {…}", "X=y", "Why so."]);
  assert.equal(describe({ is: "refused", why: why("INVALID_SESSION", { config: "" }) }, now).config, undefined);
});

test("seconds are whole and never negative", () => {
  assert.deepEqual([secondsUntil(now + 1, now), secondsUntil(now + 1000, now), secondsUntil(now, now), secondsUntil(now - 1, now)], [1, 1, 0, 0]);
});
