// The page says what is so: to the eyes, to screen readers, and with what its buttons do.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { gate, startVendor } from "../harness/vendor.mjs";
import { networkNoise, openChat } from "./driver.mjs";

const browse = browsing();

const spoken = (chat) => chat.page.locator("#spoken");

browse("truth: a question is sent when it is sent", { expect: networkNoise }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const proxy = scene.with(await startProxy(troupe));
  const chat = await openChat(scene, proxy.url);
  await chat.page.evaluate(() => {
    globalThis.said = [];
    const place = document.getElementById("spoken");
    new MutationObserver(() => globalThis.said.push(place.textContent.trim())).observe(place, { childList: true, characterData: true, subtree: true });
  });
  proxy.down();
  await chat.connection("waiting");
  await chat.ask("Are you there?");
  await spoken(chat).getByText("Will be sent once connected.").waitFor({ state: "attached" });
  const said = () => chat.page.evaluate(() => globalThis.said);
  assert.ok(!(await said()).includes("Sent."));
  proxy.restore();
  await chat.tryNow();
  await chat.ended();
  await expectSoon(async () => assert.deepEqual((await said()).filter((words) => /Sent|finished/.test(words)), ["Sent.", "The answer is finished."]));
});

browse("truth: to regenerate stops what is below, and its end is not told as another one's", {}, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  await chat.hear("First");
  vendor.answer = async function* () {
    yield "The second";
    await new Promise(() => {});
  };
  await chat.ask("Second");
  await chat.says("The second");
  const end = gate();
  vendor.answer = async function* () {
    yield "Once more";
    await end.passed;
  };
  await chat.turns.first().getByRole("button", { name: "Regenerate" }).click();
  await chat.says("Once more");
  assert.equal(await vendor.asked[1].closed, true);
  await chat.page.waitForFunction(() => new Promise((resolve) => requestAnimationFrame(() => resolve(true))));
  assert.doesNotMatch(await spoken(chat).textContent(), /finished|Stopped/);
  end.open();
  await chat.ended();
  await spoken(chat).getByText("The answer is finished.").waitFor({ state: "attached" });
});

browse("truth: a stop while the server is away says so, and lets one write on", { expect: networkNoise }, async (scene) => {
  const vendor = scene.with(await startVendor(async function* () {
    yield "Half";
    await new Promise(() => {});
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const proxy = scene.with(await startProxy(troupe));
  const chat = await openChat(scene, proxy.url);
  await chat.ask("Tell me");
  await chat.says("Half");
  proxy.down();
  await chat.connection("waiting");
  await chat.stop.click();
  await chat.turns.last().getByText("Will be stopped once connected.").waitFor();
  vendor.answer = () => "Of course.";
  await chat.ask("Go on");
  proxy.restore();
  await chat.tryNow();
  await chat.says("Of course.");
  await chat.turns.first().getByText("Stopped").waitFor();
  assert.deepEqual(vendor.asked[1].messages.map(({ content }) => content), ["Tell me", "Half", "Go on"]);
});

browse("truth: where there is no WebSocket no attempt is announced, and nothing ticks", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  await scene.context.addInitScript(() => {
    delete globalThis.WebSocket;
    const { setTimeout } = globalThis;
    globalThis.timers = 0;
    globalThis.setTimeout = (...about) => (globalThis.timers++, setTimeout(...about));
  });
  const chat = await openChat(scene, troupe.url, { is: "http" });
  await chat.hear("hello");
  const before = await chat.page.evaluate(() => globalThis.timers);
  await chat.page.evaluate(async () => { for (let i = 0; i < 60; i++) await new Promise(requestAnimationFrame); });
  const made = (await chat.page.evaluate(() => globalThis.timers)) - before;
  assert.ok(made < 20, `${made} timers in a second`);
  assert.doesNotMatch(await chat.page.locator("#connection").textContent(), /Infinity|NaN/);
  assert.equal(await chat.button("Try now").count(), 0);
});

browse("truth: a model that is being typed is not taken back when the providers arrive", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const chat = await openChat(scene, troupe.url);
  await chat.hear("hello");
  const late = gate();
  await chat.page.route("**/api/providers", async (route) => {
    await late.passed;
    await route.continue();
  });
  const dialog = await chat.settings();
  const model = dialog.getByRole("combobox", { name: "Model" });
  await model.click();
  await chat.page.keyboard.type("echo-20ms");
  const arrived = chat.page.waitForResponse("**/api/providers");
  late.open();
  await (await arrived).finished();
  await chat.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
  assert.equal(await model.inputValue(), "echo-20ms");
});
