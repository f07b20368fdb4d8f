// The product page: a chat about one product, on the customer address.
import assert from "node:assert/strict";
import { browsing, phone } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { slowly, startVendor } from "../harness/vendor.mjs";
import { Chat } from "./driver.mjs";

const browse = browsing();

const lamp = { name: "Reading lamp", provider: "vendor", model: "clerk", system: "You sell lamps." };

async function shop(scene, answer, products = { 11: lamp }) {
  const vendor = scene.with(await startVendor(answer));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, products }));
  const proxy = scene.with(await startProxy(troupe));
  return { vendor, troupe, proxy };
}

browse("product: a question is asked on the customer address, as the product says", {}, async (scene) => {
  const { vendor, proxy } = await shop(scene);
  const chat = new Chat(await scene.tab(`${proxy.url}/products/11`));
  await chat.page.getByRole("heading", { name: /Reading lamp/ }).first().waitFor();
  assert.match(await chat.page.title(), /Reading lamp/);
  await chat.hear("Is it bright?");
  await chat.says("You said: Is it bright?");
  await chat.hear("Is it heavy?");
  assert.equal(vendor.asked[1].model, "clerk");
  assert.deepEqual(
    vendor.asked[1].messages.map((m) => m.content),
    ["You sell lamps.", "Is it bright?", "You said: Is it bright?", "Is it heavy?"],
  );
  assert.ok(proxy.count(/^\/(api\/)?ws\/chat\/customer\/11\//, { upgrade: true }) > 0);
  assert.equal(proxy.count(/^\/(api\/)?ws\/chat\/(?!customer)/, { upgrade: true }), 0);
});

browse("product: stop is acknowledged, and a reload goes on where it was", {}, async (scene) => {
  const text = Array.from({ length: 80 }, (_, i) => `lamp${i}`).join(" ");
  const { vendor, proxy } = await shop(scene, () => slowly(text, 30));
  const chat = new Chat(await scene.tab(`${proxy.url}/products/11`));
  await chat.ask("Tell me about it.");
  await chat.says("lamp10 ");
  await chat.page.reload();
  await chat.says("lamp79");
  assert.equal(await chat.ended(), text);
  assert.equal(vendor.asked.length, 1);

  await chat.ask("Once more.");
  await expectSoon(() => assert.equal(vendor.asked.length, 2)); // its first words are those of the answer before
  await chat.stop.click();
  await chat.root.getByText(/Stopped/).first().waitFor();
  assert.equal(await vendor.asked[1].closed, true);
});

browse("product: a hostile name and a hostile answer are text", {}, async (scene) => {
  const hostile = `"><img src="https://evil.example/x.png" onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>`;
  const { proxy } = await shop(scene, () => hostile, { 11: { ...lamp, name: hostile } });
  const chat = new Chat(await scene.tab(`${proxy.url}/products/11`));
  await chat.page.getByRole("heading", { name: hostile }).first().waitFor();
  await chat.hear("Hello?");
  await chat.says("<img src=");
  assert.equal(await chat.page.evaluate(() => globalThis.pwned), undefined);
  assert.equal(await chat.answers.locator("img, script").count(), 0);
});

browse("product: it fits a phone", { viewport: phone }, async (scene) => {
  const { proxy } = await shop(scene);
  const chat = new Chat(await scene.tab(`${proxy.url}/products/11`));
  await chat.hear("Is it bright?");
  const width = await chat.page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= phone.width, `the page is ${width} pixels wide`);
});
