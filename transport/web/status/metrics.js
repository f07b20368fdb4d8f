// What /metrics says, in the text format of Prometheus, read into maps. Lines
// that cannot be understood are left out: one strange family must not hide the
// others.

/**
 * @typedef {{ labels: Map<string, string>, value: number }} Sample
 * @typedef {Map<string, Sample[]>} Metrics  samples by metric name
 * @typedef {{ bounds: number[], counts: number[] }} Histogram  upper bounds, rising, and how many were at most that
 */

// A label's value may hold a closing brace, so the labels reach to the last one.
const line = /^[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(?:\{(.*)\})?[ \t]*(?<=[ \t}])(\S+)(?:[ \t]+-?\d+)?[ \t]*\r?$/s;
const label = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(,|$)/gsy;

/**
 * @param {string} text
 * @returns {Metrics}
 */
export function parseMetrics(text) {
  /** @type {Metrics} */
  const metrics = new Map();
  for (const written of text.split("\n")) {
    if (written.startsWith("#")) continue;
    const parts = line.exec(written);
    if (!parts) continue;
    const labels = parseLabels(parts[2] ?? "");
    const value = parseValue(parts[3]);
    if (!labels || value === undefined) continue;
    const samples = metrics.get(parts[1]);
    if (samples) samples.push({ labels, value });
    else metrics.set(parts[1], [{ labels, value }]);
  }
  return metrics;
}

function parseLabels(text) {
  const labels = new Map();
  label.lastIndex = 0;
  for (let at = 0; text.slice(at).trim() !== ""; at = label.lastIndex) {
    const found = label.exec(text);
    if (!found) return null;
    labels.set(found[1], unescape(found[2]));
  }
  return labels;
}

// Any other escape stands for itself, backslash and all.
function unescape(text) {
  return text.replace(/\\([\\"n])/g, (_, what) => what === "n" ? "\n" : what);
}

function parseValue(text) {
  switch (text.toLowerCase()) {
    case "nan": return NaN;
    case "inf": case "+inf": return Infinity;
    case "-inf": return -Infinity;
  }
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? undefined : value;
}

/**
 * The sum over all samples of a family, NaN left out; undefined where there are none.
 * @param {Metrics} metrics
 * @param {string} name
 * @returns {number | undefined}
 */
export function total(metrics, name) {
  const numbers = (metrics.get(name) ?? []).map(sample => sample.value).filter(value => !Number.isNaN(value));
  return numbers.length ? numbers.reduce((sum, value) => sum + value, 0) : undefined;
}

/**
 * Sums by the values of one label, without those that are 0.
 * @param {Metrics} metrics
 * @param {string} name
 * @param {string} by
 * @returns {Map<string, number>}
 */
export function totals(metrics, name, by) {
  const sums = new Map();
  for (const { labels, value } of metrics.get(name) ?? []) {
    if (!value) continue;
    const key = labels.get(by) ?? "";
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return sums;
}

/**
 * The label of a family that says one thing about the whole process, as a version.
 * @param {Metrics} metrics
 * @param {string} name
 * @param {string} of
 */
export function labelOf(metrics, name, of) {
  return metrics.get(name)?.[0]?.labels.get(of);
}

/**
 * A histogram, all its label sets together; null where there is none.
 * @param {Metrics} metrics
 * @param {string} name  without _bucket
 * @returns {Histogram | null}
 */
export function histogram(metrics, name) {
  const sums = new Map();
  for (const { labels, value } of metrics.get(`${name}_bucket`) ?? []) {
    const bound = parseValue(labels.get("le") ?? "");
    if (bound === undefined || Number.isNaN(bound) || Number.isNaN(value)) continue;
    sums.set(bound, (sums.get(bound) ?? 0) + value);
  }
  if (!sums.size) return null;
  const bounds = [...sums.keys()].sort((a, b) => a - b);
  return { bounds, counts: bounds.map(bound => sums.get(bound)) };
}
