// Readings of a server, as the tests of the status page need them.

import { parseMetrics } from "../../status/metrics.js";
import { reading } from "../../status/reading.js";

export const startedAt = Date.UTC(2026, 0, 2, 3, 0, 0);

/**
 * A reading some ms after the server's start.
 * @param {number} after
 * @param {{ accepted?: number, completed?: number, failed?: number, chunks?: number, id?: string, started?: number | null,
 *   serverAt?: number | null, others?: string[], buckets?: [string, number][], status?: object, metrics?: string }} [o]
 */
export function readingAt(after, o = {}) {
  const at = startedAt + after, started = o.started === undefined ? startedAt : o.started;
  const id = o.id ?? "GATEWAYA0001";
  const status = {
    rate_limiter: { stats: { tracked_keys: 3, allowed: 20, rejected: 2, fallback: 0 }, state: "ok", connection_limit: "50 connections per 5 minutes", message_limit: "off" },
    connection_pool: { max_connections: 1000, max_per_ip: 25, active: 12, peak: 14, rejected: 1, idle_timeout: "30m" },
    websocket_manager: { active_connections: 11, accepted_total: o.accepted ?? 0, rejected_total: 0 },
    runs: { active: 2, completed: o.completed ?? 0, cancelled: 0, failed: o.failed ?? 0 },
    gateways: [id, ...o.others ?? []].map(one => ({ id: one, version: "1.0.0", active: 2, draining: false, self: one === id })),
    workers: [{ id: "WORKERAA0001", version: "1.0.0", states: { echo: "ready" }, active: 2, capacity: 10, draining: false }],
    actors: { connection: 12, run: 2, restarts: {} },
    ...o.status,
  };
  const lines = [
    `troupe_chunks_total ${o.chunks ?? 0}`, "go_goroutines 50", "go_memstats_heap_alloc_bytes 1e+06", "troupe_bus_connected 1",
    ...started === null ? [] : [`process_start_time_seconds ${started / 1000}`],
    ...(o.buckets ?? []).map(([bound, n]) => `troupe_time_to_first_token_seconds_bucket{le="${bound}"} ${n}`),
    o.metrics ?? "",
  ];
  return reading(status, parseMetrics(lines.join("\n")), at, o.serverAt === undefined ? at : o.serverAt);
}
