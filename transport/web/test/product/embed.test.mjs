import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

// import() is syntax, which a context of vm cannot answer; it becomes a function that can be watched.
const source = readFileSync(new URL("../../embed.js", import.meta.url), "utf8").replaceAll("%ASSETS%", "/assets/v1").replace("import(", "load(");
const mounts = await import("data:text/javascript,export const calls = []; export function mount(...said) { calls.push(said); }");

/** Runs embed.js as a page would, with as much of a page as it touches. */
function run({ script, readyState = "complete", load = async () => mounts }) {
  const told = [];
  const listeners = [];
  const asked = [];
  const document = { currentScript: script, readyState, addEventListener: (name, listener) => listeners.push({ name, listener }) };
  const console = { error: (...words) => told.push(words.join(" ")) };
  const watched = (address) => { asked.push(address); return load(); };
  vm.runInNewContext(source, { document, console, URL, load: watched });
  return { told, listeners, asked };
}

const tag = (data, src = "https://chat.example:8443/embed.js?x=1") => ({ src, dataset: data });
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("the server is the script's, the module is of the server's version", async () => {
  mounts.calls.length = 0;
  const script = tag({ product: "11", title: "Lamp" });
  const { asked, told } = run({ script });
  script.dataset = {}; // the element may change before the module is there
  await settled();
  assert.deepEqual(asked, ["https://chat.example:8443/assets/v1/product/widget.js"]);
  assert.deepEqual(mounts.calls.map(([said, server]) => [{ ...said }, server]), [[{ product: "11", title: "Lamp" }, "https://chat.example:8443"]]);
  assert.deepEqual(told, []);
});

test("it waits for the page", async () => {
  mounts.calls.length = 0;
  const { asked, listeners } = run({ script: tag({ product: "11" }), readyState: "loading" });
  assert.deepEqual(asked, []);
  assert.equal(listeners[0].name, "DOMContentLoaded");
  listeners[0].listener();
  await settled();
  assert.equal(mounts.calls.length, 1);
});

test("a tag without a product is told the remedy, and nothing is loaded", () => {
  const { told, asked, listeners } = run({ script: tag({}) });
  assert.match(told[0], /Add data-product, as in <script src="https:\/\/chat\.example:8443\/embed\.js\?x=1" data-product="11" async>/);
  assert.deepEqual([asked, listeners], [[], []]);
});

test("a script that is none of its own is told how", () => {
  for (const script of [null, { src: "", dataset: { product: "11" } }]) assert.match(run({ script }).told[0], /script element of its own/);
});

test("a module that does not come names the policy", async () => {
  const { told } = run({ script: tag({ product: "11" }), load: () => Promise.reject(new Error("blocked")) });
  await settled();
  assert.match(told[0], /could not be loaded.*https:\/\/chat\.example:8443 in script-src/);
});
