// axe-core over every page and every face of it, in light and in dark.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { browsing, phone } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { startSite } from "../harness/site.mjs";
import { startVendor } from "../harness/vendor.mjs";
import { Chat, networkNoise, openChat } from "./driver.mjs";

const test = browsing();
// axe measures with a style element of its own, which the policy of the pages forbids.
const ofAxe = [/^console: Applying inline style violates/, /^policy: style-src-elem forbids inline/];
const browse = (name, { expect = [], ...options }, body) => test(name, { ...options, expect: [...expect, ...ofAxe] }, body);
const axe = await readFile(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");

const everything = [
  "# Heading", "Text with `code`, **weight**, *slope* and [a link](https://example.com/).", "> A quotation.",
  "1. one\n2. two\n   - nested", "- [x] done\n- [ ] open", "| a | b |\n|---|---|\n| 1 | 2 |",
  '```js\n// a comment\nexport const answer = (n) => `${n} of ${42}`;\nif (answer("x") !== null) throw new Error("no");\n```', "---",
].join("\n\n");

async function assertAccessible(page, what) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  assert.ok(passes.length > 5, `axe looked at ${what}`);
  const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
  const told = serious.map((v) => `${v.id} (${v.impact}): ${v.help}\n${v.nodes.map((n) => `    ${n.target.join(" ")}: ${n.failureSummary}`).join("\n")}`);
  assert.equal(serious.length, 0, `${what}:\n${told.join("\n")}`);
}

for (const colorScheme of ["light", "dark"]) {
  browse(`access: the chat page, ${colorScheme}`, { colorScheme, expect: networkNoise }, async (scene) => {
    const vendor = scene.with(await startVendor(() => everything));
    const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
    const proxy = scene.with(await startProxy(troupe));
    const chat = await openChat(scene, proxy.url);
    await assertAccessible(chat.page, "the empty page");
    await chat.hear("Show me everything.");
    await chat.answers.locator("pre [class^=hljs]").first().waitFor(); // the highlighter has been
    await chat.button("Regenerate").click();
    await chat.button("Previous version").waitFor();
    await chat.ended();
    await assertAccessible(chat.page, "an answer");
    await chat.button("Edit question").click();
    await assertAccessible(chat.page, "a question that is edited");
    await chat.page.keyboard.press("Escape");
    await chat.settings();
    await assertAccessible(chat.page, "the settings");
    await chat.closeSettings();
    proxy.down();
    await chat.connection("waiting");
    await assertAccessible(chat.page, "without a connection");
  });

  browse(`access: the chat page with an error, ${colorScheme}`, { colorScheme }, async (scene) => {
    const troupe = scene.with(await startTroupe({ faults: true, default_provider: "faulty", providers: { faulty: { default_model: "cut-20" } } }));
    const chat = await openChat(scene, troupe.url);
    await chat.ask("This answer breaks off in the middle of what it says");
    await chat.trouble.waitFor();
    await assertAccessible(chat.page, "an answer that broke off");
  });

  browse(`access: the chat page on a phone, ${colorScheme}`, { colorScheme, viewport: phone }, async (scene) => {
    const vendor = scene.with(await startVendor(() => everything));
    const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
    const chat = await openChat(scene, troupe.url);
    const tall = await chat.page.evaluate(() => document.documentElement.scrollHeight);
    assert.ok(tall <= phone.height, `the empty page is ${tall} pixels high and needs no scrolling`);
    await chat.hear("Show me everything.");
    await assertAccessible(chat.page, "an answer on a phone");
    assert.ok((await chat.page.evaluate(() => document.documentElement.scrollWidth)) <= phone.width, "nothing is wider than the phone");
    await chat.page.getByRole("button", { name: /conversations/i }).click();
    await chat.page.getByRole("navigation", { name: "Conversations" }).waitFor();
    await assertAccessible(chat.page, "the open sidebar");
    await chat.page.keyboard.press("Escape");
    await chat.page.locator("button[aria-label='Show conversations'][aria-expanded='false']:focus").waitFor();
  });

  browse(`access: the product page and the status page on a phone, ${colorScheme}`, { colorScheme, viewport: phone }, async (scene) => {
    const vendor = scene.with(await startVendor(() => everything));
    const troupe = scene.with(await startTroupe({ vendor: vendor.url, products: { 11: { name: "Reading lamp" } } }));
    const product = new Chat(await scene.tab(`${troupe.url}/products/11`));
    await product.hear("Is it bright?");
    await assertAccessible(product.page, "the product page on a phone");
    const status = await scene.tab(`${troupe.url}/status`);
    await status.getByRole("table").first().waitFor();
    await assertAccessible(status, "the status page on a phone");
    for (const page of [product.page, status]) {
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= phone.width, `${page.url()} is no wider than the phone`);
    }
  });

  browse(`access: the product page and the widget, ${colorScheme}`, { colorScheme }, async (scene) => {
    const vendor = scene.with(await startVendor(() => everything));
    const site = scene.with(await startSite({}));
    const troupe = scene.with(await startTroupe({ vendor: vendor.url, products: { 11: { name: "Reading lamp" } }, origins: [site.url] }));
    site.pages["/"] = `<!doctype html><html lang="en"><title>Shop</title><meta name="color-scheme" content="light dark"><main><h1>Shop</h1></main>
      <script src="${troupe.url}/embed.js" data-product="11" data-title="Ask about the lamp" async></script>`;
    const product = new Chat(await scene.tab(`${troupe.url}/products/11`));
    await product.hear("Is it bright?");
    await assertAccessible(product.page, "the product page");

    const page = await scene.tab(site.url);
    await page.getByRole("button", { name: "Ask about the lamp" }).click();
    await new Chat(page, page.getByRole("dialog")).hear("Is it heavy?");
    await assertAccessible(page, "the widget in a foreign page");
  });

  browse(`access: the status page, ${colorScheme}`, { colorScheme }, async (scene) => {
    const troupe = scene.with(await startTroupe());
    const chat = await openChat(scene, troupe.url);
    await chat.hear("Something to count");
    const page = await scene.tab(`${troupe.url}/status`);
    await page.getByRole("table").first().waitFor();
    await assertAccessible(page, "the status page");
  });
}
