// An invented deployment for pictures of the status page: what GET
// /api/debug/websocket-status and GET /metrics say at a second of its life. The same
// second always says the same.

const wave = (t, period, phase = 0) => Math.sin((2 * Math.PI * t) / period + phase);

/** Connections and questions a second, and what of them goes wrong, at second t. */
const rates = {
  accepted: (t) => 3.2 + 1.1 * wave(t, 410) + 0.4 * wave(t, 67, 1),
  rejected: (t) => Math.max(0, 0.25 * wave(t, 300, 2) - 0.12),
  completed: (t) => 5.4 + 1.6 * wave(t, 380, 0.6) + 0.5 * wave(t, 53),
  cancelled: (t) => 0.35 + 0.15 * wave(t, 120),
  failed: (t) => Math.max(0, 0.3 * wave(t, 260, 4) - 0.18),
  chunks: (t) => 420 + 130 * wave(t, 380, 0.6) + 35 * wave(t, 47),
};

/** The sum of a rate over all seconds before t. */
function counted(name, t) {
  let sum = 0;
  for (let s = 0; s < t; s++) sum += rates[name](s);
  return Math.round(sum);
}

const bounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const shares = [0.04, 0.19, 0.55, 0.82, 0.95, 0.985, 0.997, 1];

const worker = (id, active, states, rests) => ({ id, version: "1.4.0", providers: Object.keys(states), states, rests, active, capacity: 200, draining: false });

export function status(t) {
  const active = Math.round(312 + 40 * wave(t, 410, -0.8));
  const runs = Math.round(64 + 14 * wave(t, 380));
  return {
    rate_limiter: {
      stats: { tracked_keys: 1204, allowed: counted("completed", t) + counted("accepted", t), rejected: counted("rejected", t), fallback: 0 },
      connection_limit: "50 connections per 5 minutes", message_limit: "30 messages per minute",
      session_limit: "5 sessions per hour", state: "ok", scope: "gateway",
    },
    connection_pool: { max_connections: 1000, max_per_ip: 25, active, peak: 371, rejected: 12, idle_timeout: "30m", scope: "gateway" },
    websocket_manager: {
      active_connections: active - 6, accepted_total: counted("accepted", t), rejected_total: counted("rejected", t), success_rate: 0.99,
    },
    runs: { active: runs, completed: counted("completed", t), cancelled: counted("cancelled", t), failed: counted("failed", t) },
    gateways: [
      { id: "A5EVLHSP5EXC", version: "1.4.0", active, draining: false, self: true },
      { id: "XD3QFKECGHSZ", version: "1.4.0", active: 287, draining: false },
    ],
    workers: [
      worker("4WIVAJ34WMR4", Math.round(runs * 0.55), { anthropic: "ready", echo: "ready", openai: "resting" },
        [{ provider: "openai", key: "0f3a5bd1c2e49687", one_model: true, why: "limited", seconds: 41 }]),
      worker("NVT6C4GJPO2B", Math.round(runs * 0.45), { anthropic: "ready", echo: "ready", gemini: "needs_key" }),
    ],
    actors: { connection: active, run: runs, restarts: { run: 1 } },
    warnings: [],
  };
}

export function metrics(t, startedAt) {
  const answers = counted("completed", t);
  const lines = [
    `process_start_time_seconds ${startedAt}`,
    `troupe_build_info{version="1.4.0"} 1`,
    "troupe_bus_connected 1",
    `troupe_chunks_total ${counted("chunks", t)}`,
    `go_memstats_heap_alloc_bytes ${Math.round(5.6e7 + 9e6 * wave(t, 90))}`,
    `process_resident_memory_bytes ${Math.round(1.18e8 + 4e6 * wave(t, 500))}`,
    `go_goroutines ${Math.round(1480 + 160 * wave(t, 410, -0.8))}`,
    'troupe_panics_total{kind="run"} 1',
    "troupe_slow_consumers_total 2", "troupe_outbox_bytes 18432", "troupe_dead_letters_total 5",
    "troupe_bus_dropped_total 0", "troupe_edge_panics_total 0", "troupe_protocol_errors_total 3",
    `troupe_errors_total{code="RATE_LIMIT_EXCEEDED"} ${counted("rejected", t)}`,
    'troupe_errors_total{code="PROVIDER_TIMEOUT"} 4', 'troupe_errors_total{code="ORIGIN_NOT_ALLOWED"} 9',
    ...bounds.map((le, i) => `troupe_time_to_first_token_seconds_bucket{le="${le}"} ${Math.round(answers * shares[i])}`),
    `troupe_time_to_first_token_seconds_bucket{le="+Inf"} ${answers}`,
    `troupe_time_to_first_token_seconds_sum ${answers * 0.31}`,
    `troupe_time_to_first_token_seconds_count ${answers}`,
  ];
  return lines.join("\n") + "\n";
}
