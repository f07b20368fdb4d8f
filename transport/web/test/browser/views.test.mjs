// A shop of one page, where views and their chats come and go without a page load.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { startSite } from "../harness/site.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { slowly, startVendor } from "../harness/vendor.mjs";
import { Chat, networkNoise } from "./driver.mjs";

const browse = browsing();

const VIEWS = 30; // more than an address may have connections

/** The page of such a shop: view(n) shows the product n with its chat in place, and keeps the view before as `left`. */
const shopPage = (server) => `<!doctype html><html lang="en"><title>Shop</title><main></main><script>
  globalThis.view = (n) => {
    globalThis.left = document.querySelector("main > div");
    const [place, tag] = [document.createElement("div"), document.createElement("script")];
    place.id = "place";
    Object.assign(tag, { src: "${server}/embed.js" });
    Object.assign(tag.dataset, { product: n, target: "#place" });
    document.querySelector("main").replaceChildren(place);
    document.head.append(tag);
  };
</script>`;

async function shop(scene, answer) {
  const vendor = scene.with(await startVendor(answer));
  const site = scene.with(await startSite({}));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, limits: "shipped", origins: [site.url] }));
  site.pages["/"] = shopPage(troupe.url);
  const page = await scene.tab();
  // Who listens for the end of the page.
  await page.addInitScript(() => {
    globalThis.listening = new Set();
    const { addEventListener: add, removeEventListener: remove } = window;
    window.addEventListener = function (name, listener, options) {
      if (name === "pagehide") {
        globalThis.listening.add(listener);
        options?.signal?.addEventListener("abort", () => globalThis.listening.delete(listener));
      }
      add.call(window, name, listener, options);
    };
    window.removeEventListener = function (name, listener, options) {
      globalThis.listening.delete(listener);
      remove.call(window, name, listener, options);
    };
  });
  await page.goto(site.url);
  const show = async (n) => {
    await page.evaluate((number) => globalThis.view(number), n);
    const chat = new Chat(page, page.locator("#place"));
    await chat.connection("connected");
    return chat;
  };
  return { vendor, troupe, page, show, active: async () => (await troupe.status()).connection_pool.active };
}

browse("views: after thirty of them one socket is open, and nothing of the others listens", { timeout: 120_000 }, async (scene) => {
  const { page, show, active } = await shop(scene);
  await show(1);
  const before = await page.evaluate(() => globalThis.listening.size);
  for (let n = 2; n <= VIEWS; n++) await show(n);
  await expectSoon(async () => assert.equal(await active(), 1));
  assert.equal(await page.evaluate(() => globalThis.listening.size), before);
  await page.evaluate(() => document.querySelector("#place").remove());
  await expectSoon(async () => assert.equal(await active(), 0));
});

browse("views: an answer goes on where its view comes back, by its script or by its element", {}, async (scene) => {
  const text = Array.from({ length: 120 }, (_, i) => `lamp${i}`).join(" ");
  const { vendor, page, show } = await shop(scene, () => slowly(text, 30));
  let chat = await show(1);
  await chat.ask("Tell me about it.");
  await chat.question.fill("And");
  await chat.says("lamp5 ");
  await show(2);
  chat = await show(1);
  await chat.says("lamp20 ");
  await show(3);
  await page.evaluate(() => document.querySelector("main").replaceChildren(globalThis.left));
  assert.equal(await chat.ended(), text);
  assert.equal(await chat.question.inputValue(), "And");
  assert.equal(await chat.answers.count(), 1);
  assert.equal(vendor.asked.length, 1);
  await chat.button("New conversation").click();
  assert.equal(await chat.answers.count(), 0);
});

browse("views: a chat that is only moved goes on as it is", {}, async (scene) => {
  const { page, show, active } = await shop(scene);
  const chat = await show(1);
  await chat.hear("Is it bright?");
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await page.evaluate(() => document.querySelector("main").prepend(document.querySelector("#place")));
  await page.evaluate(() => document.body.append(document.querySelector("troupe-chat")));
  await new Chat(page).hear("Is it heavy?");
  assert.deepEqual(sockets, []);
  assert.equal(await active(), 1);
});

browse("views: in a page of another origin code stays plain, and nothing is refused", {}, async (scene) => {
  const { page, show } = await shop(scene, () => "```js\nlet a = 1;\n```\n");
  const chat = await show(1);
  await chat.hear("Show me code.");
  assert.equal(await chat.answers.locator("code").innerText(), "let a = 1;");
  assert.equal(await chat.answers.locator("[class^=hljs-]").count(), 0);
  assert.deepEqual(page.workers(), []);
});

browse("views: on the server's own page code has its colours", {}, async (scene) => {
  const vendor = scene.with(await startVendor(() => "```js\nlet a = 1;\n```\n"));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, products: { 11: { name: "Lamp" } } }));
  const chat = new Chat(await scene.tab(`${troupe.url}/products/11`));
  await chat.hear("Show me code.");
  await chat.answers.locator("[class^=hljs-]").first().waitFor();
});

browse("views: a question is announced as sent when it is", { expect: networkNoise }, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, products: { 11: { name: "Lamp" } } }));
  const proxy = scene.with(await startProxy(troupe));
  const chat = new Chat(await scene.tab(`${proxy.url}/products/11`));
  await chat.connection("connected");
  const spoken = await chat.page.evaluateHandle(() => {
    const words = [];
    const look = (records) => { for (const { target } of records) if (target.textContent) words.push(target.textContent); };
    const regions = document.querySelector("troupe-chat").shadowRoot.querySelectorAll("[aria-live=polite]");
    for (const region of regions) new MutationObserver(look).observe(region, { childList: true });
    return words;
  });
  proxy.down();
  await chat.connection("waiting");
  await chat.ask("Are you there?");
  const heard = async () => (await spoken.jsonValue()).filter((words) => !/^(Not )?[Cc]onnect/.test(words));
  await expectSoon(async () => assert.deepEqual(await heard(), ["Will be sent as soon as there is a connection."]));
  proxy.restore();
  await chat.tryNow();
  await expectSoon(async () => assert.deepEqual((await heard()).slice(1), ["Sent.", "Answer finished."]));
});
