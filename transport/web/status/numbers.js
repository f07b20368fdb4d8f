// The numbers of the page: each element with data-value shows the one of that name.

import { bar, element, keep, setBar, setText } from "./dom.js";
import { bytes, count, duration, pressed, rule, share, unknown } from "./words.js";

/** @typedef {import("./reading.js").Reading} Reading */

/**
 * @param {Reading} r
 * @returns {Record<string, string>}
 */
export function values(r) {
  const { pool, limiter, counters, gauges, faults } = r;
  const stats = limiter.stats ?? {};
  return {
    connections: count(pool.active), sockets: count(r.sockets), peak: count(pool.peak), limit: count(pool.max_connections),
    perAddress: count(pool.max_per_ip), poolRefused: count(pool.rejected), idle: pool.idle_timeout ?? unknown,
    runs: count(r.runs), completed: count(counters.completed), cancelled: count(counters.cancelled), failed: count(counters.failed),
    limiter: { ok: "working", fallback: "away, static bucket" }[limiter.state] ?? String(limiter.state ?? unknown),
    connectionRule: rule(limiter.connection_limit, "connections"), messageRule: rule(limiter.message_limit, "messages"),
    sessionRule: rule(limiter.session_limit, "sessions"),
    factor: share(limiter.factor), offenders: count(limiter.offenders),
    tracked: count(stats.tracked_keys), allowed: count(stats.allowed), rejected: count(stats.rejected), fallback: count(stats.fallback),
    up: r.started === null ? unknown : duration((r.serverAt ?? r.at) - r.started),
    pressure: pressed(r.pressure),
    heap: bytes(gauges.heap), resident: bytes(gauges.resident), goroutines: count(gauges.goroutines),
    slow: count(faults.slow), waiting: bytes(faults.waiting), letters: count(faults.letters),
    dropped: count(faults.dropped), edge: count(faults.edge), protocol: count(faults.protocol),
  };
}

export class Numbers {
  #texts;
  #pool;
  #kinds;
  #errors;

  /** @param {ParentNode} root */
  constructor(root) {
    this.#texts = [...root.querySelectorAll("[data-value]")];
    this.#pool = bar("Connection pool in use");
    root.querySelector("#pool").append(this.#pool);
    this.#kinds = root.querySelector("#kinds");
    this.#errors = root.querySelector("#errors");
  }

  /** @param {Reading} r */
  show(r) {
    const all = values(r);
    for (const node of this.#texts) setText(node, all[node.dataset.value]);
    setBar(this.#pool, r.pool.active, r.pool.max_connections);
    tally(this.#kinds, troubles(r.faults), "No actor has failed.");
    tally(this.#errors, [...r.errors].sort((a, b) => b[1] - a[1]).map(([code, n]) => [code, count(n)]), "No client was told an error.");
  }
}

/**
 * Panics and restarts by the kind of actor: [["run", "2 panics, 1 restart"]].
 * @param {Pick<Reading["faults"], "panics" | "restarts">} faults
 */
export function troubles({ panics, restarts }) {
  const kinds = [...new Set([...panics.keys(), ...restarts.keys()])].sort();
  return kinds.map(kind => {
    const words = [[panics.get(kind), "panic"], [restarts.get(kind), "restart"]]
      .filter(([n]) => n).map(([n, what]) => `${count(n)} ${what}${n === 1 ? "" : "s"}`);
    return [kind, words.join(", ")];
  });
}

// A list of names with values, or a sentence that there is nothing.
function tally(list, pairs, nothing) {
  const items = pairs.length ? pairs : [["", nothing]];
  keep(list, items, ([name]) => name,
    ([name]) => name ? element("li", {}, element("span", {}, ...breakable(name)), element("b")) : element("li", { class: "soft", text: nothing }),
    (item, [name, value]) => { if (name) setText(item.lastElementChild, value); });
}

// A code in capitals breaks behind its underscores, where it has to.
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, i) => i ? [element("wbr"), part] : [part]);
}
