// A whole chat without a mouse.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { startVendor } from "../harness/vendor.mjs";
import { openChat } from "./driver.mjs";

const browse = browsing();

const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.textContent;
    return { name: name.trim(), visible: style.outlineStyle !== "none" || style.boxShadow !== "none", tag: element.tagName };
  });

/** Presses Tab until the element of this name has the focus; every stop on the way must show that it has it. */
async function tabTo(page, name, { key = "Tab" } = {}) {
  const seen = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press(key);
    const at = await focused(page);
    seen.push(at.name.slice(0, 40));
    if (at.tag !== "BODY") assert.ok(at.visible, `the focus shows on ${at.tag} "${at.name.slice(0, 40)}"`);
    if (at.name === name) return;
  }
  assert.fail(`"${name}" is not reached by ${key}; it came by ${seen.join(" | ")}`);
}

browse("keyboard: ask, read, stop, edit, configure and start anew", {}, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  const { page } = chat;
  await expectSoon(async () => assert.equal((await focused(page)).name, "Your question", "one can type at once"));

  await page.keyboard.type("One line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("and another");
  await page.keyboard.press("Enter");
  await chat.says("You said: One line");
  await chat.ended();
  assert.equal(vendor.asked[0].messages[0].content, "One line\nand another");
  assert.equal((await focused(page)).name, "Your question", "the focus stays where one goes on");

  vendor.answer = async function* () {
    yield "On and on";
    await new Promise(() => {});
  };
  await page.keyboard.type("Never end");
  await page.keyboard.press("Enter");
  await chat.says("On and on");
  await page.keyboard.press("Escape");
  await chat.turns.last().getByText(/Stopped/).waitFor();
  assert.equal(await vendor.asked[1].closed, true);

  vendor.answer = ({ messages }) => `Heard ${messages.at(-1).content}`;
  await page.keyboard.press("ArrowUp");
  await expectSoon(async () => assert.equal(await page.evaluate(() => document.activeElement.value), "Never end"));
  await page.keyboard.press("Control+a");
  await page.keyboard.type("Please end");
  await page.keyboard.press("Enter");
  await chat.says("Heard Please end");
  await chat.ended();

  await tabTo(page, "Regenerate", { key: "Shift+Tab" });
  await page.keyboard.press("Enter");
  await chat.root.getByRole("button", { name: "Previous version" }).last().waitFor();
  await chat.ended();

  await tabTo(page, "Settings");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Settings" }).waitFor();
  assert.ok(await page.evaluate(() => document.activeElement.closest("dialog") !== null), "the focus is in the dialog");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Settings" }).waitFor({ state: "hidden" });
  assert.equal((await focused(page)).name, "Settings", "the focus is back");

  await page.keyboard.press("Control+Shift+o");
  await expectSoon(async () => assert.equal(await chat.turns.count(), 0));
  await expectSoon(async () => assert.equal((await focused(page)).name, "Your question"));
  await page.keyboard.type("A new one");
  await page.keyboard.press("Enter");
  await chat.says("Heard A new one");
  assert.equal(vendor.asked.at(-1).messages.length, 1);
});

browse("keyboard: provider and system prompt are set, and the next question goes by them", {}, async (scene) => {
  const vendor = scene.with(await startVendor());
  const other = { type: "openai", base_url: vendor.url, api_keys: ["other-key"], models: ["second"], default_model: "second" };
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, providers: { other } }));
  const { page, ...chat } = await openChat(scene, troupe.url);
  await tabTo(page, "Settings", { key: "Shift+Tab" });
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Settings" }).waitFor();
  await page.locator("#provider option", { hasText: "other" }).waitFor({ state: "attached" });
  await tabTo(page, "Provider");
  await page.keyboard.type("other");
  assert.equal(await page.getByRole("combobox", { name: "Provider" }).inputValue(), "other");
  await tabTo(page, "System prompt");
  await page.keyboard.type("Be brief.");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Settings" }).waitFor({ state: "hidden" });

  await tabTo(page, "Your question");
  await page.keyboard.type("Who are you?");
  await page.keyboard.press("Enter");
  await chat.answers.filter({ hasText: "You said: Who are you?" }).waitFor();
  const { model, key, messages } = vendor.asked[0];
  assert.deepEqual([model, key], ["second", "other-key"]);
  assert.deepEqual(messages.map(({ role, content }) => `${role}: ${content}`), ["system: Be brief.", "user: Who are you?"]);
});

// Where a finger is what points, the page does not take the focus by itself.
browse("keyboard: the first Tab of the page offers to skip to the question", { hasTouch: true, isMobile: true }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const chat = await openChat(scene, troupe.url);
  await chat.page.keyboard.press("Tab");
  const first = await focused(chat.page);
  assert.equal(first.tag, "A");
  assert.match(first.name, /skip|question/i);
  await chat.page.keyboard.press("Enter");
  await expectSoon(async () => assert.equal((await focused(chat.page)).name, "Your question"));
});
