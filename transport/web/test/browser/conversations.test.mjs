// The list of conversations: other names, a search, and the way to be rid of all of them.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { openChat } from "./driver.mjs";

const browse = browsing();

const subjects = ["Apples", "Pears", "Trains", "Boats", "Tea", "Coffee", "Lamps", "Tides"];

/** The page with a conversation about each of these, and its list. */
async function about(scene, questions) {
  const troupe = scene.with(await startTroupe());
  const chat = await openChat(scene, troupe.url);
  const list = chat.page.getByRole("navigation", { name: "Conversations" });
  for (const question of questions) {
    await chat.button("New chat").click();
    await expectSoon(async () => assert.equal(await chat.turns.count(), 0));
    await chat.hear(question);
  }
  const shows = (titles) => expectSoon(async () => assert.deepEqual(await list.getByRole("link").allInnerTexts(), titles));
  return { chat, list, shows };
}

browse("conversations: one gets another name, which stays", {}, async (scene) => {
  const { chat, list, shows } = await about(scene, ["Apples", "Pears"]);
  const name = list.getByRole("textbox", { name: "New name" });
  const rename = async (title) => {
    await list.getByRole("link", { name: title, exact: true }).hover();
    await list.getByRole("button", { name: `Rename: ${title}` }).click();
    assert.equal(await name.inputValue(), title);
  };
  await rename("Pears");
  await name.fill("Pears & <b>quinces</b>");
  await name.press("Enter");
  await shows(["Pears & <b>quinces</b>", "Apples"]);
  await chat.page.getByRole("heading", { name: "Pears & <b>quinces</b>", exact: true }).waitFor();
  await expectSoon(async () => assert.match(await chat.page.title(), /^Pears & <b>quinces<\/b> · /));

  await rename("Apples");
  await name.fill("Not this");
  await name.press("Escape");
  await shows(["Pears & <b>quinces</b>", "Apples"]);
  await chat.page.reload();
  await chat.connection("connected");
  await shows(["Pears & <b>quinces</b>", "Apples"]);
});

browse("conversations: many can be searched by name", {}, async (scene) => {
  const { chat, list, shows } = await about(scene, subjects);
  const search = list.getByRole("searchbox", { name: "Search conversations" });
  await search.fill("TEA");
  await shows(["Tea"]);
  await search.fill("ea");
  await shows(["Tea", "Pears"]);
  await search.fill("zebra");
  await list.getByText("Nothing found.").waitFor();
  await search.press("Escape");
  await shows(subjects.toReversed());
  await search.fill("boats");
  await list.getByRole("link", { name: "Boats" }).click();
  await chat.page.getByRole("heading", { name: "Boats", exact: true }).waitFor();
});

browse("conversations: all are deleted when one is sure", {}, async (scene) => {
  const { chat, list, shows } = await about(scene, ["Apples", "Pears"]);
  const all = async () => (await chat.settings()).getByRole("button", { name: "Delete all conversations" });
  await (await all()).click();
  await chat.button("Keep them").click();
  await chat.closeSettings();
  await shows(["Pears", "Apples"]);

  await (await all()).click();
  await chat.button("Delete 2 conversations for good").click();
  await list.getByText("No conversations yet.").waitFor();
  assert.equal(await chat.turns.count(), 0, "what is deleted is not shown");
  assert.ok(!chat.page.url().includes("#"), "nor in the address");
  await chat.page.reload();
  await chat.connection("connected");
  await list.getByText("No conversations yet.").waitFor();
  assert.ok(await (await all()).isDisabled(), "there is nothing left to delete");
});
