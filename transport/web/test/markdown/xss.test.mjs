import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, POLICY } from "./harness.mjs";
import { vectors } from "./vectors.mjs";

const UNSAFE = { "lib/render.js": "unsafe-render.js", "lib/sanitize.js": "unsafe-sanitize.js" };
const NOTHING = { found: [], executions: 0, violations: [], dialogs: [], requests: [], errors: [] };

/** Runs vectors in a page, and tells everything that must not have happened. */
async function attack(texts, options, how = "attack") {
  const { page, seen, close } = await openPage(options);
  try {
    const found = [];
    for (let i = 0; i < texts.length; i += 10) {
      found.push(...(await page.evaluate(([name, batch]) => window.harness[name](batch), [how, texts.slice(i, i + 10)])));
    }
    return { found, ...(await page.evaluate(() => window.harness.caught)), ...seen };
  } finally {
    await close();
  }
}

test("there are plenty of vectors, each once", () => {
  assert.ok(vectors.length >= 120);
  assert.equal(new Set(vectors).size, vectors.length);
});

test("no vector runs, asks for anything or leaves anything, cut at any place", async () => {
  assert.deepEqual(await attack(vectors), NOTHING);
});

test("the sanitiser alone holds too, without the policy and with raw HTML", async () => {
  assert.deepEqual(await attack(vectors, { policy: "" }, "attackSanitizer"), NOTHING);
});

test("counter-check: without sanitiser and renderer the same attacks are seen", async () => {
  const some = vectors.filter((text) => /onerror|evil\.test\/i|javascript/.test(text)).slice(0, 40);
  const bare = await attack(some, { instead: UNSAFE, policy: "" });
  assert.ok(bare.executions > 100, `${bare.executions} executions`);
  assert.ok(bare.requests.length > 0);
  assert.ok(bare.found.length > 100);
  const policed = await attack(some, { instead: UNSAFE, policy: POLICY });
  assert.equal(policed.executions, 0);
  assert.ok(policed.violations.length > 100, `${policed.violations.length} violations`);
});
