import assert from "node:assert/strict";
import { test } from "node:test";
import { History, replaced, span } from "../../status/history.js";
import { readingAt, startedAt } from "./make.js";

const history = (...readings) => {
  const h = new History();
  for (const r of readings) h.add(r);
  return h;
};

test("rates are differences over the time between", () => {
  const { points, marks } = history(readingAt(10_000, { accepted: 5, chunks: 100 }), readingAt(12_000, { accepted: 8, chunks: 150 }));
  assert.equal(points[0].accepted, null, "the first has nothing to compare with");
  assert.equal(points[1].accepted, 1.5);
  assert.equal(points[1].chunks, 25);
  assert.equal(points[1].rejected, 0);
  assert.equal(points[1].goroutines, 50);
  assert.deepEqual(marks, []);
});

test("a restart breaks the lines, is marked, and makes no rate negative", () => {
  const { points, marks } = history(
    readingAt(10_000, { accepted: 500 }), readingAt(12_000, { accepted: 510 }),
    readingAt(16_000, { accepted: 3, id: "GATEWAYB0001", started: startedAt + 13_000 }),
    readingAt(18_000, { accepted: 7, id: "GATEWAYB0001", started: startedAt + 13_000 }));
  assert.deepEqual(points.map(point => point.accepted), [null, 5, undefined, null, 2]);
  assert.equal(points[2].goroutines, undefined, "a hole");
  assert.deepEqual(marks, [{ at: startedAt + 16_000, what: "restarted" }]);
});

test("counters that fall are a restart even where nothing else tells", () => {
  const o = { started: null };
  const { points, marks } = history(readingAt(10_000, { ...o, completed: 9 }), readingAt(12_000, { ...o, completed: 1 }));
  assert.ok(points.every(point => !(point.completed < 0)));
  assert.equal(marks[0].what, "restarted");
});

test("a balancer that asks another gateway is no restart", () => {
  const [a, b] = ["GATEWAYA0001", "GATEWAYB0001"];
  const first = readingAt(10_000, { id: a, others: [b] });
  assert.equal(replaced(first, readingAt(12_000, { id: b, others: [a], started: startedAt - 60_000 })), "other");
  assert.equal(replaced(first, readingAt(12_000, { id: b, others: [a], started: null })), "other");
  assert.equal(replaced(first, readingAt(12_000, { id: b, started: null })), "restarted");
  assert.equal(replaced(first, readingAt(12_000, { id: b, others: [a], started: startedAt + 11_000 })), "restarted",
    "the one before is still listed for a moment");
  assert.equal(replaced(first, readingAt(12_000, { id: a, started: startedAt + 11_000 })), "restarted");
  assert.equal(replaced(first, readingAt(12_000, { id: a })), "");
});

test("nothing is drawn across a time when nobody looked", () => {
  const { points, marks } = history(readingAt(10_000, { accepted: 5 }), readingAt(60_000, { accepted: 500 }), readingAt(62_000, { accepted: 502 }));
  assert.deepEqual(points.map(point => point.accepted), [null, undefined, null, 1]);
  assert.deepEqual(marks, []);
});

test("first tokens are those of the minute before", () => {
  const buckets = (fast, slow) => [["0.1", fast], ["1", fast + slow], ["+Inf", fast + slow]];
  const h = new History();
  for (let i = 0; i <= 40; i++) h.add(readingAt(i * 2000, { buckets: buckets(i < 5 ? i : 5, 0) }));
  assert.equal(h.points[0].p50, null);
  assert.ok(Math.abs(h.points[3].p50 - 0.05) < 1e-9);
  assert.equal(h.points[40].p50, null, "the fast ones are longer ago than a minute");
  h.add(readingAt(82_000, { buckets: buckets(5, 4) }));
  assert.ok(Math.abs(h.points[41].p50 - 0.55) < 1e-9);
  assert.ok(h.points[41].p95 > h.points[41].p50);
});

test("ten minutes are kept, and no more", () => {
  const h = new History();
  for (let i = 0; i < 400; i++) h.add(readingAt(i * 2000, { id: i < 20 ? "GATEWAYA0001" : "GATEWAYB0001", started: null }));
  assert.equal(h.points.length, span / 2000);
  assert.ok(h.points[0].at > h.points.at(-1).at - span);
  assert.deepEqual(h.marks, []);
});

test("a clock that is set back begins anew", () => {
  const { points } = history(readingAt(60_000, { accepted: 5 }), readingAt(10_000, { accepted: 6 }), readingAt(12_000, { accepted: 8 }));
  assert.deepEqual(points.map(point => point.accepted), [null, 1]);
});

test("a reading right after another makes no wild rate", () => {
  const { points } = history(readingAt(10_000, { accepted: 5 }), readingAt(10_050, { accepted: 6 }), readingAt(12_000, { accepted: 7 }));
  assert.deepEqual(points.map(point => point.accepted), [null, 1]);
});
