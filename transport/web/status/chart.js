// The arithmetic of a line chart; plot.js draws it.

/**
 * @typedef {{ at: number, [series: string]: number | null }} Point
 * @typedef {{ from: number, to: number, top: number, width: number, height: number }} Frame
 *   the time from left to right, the value at the upper edge (0 is the lower one), and the size of the drawing
 */

const known = value => typeof value === "number" && Number.isFinite(value);

/** The way of a time from left to right. */
export function across(frame, at) {
  return round((at - frame.from) / (frame.to - frame.from) * frame.width);
}

/** The way of a value down from the upper edge; what lies outside stays at the edge. */
export function down(frame, value) {
  const share = Math.min(1, Math.max(0, value / frame.top));
  return round((1 - share) * frame.height);
}

function round(n) { return Math.round(n * 10) / 10; }

/**
 * The path of one series. Where it has no value the line is broken; a value
 * alone between two breaks is a dot.
 * @param {Point[]} points  by time
 * @param {string} name
 * @param {Frame} frame
 */
export function linePath(points, name, frame) {
  let path = "", pen = 0;
  for (const point of points) {
    const value = point[name];
    if (!known(value) || point.at < frame.from || point.at > frame.to) { path += pen === 1 ? "h0" : ""; pen = 0; continue; }
    path += `${pen ? "L" : "M"}${across(frame, point.at)} ${down(frame, value)}`;
    pen++;
  }
  return pen === 1 ? `${path}h0` : path;
}

/**
 * The value at the upper edge: 1, 2 or 5 times a power of ten, in units, that
 * none of the values exceeds.
 * @param {Point[]} points
 * @param {string[]} names
 * @param {number} least  never less than this
 * @param {number} unit  what counts as one, as 2**20 for MiB
 */
export function roundTop(points, names, least, unit = 1) {
  let highest = least;
  for (const point of points) for (const name of names) if (known(point[name])) highest = Math.max(highest, point[name]);
  const wanted = highest / unit;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 5, 10].find(times => times * power >= wanted * (1 - 1e-9)) ?? 10;
  return step * power * unit;
}

/**
 * The point nearest to a time that has any of the values; null where there is none.
 * @param {Point[]} points
 * @param {string[]} names
 * @param {number} at
 * @returns {Point | null}
 */
export function nearest(points, names, at) {
  let best = null;
  for (const point of points) {
    if (!names.some(name => known(point[name]))) continue;
    if (!best || Math.abs(point.at - at) < Math.abs(best.at - at)) best = point;
  }
  return best;
}

/**
 * The point some steps before or after the one at a time; the first or the
 * last one where there are not so many.
 * @param {Point[]} points
 * @param {string[]} names
 * @param {number} at
 * @param {number} steps
 */
export function stepped(points, names, at, steps) {
  const shown = points.filter(point => names.some(name => known(point[name])));
  const here = shown.indexOf(/** @type {Point} */ (nearest(shown, names, at)));
  return shown[Math.min(shown.length - 1, Math.max(0, here + steps))] ?? null;
}

/**
 * What a series did, for those who do not see the line: null where it has no value.
 * @param {Point[]} points
 * @param {string} name
 */
export function extent(points, name) {
  const values = points.map(point => point[name]).filter(known);
  if (!values.length) return null;
  return { last: values.at(-1), lowest: Math.min(...values), highest: Math.max(...values) };
}
