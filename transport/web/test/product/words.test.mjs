import assert from "node:assert/strict";
import { test } from "node:test";
import { ending, failureOf, progress, stateWords } from "../../product/words.js";

const refusal = { code: "ORIGIN_NOT_ALLOWED", message: 'The origin "https://shop.example" is not allowed here.', config: 'http: {extra_origins: ["https://shop.example"]}', env: "TROUPE_HTTP_EXTRA_ORIGINS=https://shop.example", retryable: false, retryAt: 0 };

test("a refused origin: calm to the visitor, the line to the owner", () => {
  const said = stateWords({ is: "refused", why: refusal }, "11");
  assert.equal(said.is, "refused");
  assert.equal(said.text, "This chat is not open to this page yet.");
  assert.doesNotMatch(said.text + said.detail, /origin|http/);
  assert.deepEqual(said.owner, { words: refusal.message, lines: [refusal.config, refusal.env] });
  assert.deepEqual(stateWords({ is: "refused", why: { ...refusal, config: "", env: "" } }, "11").owner.lines, [], "an origin that no line could allow");
});

test("a product that is not configured: the owner is told the line", () => {
  const { owner, text } = stateWords({ is: "refused", why: { code: "PRODUCT_NOT_FOUND", message: "There is no such product here." } }, "11");
  assert.equal(text, "This chat is not set up yet.");
  assert.deepEqual(owner.lines, ['products: {"11": {name: "…"}}']);
});

test("any other refusal has words for both", () => {
  assert.deepEqual(stateWords({ is: "refused", why: { code: "UNAUTHORIZED", message: "Sign in." } }, "11").owner, { words: "Sign in.", lines: [] });
  assert.equal(stateWords({ is: "refused", why: { code: "UNAUTHORIZED", message: "Sign in." } }, "11").text, "This chat is not available.");
});

test("the other states are told as everywhere", () => {
  assert.equal(stateWords({ is: "connected" }, "11").text, "Connected");
  assert.equal(stateWords({ is: "idle", why: { code: "IDLE_TIMEOUT", message: "…" } }, "11").text, "Ready");
  const waiting = stateWords({ is: "waiting", until: 15_000, attempt: 2, why: { code: "NOT_REACHABLE", message: "No server." } }, "11", 10_000);
  assert.match(waiting.text, /in 5 s/);
  assert.equal(waiting.owner, undefined);
});

test("a failed answer of a refused page says no more than the panel", () => {
  assert.deepEqual(failureOf(refusal), { message: "This chat is not open to this page yet.", retryable: false, retryAt: 0 });
  const limited = { code: "RATE_LIMIT_EXCEEDED", message: "Too many questions.", retryable: true, retryAt: 9, config: "never shown" };
  assert.deepEqual(failureOf(limited), { message: "Too many questions.", retryable: true, retryAt: 9 });
});

test("an answer that the server has lost can be asked for again", () => {
  const { message, retryable } = failureOf({ code: "RUN_NOT_FOUND", message: "No run with this run_id …", retryable: false, retryAt: 0 });
  assert.equal(retryable, true);
  assert.doesNotMatch(message, /run/i);
});

test("progress and end of an answer", () => {
  assert.equal(progress("queued", 3), "Waiting for room, number 3 in the queue…");
  assert.equal(progress("queued", undefined), "Waiting for room…");
  for (const state of ["unsent", "sent", "waiting", "stopping"]) assert.notEqual(progress(state), "", state);
  for (const state of ["streaming", "complete", "cancelled", "failed"]) assert.equal(progress(state), "", state);
  assert.equal(ending({ end: "cancelled", text: "so" }).note, "Stopped.");
  assert.equal(ending({ end: "cancelled", text: "" }).note, "Stopped before the first word.");
  assert.equal(ending({ end: "failed", text: "so" }).note, "This answer is not complete.");
  assert.deepEqual(ending({ end: "failed", text: "" }), { note: "", spoken: "" });
  assert.match(ending({ end: "complete", text: "so", cut: true }).note, /longest answer/);
  assert.deepEqual(ending({ end: "complete", text: "so" }), { note: "", spoken: "Answer finished." });
});

test("where there is no socket to try again, nothing counts down", () => {
  const said = stateWords({ is: "http", until: Infinity, why: { code: "WEBSOCKET_BLOCKED", message: "No WebSocket gets through." } }, "11");
  assert.deepEqual([said.until, said.again], [undefined, undefined]);
  assert.doesNotMatch(JSON.stringify(said), /Infinity| s\./);
});
