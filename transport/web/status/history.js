// The last ten minutes, in memory: one point per reading, with rates made of
// the differences between readings.

import { added, quantile } from "./histogram.js";

/** How far back the page remembers, in ms. */
export const span = 10 * 60 * 1000;

const least = 1000;          // readings closer than this make wild rates of single events
const gap = 12_000;          // readings further apart are not joined: nobody looked in between
const quantileSpan = 60_000; // quantiles are of the answers of this long before
const clocks = 2_000;        // how far the clocks of two machines may be apart

const perSecond = ["accepted", "rejected", "completed", "cancelled", "failed", "chunks"];

/**
 * @typedef {import("./reading.js").Reading} Reading
 * @typedef {{ at: number, [series: string]: number | null }} Point
 * @typedef {{ at: number, what: "restarted" | "other" }} Mark
 */

export class History {
  /** @type {Point[]} */
  points = [];
  /** @type {Mark[]} */
  marks = [];
  /** @type {Reading[]} those that quantiles still need, since the last break */
  #recent = [];

  /** @param {Reading} reading */
  add(reading) {
    let before = this.#recent.at(-1);
    if (before && reading.at <= before.at) { // the clock was set back: what was kept lies in the future
      [this.points, this.marks, this.#recent] = [[], [], []];
      before = undefined;
    }
    const what = before ? replaced(before, reading) : "";
    if (before && !what && reading.at - before.at < least) return;
    if (what) this.marks.push({ at: reading.at, what });
    if (before && (what || reading.at - before.at > gap)) {
      this.points.push({ at: before.at + 1 }); // a hole: no line is drawn across it
      this.#recent = [];
      before = undefined;
    }
    this.#recent.push(reading);
    this.points.push({ at: reading.at, ...reading.gauges, ...rates(before, reading), ...this.#quantiles(reading) });
    this.#forget(reading.at);
  }

  #quantiles(reading) {
    const before = this.#recent.find(other => other.at >= reading.at - quantileSpan);
    const h = before === reading ? null : added(before?.firstToken ?? null, reading.firstToken);
    return { p50: quantile(h, 0.5), p95: quantile(h, 0.95) };
  }

  #forget(now) {
    this.points = this.points.filter(point => point.at > now - span);
    this.marks = this.marks.filter(mark => mark.at > now - span);
    this.#recent = this.#recent.filter(reading => reading.at >= now - quantileSpan);
  }
}

/**
 * Whether another process answers than before: "restarted" where it began
 * after the one before was last heard, "other" where both may live, as behind
 * a balancer, "" where it is the same.
 * @param {Reading} before
 * @param {Reading} after
 * @returns {"" | "restarted" | "other"}
 */
export function replaced(before, after) {
  const sameId = before.self.id === after.self.id;
  const sameStart = before.started === null || after.started === null || Math.abs(after.started - before.started) < 1000;
  if (sameId && sameStart) return fell(before, after) ? "restarted" : "";
  if (sameId) return "restarted";
  if (after.started !== null && before.serverAt !== null) return after.started > before.serverAt - clocks ? "restarted" : "other";
  return after.gateways.some(gateway => gateway.id === before.self.id) ? "other" : "restarted";
}

function fell(before, after) {
  return perSecond.some(name => before.counters[name] !== null && after.counters[name] !== null &&
    after.counters[name] < before.counters[name]);
}

function rates(before, after) {
  return Object.fromEntries(perSecond.map(name => [name, rate(before, after, name)]));
}

function rate(before, after, name) {
  if (!before || before.counters[name] === null || after.counters[name] === null) return null;
  return Math.max(0, after.counters[name] - before.counters[name]) * 1000 / (after.at - before.at);
}
