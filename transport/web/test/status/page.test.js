import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { values } from "../../status/numbers.js";
import { readingAt } from "./make.js";

const html = readFileSync(new URL("../../status.html", import.meta.url), "utf8");
const folder = new URL("../../status/", import.meta.url);
const all = (text, pattern) => [...text.matchAll(pattern)].map(found => found[1]);

test("every number of the page is one that is made", () => {
  const made = Object.keys(values(readingAt(1000)));
  assert.deepEqual(all(html, /data-value="(\w+)"/g).sort(), made.sort());
});

test("the page preloads each of its modules and names no file that is missing", () => {
  const modules = readdirSync(folder).filter(name => name.endsWith(".js")).map(name => `status/${name}`);
  const named = all(html, /(?:href|src)="%ASSETS%\/([^"]+\.js)"/g);
  assert.deepEqual(named.sort(), modules.sort());
});

test("every element that the script asks for is there", () => {
  const ids = all(html, / id="([\w-]+)"/g);
  assert.equal(new Set(ids).size, ids.length);
  for (const name of readdirSync(folder).filter(name => name.endsWith(".js"))) {
    const script = readFileSync(new URL(name, folder), "utf8");
    for (const id of [...all(script, /\$\("([\w-]+)"\)/g), ...all(script, /querySelector\("#([\w-]+)/g)]) assert.ok(ids.includes(id), `${name}: ${id}`);
  }
});

test("the page obeys its policy: nothing inline, nothing from elsewhere", () => {
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
  assert.doesNotMatch(html, /(?:href|src)="(?!%ASSETS%\/|data:,")/);
});
