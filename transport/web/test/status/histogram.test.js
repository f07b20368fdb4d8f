import assert from "node:assert/strict";
import { test } from "node:test";
import { added, quantile } from "../../status/histogram.js";

const bounds = [0.1, 1, 10, Infinity];
const h = (...counts) => ({ bounds, counts });

test("the difference of two readings", () => {
  assert.deepEqual(added(h(1, 2, 3, 4), h(2, 4, 6, 8)), h(1, 2, 3, 4));
  assert.equal(added(h(1, 2, 3, 4), h(0, 1, 1, 1)), null, "after a restart");
  assert.equal(added(h(0, 0, 0, 0), { bounds: [1, Infinity], counts: [1, 1] }), null, "other bounds");
  assert.equal(added(h(0, 0, 0, 0), { bounds: [0.2, 1, 10, Infinity], counts: [1, 1, 1, 1] }), null, "other bounds");
  assert.equal(added(null, h(1, 1, 1, 1)), null);
  assert.equal(added(h(1, 1, 1, 1), null), null);
});

test("a quantile lies evenly inside its bucket", () => {
  assert.equal(quantile(h(10, 10, 10, 10), 0.5), 0.05);
  assert.equal(quantile(h(0, 10, 10, 10), 0.5), 0.1 + 0.9 * 0.5);
  assert.equal(quantile(h(5, 10, 10, 10), 0.5), 0.1);
  assert.equal(quantile(h(0, 0, 4, 4), 1), 10);
});

test("beyond the last bound only that bound is known", () => {
  assert.equal(quantile(h(0, 0, 0, 3), 0.5), 10);
  assert.equal(quantile({ bounds: [Infinity], counts: [3] }, 0.5), null);
});

test("nothing counted is no value", () => {
  assert.equal(quantile(h(0, 0, 0, 0), 0.5), null);
  assert.equal(quantile(null, 0.5), null);
});
