// docs/embedding.md promises what the chat costs a page. What is served is what gzip at its best makes of the files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const web = fileURLToPath(new URL("../../", import.meta.url));
const doc = readFileSync(join(web, "../../docs/embedding.md"), "utf8");

/** A module and all that it imports statically, by name. */
function closure(name, into = new Set()) {
  if (into.has(name)) return into;
  into.add(name);
  const source = readFileSync(join(web, name), "utf8");
  for (const [, other] of source.matchAll(/(?:^|[\n;}])\s*(?:import|export)\s*(?:[\w*{}\s,$]+?\s*from\s*)?["'](\.[^"']+)["']/g)) {
    closure(join(dirname(name), other), into);
  }
  return into;
}

const sum = (names) => Array.from(names).reduce((bytes, name) => bytes + gzipSync(readFileSync(join(web, name)), { level: 9 }).length, 0) / 1000;

function isNear(said, measured, what) {
  assert.ok(Math.abs(said - measured) <= measured / 10, `${what}: the page says ${said} KB, it is ${measured.toFixed(1)} KB`);
}

const button = ["embed.js", "lib/markdown.css", ...closure("product/widget.js")];
const opened = [...closure("product/conversation.js")].filter((name) => !button.includes(name));

test("the weight of the button", () => {
  const [, size, files] = /for the button \| (\d+) KB in (\d+) files/.exec(doc);
  isNear(size, sum(button), "the button");
  assert.equal(Number(files), button.length);
});

test("the weight of the open chat", () => {
  const [, all, client, text] = /(\d+) KB more: the client (\d+), Markdown and its sanitiser (\d+) \|/.exec(doc);
  isNear(all, sum(opened), "opening the chat");
  isNear(client, sum(["client/troupe.js"]), "the client");
  isNear(text, sum(closure("lib/markdown.js")), "Markdown");
});
