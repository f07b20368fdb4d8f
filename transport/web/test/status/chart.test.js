import assert from "node:assert/strict";
import { test } from "node:test";
import { across, down, extent, linePath, nearest, roundTop, stepped } from "../../status/chart.js";

const frame = { from: 1000, to: 2000, top: 10, width: 100, height: 50 };
const points = (...values) => values.map((v, i) => ({ at: 1000 + i * 250, v }));

test("times go across, values go down", () => {
  assert.equal(across(frame, 1000), 0);
  assert.equal(across(frame, 1500), 50);
  assert.equal(down(frame, 0), 50);
  assert.equal(down(frame, 10), 0);
  assert.equal(down(frame, 99), 0, "at the edge, not beyond");
  assert.equal(down(frame, -1), 50);
});

test("a line joins what has a value", () => {
  assert.equal(linePath(points(0, 5, 10), "v", frame), "M0 50L25 25L50 0");
  assert.equal(linePath(points(0, 5, null, 10, 0), "v", frame), "M0 50L25 25M75 0L100 50");
  assert.equal(linePath(points(0, NaN, 5, undefined, 10), "v", frame), "M0 50h0M50 25h0M100 0h0", "alone it is a dot");
  assert.equal(linePath(points(null, Infinity), "v", frame), "");
  assert.equal(linePath([], "v", frame), "");
  assert.equal(linePath([{ at: 500, v: 1 }, { at: 1000, v: 0 }, { at: 2500, v: 1 }], "v", frame), "M0 50h0", "outside the time");
});

test("the scale ends at a round number above all values", () => {
  const top = (value, least = 1, unit = 1) => roundTop([{ at: 0, v: value }], ["v", "w"], least, unit);
  assert.deepEqual([0, null, NaN, 1, 1.1, 2, 3, 5, 7, 10, 11, 51].map(v => top(v)), [1, 1, 1, 1, 2, 2, 5, 5, 10, 10, 20, 100]);
  assert.equal(top(0.3, 0.1), 0.5);
  assert.equal(top(0, 0.1), 0.1);
  assert.equal(top(30 * 2 ** 20, 2 ** 20, 2 ** 20), 50 * 2 ** 20);
});

test("the nearest point is one that has a value", () => {
  const all = points(1, null, 3, null);
  assert.equal(nearest(all, ["v"], 1240), all[0]);
  assert.equal(nearest(all, ["v"], 1260).v, 3);
  assert.equal(nearest(all, ["v"], 9999).v, 3);
  assert.equal(nearest(all, ["w"], 1000), null);
});

test("steps stay among the points that have a value", () => {
  const all = points(1, null, 3, 4);
  assert.equal(stepped(all, ["v"], 1000, 1).v, 3);
  assert.equal(stepped(all, ["v"], 1750, -2).v, 1);
  assert.equal(stepped(all, ["v"], 1750, 5).v, 4);
  assert.equal(stepped(all, ["v"], 1500, -Infinity).v, 1);
  assert.equal(stepped(all, ["v"], 1500, Infinity).v, 4);
  assert.equal(stepped([], ["v"], 1000, 1), null);
});

test("what a series did in words", () => {
  assert.deepEqual(extent(points(2, null, 1, 5, NaN), "v"), { last: 5, lowest: 1, highest: 5 });
  assert.equal(extent(points(null), "v"), null);
});
