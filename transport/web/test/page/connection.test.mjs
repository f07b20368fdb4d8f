import assert from "node:assert/strict";
import test from "node:test";
import { describe } from "../../lib/connection.js";

const why = { code: "WEBSOCKET_BLOCKED", message: "A proxy is in the way." };

test("over HTTP the time of the next try is told", () => {
  const told = describe({ is: "http", until: 41_000, why }, 1_000);
  assert.equal(told.detail, "A proxy is in the way. Answers come over HTTP meanwhile. The WebSocket is tried again in 40 s.");
  assert.deepEqual([told.until, told.again], [41_000, true]);
});

test("where there is no WebSocket to try, no time and no button are offered", () => {
  const told = describe({ is: "http", until: Infinity, why }, 1_000);
  assert.equal(told.detail, "A proxy is in the way. Answers come over HTTP.");
  assert.deepEqual([told.until, told.again], [undefined, undefined]);
});
