import assert from "node:assert/strict";
import { test } from "node:test";
import { accentOf, findTarget, readOptions } from "../../product/options.js";

test("a tag with a product alone gets every default", () => {
  const { options, problems } = readOptions({ product: "11" });
  assert.deepEqual(problems, []);
  assert.deepEqual(options, {
    product: "11", accent: null, theme: "system", open: false, target: "",
    title: "Ask about this product", greeting: "Ask a question. The answer appears here as it is written.",
  });
});

test("everything that a tag may say", () => {
  const { options, problems } = readOptions({
    product: " lamp:2.b ", title: " The lamp ", greeting: "Hello.\nAsk.", theme: "dark", accent: " #0a5 ", open: "", target: "#chat",
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(options, {
    product: "lamp:2.b", title: "The lamp", greeting: "Hello.\nAsk.", theme: "dark", open: true, target: "#chat",
    accent: { fill: "#00aa55", on: "#000000" },
  });
});

test("a product that cannot exist is named, shortened", () => {
  for (const product of [undefined, "", "-a", "a b", "a/b", "ä", "x".repeat(129), "<script>"]) {
    const { options, problems } = readOptions({ product });
    assert.equal(options, null, String(product));
    assert.match(problems[0], /^data-product=.* is no product id/);
    assert.ok(problems[0].length < 220);
  }
  assert.ok(readOptions({ product: "x".repeat(128) }).options);
});

test("a mistake costs what it names and not the chat", () => {
  const { options, problems } = readOptions({ product: "1", theme: "pink", accent: "red;} * {display:none", title: "t".repeat(500) });
  assert.equal(options.theme, "system");
  assert.equal(options.accent, null);
  assert.equal(options.title.length, 120);
  assert.deepEqual(problems.map((p) => p.split("=")[0]), ["data-accent", "data-theme"]);
});

test("open is an attribute without a value; false closes", () => {
  for (const [said, open] of [[undefined, false], ["", true], ["true", true], ["false", false]]) {
    assert.equal(readOptions({ product: "1", open: said }).options.open, open, String(said));
  }
});

test("an accent is a hex colour and nothing else", () => {
  for (const wrong of ["", "red", "#12", "#1234", "#12345", "#1234567", "#12g", "url(//x)", "var(--x)", "#fff;", "rgb(0 0 0)", "\n#fff\n;"]) assert.equal(accentOf(wrong), null, wrong);
  assert.deepEqual(accentOf("#FFF"), { fill: "#ffffff", on: "#000000" });
  assert.deepEqual(accentOf("#1f5f8b"), { fill: "#1f5f8b", on: "#ffffff" });
});

test("what stands on an accent can be read, on any", () => {
  const linear = (c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  const light = (hex) => [.2126, .7152, .0722].reduce((sum, weight, i) => sum + weight * linear(parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16) / 255), 0);
  const steps = ["00", "22", "44", "66", "77", "88", "aa", "cc", "ff"];
  for (const r of steps) for (const g of steps) for (const b of steps) {
    const { fill, on } = accentOf(`#${r}${g}${b}`);
    const [low, high] = [light(fill), light(on)].sort((x, y) => x - y);
    assert.ok((high + .05) / (low + .05) >= 4.5, `${on} on ${fill}`);
  }
});

test("a target is found, missing or no selector", () => {
  const page = { querySelector(selector) { if (selector === "][") throw new SyntaxError("no selector"); return selector === "#chat" ? page : null; } };
  assert.deepEqual(findTarget("#chat", page), { element: page, problem: "" });
  assert.match(findTarget("#other", page).problem, /data-target="#other" is not in this page/);
  assert.match(findTarget("][", page).problem, /data-target="\]\[" is no CSS selector/);
});
