// What the chat page keeps in the browser: when that is full, damaged, shared by tabs, or to be deleted.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { gate, startVendor } from "../harness/vendor.mjs";
import { openChat } from "./driver.mjs";

const browse = browsing();

/** Writes a record as no page would. */
const put = (page, table, record) =>
  page.evaluate(([table, record]) => new Promise((resolve, reject) => {
    const request = indexedDB.open("troupe");
    request.onsuccess = () => {
      const change = request.result.transaction(table, "readwrite");
      change.objectStore(table).put(record);
      change.oncomplete = resolve;
      change.onabort = () => reject(change.error);
    };
  }), [table, record]);

browse("storage: a full browser is told for as long as it is full, and loses nothing that is looked at", {}, async (scene) => {
  const end = gate();
  const vendor = scene.with(await startVendor(async function* ({ messages }) {
    yield `About ${messages.at(-1).content}`;
    if (messages.at(-1).content === "the full browser") await end.passed;
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const one = await openChat(scene, troupe.url);
  const two = await openChat(scene, troupe.url);
  const wire = await scene.context.newCDPSession(one.page);
  await wire.send("Storage.overrideQuotaForOrigin", { origin: troupe.url, quotaSize: 1 });
  await one.ask("the full browser");
  await one.says("About the full browser");
  const note = one.page.locator("#note");
  await note.getByText("did not save").waitFor();
  await two.ask("something else"); // which the browser does not keep either, and tells the first tab
  await two.says("About something else");
  await one.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 2500))); // one more saving of what runs
  assert.ok(await note.isVisible(), "the warning stays");
  assert.deepEqual(await one.turns.locator(".question").allInnerTexts(), ["the full browser"]);

  await wire.send("Storage.overrideQuotaForOrigin", { origin: troupe.url });
  end.open();
  await one.ended();
  await note.waitFor({ state: "hidden" });
  await one.page.reload();
  await one.says("About the full browser");
});

browse("storage: a damaged record hides neither the list nor the other conversations", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const chat = await openChat(scene, troupe.url);
  await chat.hear("hello");
  await put(chat.page, "conversations", { id: "broken", updated: "never" });
  await put(chat.page, "turns", { id: "odd", conversation: "broken", parent: 1, answer: 5, state: "?" });
  await chat.page.goto(`${troupe.url}/`);
  const list = chat.page.getByRole("navigation", { name: "Conversations" });
  await list.getByRole("link", { name: "Untitled" }).click();
  await chat.trouble.getByText("not kept").waitFor();
  await list.getByRole("link", { name: "hello" }).click();
  await chat.says("hello");
});

browse("storage: what is deleted takes what was typed along, and Undo brings both back", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const chat = await openChat(scene, troupe.url);
  const kept = () => chat.page.evaluate(() => JSON.stringify({ ...sessionStorage }));
  await chat.hear("hello");
  await chat.question.fill("my secret draft");
  assert.match(await kept(), /secret/);
  const list = chat.page.getByRole("navigation", { name: "Conversations" });
  await list.getByRole("link", { name: "hello" }).hover();
  await list.getByRole("button", { name: "Delete: hello" }).click();
  await chat.button("Undo").waitFor();
  assert.doesNotMatch(await kept(), /secret/);
  assert.equal(await chat.question.inputValue(), "");
  await chat.button("Undo").click();
  await list.getByRole("link", { name: "hello" }).click();
  await expectSoon(async () => assert.equal(await chat.question.inputValue(), "my secret draft"));

  const dialog = await chat.settings();
  await dialog.getByRole("button", { name: "Delete all conversations" }).click();
  await dialog.getByRole("button", { name: /for good/ }).click();
  await expectSoon(async () => assert.doesNotMatch(await kept(), /secret/));
});

