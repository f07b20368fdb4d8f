// What somebody hears who does not see the page: that an answer is there, or was stopped, and not every word of it as it comes.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { slowly, startVendor } from "../harness/vendor.mjs";
import { networkNoise, openChat } from "./driver.mjs";

const browse = browsing();

/** All that the page's own voice has said since now, oldest first. */
async function listen(page) {
  assert.equal(await page.locator("#spoken").getAttribute("role"), "status");
  assert.equal(await page.getByRole("log", { name: "Conversation" }).getAttribute("aria-live"), "off", "the text itself is not read as it comes");
  await page.evaluate(() => {
    globalThis.said = [];
    const voice = document.getElementById("spoken");
    new MutationObserver(() => globalThis.said.push(voice.textContent)).observe(voice, { childList: true, characterData: true, subtree: true });
  });
  return () => page.evaluate(() => globalThis.said.map((words) => words.trim()));
}

browse("spoken: that an answer is finished, each time", {}, async (scene) => {
  const vendor = scene.with(await startVendor(() => slowly("word after word after word")));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  const said = await listen(chat.page);
  const finished = async () => (await said()).filter((words) => words === "The answer is finished.").length;
  for (const times of [1, 2]) {
    await chat.hear("Tell me.");
    await expectSoon(async () => assert.equal(await finished(), times));
  }
  assert.ok(!(await said()).some((words) => words.includes("word")), "the answer is there to be read, and is not spoken over");
});

browse("spoken: that an answer was stopped, and not that it is finished", {}, async (scene) => {
  const vendor = scene.with(await startVendor(async function* () {
    yield "On and on";
    await new Promise(() => {});
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  const said = await listen(chat.page);
  await chat.ask("Tell me.");
  await chat.says("On and on");
  assert.ok(!(await said()).includes("Stopped."));
  await chat.stop.click();
  await expectSoon(async () => assert.ok((await said()).includes("Stopped.")));
  assert.ok(!(await said()).includes("The answer is finished."));
});

browse("spoken: that the connection is lost and there again, and no seconds", { expect: networkNoise }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const proxy = scene.with(await startProxy(troupe));
  const chat = await openChat(scene, proxy.url);
  const said = await listen(chat.page);
  proxy.down();
  await chat.connection("waiting");
  await expectSoon(async () => assert.ok((await said()).some((words) => words.startsWith("Not connected."))));
  const before = await chat.state.innerText();
  await expectSoon(async () => assert.notEqual(await chat.state.innerText(), before, "the seconds go by"));
  proxy.restore();
  await chat.tryNow();
  await chat.connection("connected");
  await expectSoon(async () => assert.equal((await said()).at(-1), "Connected"));
  assert.ok((await said()).filter((words) => words.startsWith("Not connected.")).length <= 2, `not each second: ${await said()}`);
});
