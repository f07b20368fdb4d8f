// What happened between two readings of a histogram.

/** @typedef {import("./metrics.js").Histogram} Histogram */

/**
 * What was added since before; null where the two cannot be compared, as after
 * a restart.
 * @param {Histogram | null} before
 * @param {Histogram | null} after
 * @returns {Histogram | null}
 */
export function added(before, after) {
  if (!before || !after || before.bounds.length !== after.bounds.length) return null;
  if (before.bounds.some((bound, i) => bound !== after.bounds[i])) return null;
  const counts = after.counts.map((count, i) => count - before.counts[i]);
  return counts.some(count => count < 0) ? null : { bounds: after.bounds, counts };
}

/**
 * The value that a share of all stays below, evenly spread inside its bucket.
 * Above the last finite bound nothing is known, so that bound is the answer:
 * at least so much. null where nothing was counted.
 * @param {Histogram | null} h
 * @param {number} share  0 to 1
 * @returns {number | null}
 */
export function quantile(h, share) {
  const all = h?.counts.at(-1) ?? 0;
  if (!h || !(all > 0)) return null;
  const rank = share * all;
  const i = h.counts.findIndex(count => count >= rank && count > 0);
  if (h.bounds[i] === Infinity) return h.bounds[i - 1] ?? null;
  const low = i ? h.bounds[i - 1] : 0, below = i ? h.counts[i - 1] : 0;
  const inside = h.counts[i] - below;
  return inside > 0 ? low + (h.bounds[i] - low) * (rank - below) / inside : h.bounds[i];
}