browse("storage: a conversation that is deleted in one tab is stopped where it runs in another", {}, async (scene) => {
  const vendor = scene.with(await startVendor(async function* () {
    yield "On and on";
    await new Promise(() => {});
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const one = await openChat(scene, troupe.url);
  await one.ask("Forever");
  await one.says("On and on");
  const two = await openChat(scene, troupe.url);
  const list = two.page.getByRole("navigation", { name: "Conversations" });
  await list.getByRole("link", { name: "Forever" }).hover();
  await list.getByRole("button", { name: "Delete: Forever" }).click();
  await one.page.getByText("deleted in another tab").waitFor();
  assert.equal(await vendor.asked[0].closed, true);
});

browse("storage: Stop in a second tab stops a question that waits for room", {}, async (scene) => {
  const vendor = scene.with(await startVendor(async function* () {
    yield "Busy";
    await new Promise(() => {});
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, worker: { max_runs: 1, drain_timeout: "1s" }, runs: { queue_timeout: "1m" } }));
  const busy = await openChat(scene, troupe.url);
  await busy.ask("Takes the room");
  await busy.says("Busy");
  const one = await openChat(scene, troupe.url);
  await one.ask("Waits for room");
  await one.turns.last().getByText("Waiting for room").waitFor();
  const two = await openChat(scene, one.page.url());
  await two.turns.last().getByText("Asked in another tab").waitFor();
  await two.stop.click();
  for (const tab of [one, two]) await tab.turns.last().getByText("Stopped").waitFor();
  assert.equal(vendor.asked.length, 1);
});

browse("storage: a kept key goes along with a question that is asked again after a reload", {}, async (scene) => {
  const vendor = scene.with(await startVendor(() => "fine"));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url, providers: { vendor: { user_keys: "require", api_keys: [] } } }));
  const chat = await openChat(scene, troupe.url);
  const dialog = await chat.settings();
  await dialog.getByRole("textbox", { name: "API key for vendor" }).fill("sk-user-1");
  await dialog.getByRole("checkbox", { name: "Keep keys until this tab is closed" }).check();
  await chat.closeSettings();
  await chat.page.evaluate(() => { WebSocket.prototype.send = () => {}; }); // the question does not get through
  await chat.ask("With my key");
  await expectSoon(() => chat.page.evaluate(() => new Promise((resolve, reject) => {
    const request = indexedDB.open("troupe");
    request.onsuccess = () => {
      const count = request.result.transaction("turns").objectStore("turns").count();
      count.onsuccess = () => count.result ? resolve() : reject(new Error("not stored yet"));
    };
  })));
  await chat.page.route("**/api/providers", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await route.continue();
  });
  await chat.page.reload();
  await chat.says("fine");
  assert.deepEqual(vendor.asked.map(({ key }) => key), ["sk-user-1"]);
});

browse("storage: a conversation that the browser does not give now is said so, and a question then begins one of its own", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const chat = await openChat(scene, troupe.url);
  await chat.hear("The first");
  await chat.button("New chat").click();
  await chat.hear("The second");
  await chat.page.evaluate(() => {
    const { get } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.get = () => { throw new DOMException("Internal error.", "UnknownError"); };
    globalThis.mend = () => { IDBObjectStore.prototype.get = get; };
  });
  const list = chat.page.getByRole("navigation", { name: "Conversations" });
  await list.getByRole("link", { name: "The first" }).click();
  await chat.page.locator("#note").getByText("This browser does not give its conversations now. Reload the page to see them.").waitFor();
  assert.equal(await chat.turns.count(), 0);
  assert.equal(new URL(chat.page.url()).hash, "", "it is none of those that are kept");

  await chat.page.evaluate(() => globalThis.mend());
  await chat.hear("The third");
  assert.equal(await chat.turns.count(), 1);
  await chat.page.reload();
  await list.getByRole("link", { name: "The first" }).click();
  await chat.says("The first");
  assert.equal(await chat.turns.count(), 1, "nothing was asked in it");
});
