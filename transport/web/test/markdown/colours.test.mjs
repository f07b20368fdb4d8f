import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");
const pairs = (css) => new Map(Array.from(css.matchAll(/(--[\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g), ([, name, light, dark]) => [name, [light, dark]]));

function luminance(colour) {
  const [r, g, b] = colour.match(/\w\w/g).map((pair) => {
    const part = Number.parseInt(pair, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

test("the colours of code can be read on its ground, in light and in dark", async () => {
  const base = pairs(await read("../../style/base.css"));
  const colours = new Map([...pairs(await read("../../lib/markdown.css")), ["--soft", base.get("--soft")], ["--ink", base.get("--ink")]]);
  assert.ok(colours.size >= 7);
  for (const [name, [light, dark]] of colours) {
    assert.ok(contrast(light, base.get("--sheet")[0]) >= 4.5, `${name} ${light} in light: ${contrast(light, base.get("--sheet")[0]).toFixed(2)}`);
    assert.ok(contrast(dark, base.get("--sheet")[1]) >= 4.5, `${name} ${dark} in dark: ${contrast(dark, base.get("--sheet")[1]).toFixed(2)}`);
  }
});
