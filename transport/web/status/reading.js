// One reading of the server: its status and its metrics, brought into the form
// that the page shows. A field that is missing becomes null, never 0: the page
// does not say what the server did not.

import { histogram, labelOf, total, totals } from "./metrics.js";
import { pressed } from "./words.js";

/**
 * @param {any} status  of GET /api/debug/websocket-status
 * @param {import("./metrics.js").Metrics} metrics
 * @param {number} at  when it was read, by this browser's clock, in ms
 * @param {number | null} serverAt  the same by the server's clock, where it told
 */
export function reading(status, metrics, at, serverAt) {
  const { rate_limiter: limiter = {}, connection_pool: pool = {}, websocket_manager: sockets = {}, runs = {} } = status;
  const gateways = list(status.gateways), workers = list(status.workers);
  const self = gateways.find(gateway => gateway.self) ?? {};
  return {
    at, serverAt, self, gateways, workers, limiter, pool,
    pressure: { stage: number(status.pressure?.stage), why: status.pressure?.why ?? "" },
    started: seconds(metrics, "process_start_time_seconds"),
    version: labelOf(metrics, "troupe_build_info", "version") ?? self.version ?? "",
    sockets: number(sockets.active_connections),
    runs: number(runs.active),
    warnings: list(status.warnings).map(String),
    bus: total(metrics, "troupe_bus_connected") ?? null,
    counters: {
      accepted: number(sockets.accepted_total), rejected: number(sockets.rejected_total),
      completed: number(runs.completed), cancelled: number(runs.cancelled), failed: number(runs.failed),
      chunks: total(metrics, "troupe_chunks_total") ?? null,
    },
    gauges: {
      heap: total(metrics, "go_memstats_heap_alloc_bytes") ?? null,
      resident: total(metrics, "process_resident_memory_bytes") ?? null,
      goroutines: total(metrics, "go_goroutines") ?? null,
    },
    firstToken: histogram(metrics, "troupe_time_to_first_token_seconds"),
    faults: {
      restarts: new Map(Object.entries(status.actors?.restarts ?? {}).filter(([, count]) => count)),
      panics: totals(metrics, "troupe_panics_total", "kind"),
      slow: total(metrics, "troupe_slow_consumers_total") ?? null,
      waiting: total(metrics, "troupe_outbox_bytes") ?? null,
      letters: total(metrics, "troupe_dead_letters_total") ?? null,
      dropped: total(metrics, "troupe_bus_dropped_total") ?? null,
      edge: total(metrics, "troupe_edge_panics_total") ?? null,
      protocol: total(metrics, "troupe_protocol_errors_total") ?? null,
    },
    errors: totals(metrics, "troupe_errors_total", "code"),
  };
}

/** @typedef {ReturnType<typeof reading>} Reading */

function list(value) { return Array.isArray(value) ? value : []; }

function number(value) { return typeof value === "number" ? value : null; }

function seconds(metrics, name) {
  const value = total(metrics, name);
  return value === undefined ? null : value * 1000;
}

const shedding = {
  1: "no new questions are taken",
  2: "no new questions and connections are taken",
  3: "no new questions and connections are taken, and the slowest readers are cut",
};

/**
 * What an operator should know before any number, most pressing first: what
 * the reading itself shows, then what the server warns of.
 * @param {Reading} r
 * @returns {string[]}
 */
export function warnings(r) {
  const found = [];
  if (r.bus === 0) found.push("No connection to the message bus (NATS). Questions are refused until it is back.");
  if (!r.workers.length) found.push("No worker is live. Questions are refused.");
  else if (r.workers.every(worker => worker.draining)) found.push("Every worker is draining. New questions are refused.");
  if (r.self.draining) found.push("This gateway is draining: it takes no new connections and ends when its runs have.");
  if (r.pressure.stage) found.push(`Under pressure (${pressed(r.pressure)}): ${shedding[r.pressure.stage] ?? "work is refused"}. It goes on without help when the pressure is over.`);
  if (r.limiter.state === "fallback") found.push("The limiter is away. A static bucket with half of each limit decides until it is back.");
  if (r.pool.max_connections > 0 && r.pool.active >= r.pool.max_connections) found.push("The connection pool is full. New connections are refused.");
  return [...found, ...r.warnings];
}
