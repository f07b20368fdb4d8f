// The requests of the page. Each error says what happened and what helps.

import { parseMetrics } from "./metrics.js";
import { reading } from "./reading.js";

const statusAddress = "/api/debug/websocket-status";
const metricsAddress = "/metrics";
const resetAddress = "/api/debug/reset-rate-limits";
const patience = 10_000;

const notOperator = "The server does not take this browser for an operator. Open this page at http.admin_listen, " +
  "or on the machine itself by localhost.";

/**
 * One reading of the server.
 * @param {AbortSignal} signal
 */
export async function read(signal) {
  const [status, metrics] = await Promise.all([
    fetched(statusAddress, { signal, headers: { Accept: "application/json" } }),
    fetched(metricsAddress, { signal, headers: { Accept: "text/plain;version=0.0.4" } }),
  ]);
  const at = Date.now();
  const date = Date.parse(status.headers.get("Date") ?? "");
  const [told, text] = await Promise.all([json(status, statusAddress), body(metrics)]);
  return reading(told, parseMetrics(text), at, Number.isNaN(date) ? null : date);
}

/**
 * Makes the server forget its rate windows.
 * @returns {Promise<number>} how many keys were cleared
 */
export async function resetLimits() {
  const answer = await json(await fetched(resetAddress, { method: "POST" }), resetAddress);
  if (typeof answer.cleared !== "number") throw strange(resetAddress);
  return answer.cleared;
}

async function fetched(address, options) {
  const signals = [AbortSignal.timeout(patience), options.signal].filter(Boolean);
  let answer;
  try {
    answer = await fetch(address, { cache: "no-store", redirect: "error", ...options, signal: AbortSignal.any(signals) });
  } catch (err) {
    throw unreachable(err);
  }
  if (answer.ok) return answer;
  throw new Error(answer.status === 404 ? notOperator : `The server answered ${address} with ${answer.status}.`);
}

async function json(answer, address) {
  const text = await body(answer);
  let told;
  try { told = JSON.parse(text); } catch { throw strange(address); }
  if (!told || typeof told !== "object") throw strange(address);
  return told;
}

async function body(answer) {
  try { return await answer.text(); } catch (err) { throw unreachable(err); }
}

function strange(address) {
  return new Error(`What answered ${address} is not a Troupe server. Check what stands between this browser and it.`);
}

function unreachable(err) {
  return new Error(err?.name === "TimeoutError" ? `The server did not answer within ${patience / 1000} s.` : "The server does not answer.");
}
