import assert from "node:assert/strict";
import { test } from "node:test";
import { histogram, labelOf, parseMetrics, total, totals } from "../../status/metrics.js";

const one = text => {
  const all = [...parseMetrics(text)];
  assert.equal(all.length, 1, text);
  const [name, [{ labels, value }]] = all[0];
  return { name, labels: Object.fromEntries(labels), value };
};

test("a line is a name, labels and a value", () => {
  assert.deepEqual(one("go_goroutines 50"), { name: "go_goroutines", labels: {}, value: 50 });
  assert.deepEqual(one('a:b_total{x="1",y="two"} 9.223372036854776e+18'), { name: "a:b_total", labels: { x: "1", y: "two" }, value: 9.223372036854776e18 });
  assert.deepEqual(one(' a{x="1",} \t-0.5 1795352219000\r'), { name: "a", labels: { x: "1" }, value: -0.5 });
  assert.deepEqual(one("a{} 1"), { name: "a", labels: {}, value: 1 });
  assert.deepEqual(one('a { x = "1" , y = "2" } 1'), { name: "a", labels: { x: "1", y: "2" }, value: 1 });
});

test("values that are no plain numbers", () => {
  assert.equal(one("a NaN").value, NaN);
  assert.equal(one("a +Inf").value, Infinity);
  assert.equal(one("a Inf").value, Infinity);
  assert.equal(one("a -Inf").value, -Infinity);
});

test("labels hold what they like", () => {
  assert.deepEqual(one(String.raw`a{x="say \"hi\"",y="C:\\new\nline",z="\t"} 1`).labels, { x: 'say "hi"', y: "C:\\new\nline", z: "\\t" });
  assert.deepEqual(one('a{x="}",y="{,=} 7",z="# no comment"} 1').labels, { x: "}", y: "{,=} 7", z: "# no comment" });
  assert.deepEqual(one('a{x="\u2028\r",y="ü😀"} 1').labels, { x: "\u2028\r", y: "ü😀" });
  assert.equal(parseMetrics('a{__proto__="x"} 1').get("a")[0].labels.get("__proto__"), "x");
});

test("what cannot be understood hides nothing else", () => {
  const text = ["# HELP a b", "# TYPE a counter", "", "a", "a{", 'a{x="1} 2', 'a{x="1" y="2"} 2', "a{x=1} 2", "a 0b", "a 1 2 3", "9a 1", "b 2"].join("\n");
  assert.deepEqual([...parseMetrics(text).keys()], ["b"]);
});

test("sums leave out NaN and say where there is nothing", () => {
  const metrics = parseMetrics('a{k="x"} 1\na{k="y"} 0\na{k="x",l="m"} 2\na{k="z"} NaN\nb NaN\nv{version="1.2"} 1');
  assert.equal(total(metrics, "a"), 3);
  assert.equal(total(metrics, "b"), undefined);
  assert.equal(total(metrics, "c"), undefined);
  assert.deepEqual([...totals(metrics, "a", "k")], [["x", 3]]);
  assert.equal(labelOf(metrics, "v", "version"), "1.2");
  assert.equal(labelOf(metrics, "c", "version"), undefined);
});

test("a histogram's buckets are brought in order and its label sets together", () => {
  const text = ["+Inf 7", "1 5", "0.1 2"].map(line => line.split(" ")).map(([le, n]) => `h_bucket{k="x",le="${le}"} ${n}\nh_bucket{k="y",le="${le}"} 1`);
  const metrics = parseMetrics([...text, "h_sum 3", "h_count 10", 'h_bucket{k="x"} 3', 'h_bucket{le="NaN"} 3'].join("\n"));
  assert.deepEqual(histogram(metrics, "h"), { bounds: [0.1, 1, Infinity], counts: [3, 6, 8] });
  assert.equal(histogram(metrics, "other"), null);
});
