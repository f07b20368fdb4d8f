// The chat inside pages of other origins, by one script tag.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { startSite } from "../harness/site.mjs";
import { startVendor } from "../harness/vendor.mjs";
import { Chat, networkNoise } from "./driver.mjs";

const browse = browsing();

const shopPage = (tag) => `<!doctype html><html lang="en"><title>Shop</title><main><h1>Shop</h1><p>Lamps.</p><div id="place"></div></main>${tag}`;

/** A shop whose pages hold these tags (made of the server's address), and a troupe that allows it or not. */
async function shop(scene, { allowed = true, tag, headers }) {
  const vendor = scene.with(await startVendor());
  const site = scene.with(await startSite({}));
  const troupe = scene.with(
    await startTroupe({ vendor: vendor.url, products: { 11: { name: "Reading lamp" }, 12: { name: "Desk" } }, origins: allowed ? [site.url] : [] }),
  );
  site.pages["/"] = { body: shopPage(tag(troupe.url)), headers: headers?.(troupe) };
  return { vendor, site, troupe };
}

const lampTag = (server) => `<script src="${server}/embed.js" data-product="11" data-title="Ask about the lamp" async></script>`;

browse("embed: on an allowed origin a button opens the chat, and Escape gives the focus back", {}, async (scene) => {
  const { vendor, site } = await shop(scene, { tag: lampTag });
  const page = await scene.tab(site.url);
  const launcher = page.getByRole("button", { name: "Ask about the lamp" });
  await launcher.click();
  const panel = page.getByRole("dialog", { name: "Ask about the lamp" });
  const chat = new Chat(page, panel);
  await chat.hear("Is it bright?");
  await chat.hear("Is it heavy?");
  assert.deepEqual(
    vendor.asked[1].messages.map((m) => m.content),
    ["Is it bright?", "You said: Is it bright?", "Is it heavy?"],
  );
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "hidden" });
  assert.ok(await launcher.evaluate((button) => button.getRootNode().activeElement === button), "the focus is back on the button");

  await page.reload();
  await launcher.click();
  await chat.says("You said: Is it heavy?");
});

browse(
  "embed: it works under a strict policy of the foreign page",
  {},
  async (scene) => {
    const { site } = await shop(scene, {
      tag: lampTag,
      headers: ({ url, host }) => ({
        "Content-Security-Policy":
          `default-src 'none'; script-src ${url}; connect-src ${url} ws://${host}; ` +
          "require-trusted-types-for 'script'; trusted-types dompurify",
      }),
    });
    const page = await scene.tab(site.url);
    await page.getByRole("button", { name: "Ask about the lamp" }).click();
    const chat = new Chat(page, page.getByRole("dialog"));
    await chat.hear("**Bright**?");
    await chat.answers.locator("strong", { hasText: "Bright" }).waitFor();
  },
);

browse("embed: on a refused origin visitors read calm words and the owner the line to add", { expect: networkNoise }, async (scene) => {
  const { vendor, site } = await shop(scene, { allowed: false, tag: lampTag });
  const page = await scene.tab();
  const warnings = [];
  page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  await page.goto(site.url);
  await page.getByRole("button", { name: "Ask about the lamp" }).click();
  const panel = page.getByRole("dialog");
  await panel.getByText("This chat is not open to this page yet.").first().waitFor();
  const line = `http: {extra_origins: ["${site.url}"]}`;
  assert.equal(await panel.getByText(line).isVisible(), false, "not in a visitor's face");
  await panel.getByText("For the owner of this page").click();
  await panel.getByText(line).waitFor();
  assert.equal(warnings.filter((text) => text.includes(line)).length, 1, "told once in the console");
  assert.equal(vendor.asked.length, 0);
});

browse("embed: two chats in one page, one of them in its place", {}, async (scene) => {
  const { vendor, site, troupe } = await shop(scene, {
    tag: (server) => `${lampTag(server)}<script src="${server}/embed.js" data-product="12" data-title="Ask about the desk" data-target="#place" async></script>`,
  });
  const page = await scene.tab(site.url);
  const desk = new Chat(page, page.locator("#place"));
  await desk.hear("How wide?");
  await page.getByRole("button", { name: "Ask about the lamp" }).click();
  const lamp = new Chat(page, page.getByRole("dialog", { name: "Ask about the lamp" }));
  await lamp.hear("How bright?");
  assert.deepEqual(vendor.asked.map((call) => call.messages.length), [1, 1], "each has a conversation of its own");
  assert.equal(await desk.answers.count(), 1);
  assert.equal((await troupe.status()).connection_pool.active, 2);
});

browse("embed: a tag without a product says what is missing", { expect: [/console: Troupe: .*data-product/] }, async (scene) => {
  const { site } = await shop(scene, { tag: (server) => `<script src="${server}/embed.js" async></script>` });
  const page = await scene.tab();
  const [told] = await Promise.all([page.waitForEvent("console"), page.goto(site.url)]);
  assert.match(told.text(), /data-product/);
});
