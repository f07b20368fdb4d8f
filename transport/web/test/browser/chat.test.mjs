// The chat page as people use it: ask, read, stop, ask again.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { gate, startVendor } from "../harness/vendor.mjs";
import { Chat, openChat } from "./driver.mjs";

const browse = browsing();

async function asked(scene, answer, options) {
  const vendor = scene.with(await startVendor(answer));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, ...options }));
  return { vendor, troupe };
}

const said = (call) => call.messages.map((m) => `${m.role}: ${m.content}`);

browse("chat: an answer appears while it is made, as Markdown", { permissions: ["clipboard-read", "clipboard-write"] }, async (scene) => {
  const half = gate();
  const { troupe } = await asked(scene, async function* () {
    yield "# Tea\n\nWater at **eighty** degrees.\n\n";
    await half.passed;
    yield "| tea | minutes |\n|---|---|\n| green | 2 |\n\n```js\nconst cups = 2;\n```\n\n- one\n- two\n";
  });
  const chat = await openChat(scene, troupe.url);
  await chat.ask("How do I make tea?");
  const answer = chat.answers.last();
  await answer.locator("strong", { hasText: "eighty" }).waitFor();
  assert.equal(await chat.root.locator("article:is([aria-busy=true], :has([aria-busy=true]))").count(), 1, "the turn is busy while it streams");
  await chat.stop.waitFor();
  assert.equal(await chat.turns.last().locator(".question").innerText(), "How do I make tea?");

  half.open();
  await chat.ended();
  await chat.stop.waitFor({ state: "hidden" });
  assert.equal(await answer.locator("h3").innerText(), "Tea");
  assert.equal(await answer.locator("td").first().innerText(), "green");
  assert.equal(await answer.locator("li").count(), 2);
  await answer.getByRole("button", { name: "Copy code" }).click();
  await expectSoon(async () => assert.equal(await clipboard(chat), "const cups = 2;"));
  await chat.button("Copy answer").click();
  await expectSoon(async () => assert.match(await clipboard(chat), /^# Tea\n\nWater at \*\*eighty\*\* degrees\.[^]*- two\s*$/));
});

const clipboard = (chat) => chat.page.evaluate(() => navigator.clipboard.readText());

browse("chat: the second question sees the first, also after a reload", {}, async (scene) => {
  const { vendor, troupe } = await asked(scene);
  const chat = await openChat(scene, troupe.url);
  await chat.hear("My name is Ada.");
  assert.equal(await chat.hear("What is my name?"), "You said: What is my name?");
  assert.deepEqual(said(vendor.asked[1]), ["user: My name is Ada.", "assistant: You said: My name is Ada.", "user: What is my name?"]);

  await chat.page.reload();
  await chat.connection("connected");
  await chat.says("You said: What is my name?");
  await chat.hear("And now?");
  assert.deepEqual(said(vendor.asked[2]), [...said(vendor.asked[1]), "assistant: You said: What is my name?", "user: And now?"]);
});

browse("chat: Stop waits for the acknowledgement, and the vendor's call is closed", {}, async (scene) => {
  const { vendor, troupe } = await asked(scene, async function* () {
    yield "The first half";
    await new Promise(() => {});
  });
  const proxy = scene.with(await startProxy(troupe));
  const chat = await openChat(scene, proxy.url);
  await chat.ask("Tell me everything.");
  await chat.says("The first half");
  proxy.blackhole();
  await chat.stop.click();
  await chat.root.getByText(/Stopping/).first().waitFor();
  assert.equal(await chat.root.getByText("Stopped", { exact: false }).count(), 0, "nobody acknowledged anything yet");
  proxy.restore();
  await chat.ended();
  await chat.turns.last().getByText(/Stopped/).waitFor();
  assert.match(await chat.answers.last().innerText(), /The first half/);
  assert.equal(await vendor.asked[0].closed, true, "the vendor's call was closed early");

  vendor.answer = () => "Of course.";
  assert.equal(await chat.hear("Go on."), "Of course.");
  assert.deepEqual(said(vendor.asked[1]), ["user: Tell me everything.", "assistant: The first half", "user: Go on."]);
});

browse("chat: regenerate and edit make versions, and nothing is lost", {}, async (scene) => {
  let count = 0;
  const { vendor, troupe } = await asked(scene, ({ messages }) => `${messages.at(-1).content} → answer ${++count}`);
  const chat = await openChat(scene, troupe.url);
  await chat.hear("red");
  await chat.button("Regenerate").last().click();
  await chat.says("red → answer 2");
  await chat.ended();
  await chat.button("Previous version").last().click();
  await chat.says("red → answer 1");
  await chat.button("Next version").last().click();
  await chat.says("red → answer 2");
  assert.deepEqual(said(vendor.asked[1]), ["user: red"], "a regenerated answer does not see the one it replaces");

  await chat.button("Edit question").last().click();
  const box = chat.root.locator("textarea:focus");
  await box.waitFor();
  assert.equal(await box.inputValue(), "red");
  await box.fill("blue");
  await box.press("Enter");
  await chat.says("blue → answer 3");
  await chat.ended();
  assert.deepEqual(said(vendor.asked[2]), ["user: blue"]);
  await chat.button("Previous version").first().click();
  await chat.says("red → answer");

  await chat.page.reload();
  await chat.connection("connected");
  await chat.says("red → answer");
  await chat.button("Next version").first().click();
  await chat.says("blue → answer 3");
});

browse("chat: conversations are kept in this browser and can come back from deletion", {}, async (scene) => {
  const { vendor, troupe } = await asked(scene);
  const chat = await openChat(scene, troupe.url);
  const list = chat.page.getByRole("navigation", { name: "Conversations" });
  await chat.hear("Apples and pears");
  await chat.button("New chat").click();
  await expectSoon(async () => assert.equal(await chat.turns.count(), 0));
  await chat.hear("Trains and boats");
  assert.deepEqual(said(vendor.asked[1]), ["user: Trains and boats"], "a new chat knows nothing of the old one");

  await list.getByRole("link", { name: /Apples and pears/ }).click();
  await chat.says("You said: Apples and pears");
  await chat.page.goBack();
  await chat.says("You said: Trains and boats");
  await chat.page.goForward();
  await chat.says("You said: Apples and pears");
  assert.equal((await troupe.status()).websocket_manager.active_connections, 1, "conversations cost no further connection");

  await list.getByRole("link", { name: /Apples and pears/ }).hover();
  await list.getByRole("button", { name: "Delete: Apples and pears" }).click();
  await list.getByRole("link", { name: /Apples and pears/ }).waitFor({ state: "detached" });
  assert.equal(await chat.turns.count(), 0, "what is deleted is not shown");
  await chat.button("Undo").click();
  await list.getByRole("link", { name: /Apples and pears/ }).click();
  await chat.says("You said: Apples and pears");
});

browse("chat: what is typed before the page is ready is not lost", {}, async (scene) => {
  const { troupe } = await asked(scene);
  const ready = gate();
  await scene.context.route("**/page/app.js", async (route) => {
    await ready.passed;
    await route.continue();
  });
  const chat = new Chat(await scene.tab());
  await chat.page.goto(troupe.url, { waitUntil: "commit" });
  await chat.question.fill("I type fast");
  ready.open();
  await chat.connection("connected");
  await chat.send.click();
  await chat.says("You said: I type fast");
});

browse("chat: provider, model and system prompt go along, and stay with the conversation", {}, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, providers: { vendor: { models: ["plain", "fancy"] } } }));
  const chat = await openChat(scene, troupe.url);
  const dialog = await chat.settings();
  const provider = dialog.getByRole("combobox", { name: "Provider" });
  await expectSoon(async () => assert.match((await provider.locator("option").allInnerTexts()).join(), /vendor/));
  await provider.selectOption("vendor");
  await dialog.getByRole("combobox", { name: "Model" }).fill("fancy");
  await dialog.getByRole("textbox", { name: "System prompt" }).fill("Be brief.");
  await chat.closeSettings();
  await chat.hear("Who are you?");
  assert.equal(vendor.asked[0].model, "fancy");
  assert.deepEqual(said(vendor.asked[0]), ["system: Be brief.", "user: Who are you?"]);
  await chat.turns.last().getByText(/fancy/).first().waitFor();

  await chat.page.reload();
  await chat.connection("connected");
  await chat.hear("Still?");
  assert.equal(vendor.asked[1].model, "fancy");
  assert.equal(vendor.asked[1].messages[0].content, "Be brief.");
});

browse("chat: the appearance is chosen, and stays", { colorScheme: "light" }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const chat = await openChat(scene, troupe.url);
  const paper = () => chat.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const becomes = (colour) => expectSoon(async () => assert.equal(await paper(), colour));
  const light = await paper();
  const appearance = (await chat.settings()).getByRole("combobox", { name: "Appearance" });
  await appearance.selectOption("dark");
  await expectSoon(async () => assert.notEqual(await paper(), light));
  const dark = await paper();
  await chat.page.reload();
  await chat.connection("connected");
  await becomes(dark);
  await (await chat.settings()).getByRole("combobox", { name: "Appearance" }).selectOption("system");
  await becomes(light);
  await chat.page.emulateMedia({ colorScheme: "dark" });
  await becomes(dark);
});
