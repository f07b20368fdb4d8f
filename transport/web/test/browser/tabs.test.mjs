// Several tabs of one browser: one session, one set of conversations.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { gate, startVendor } from "../harness/vendor.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { openChat } from "./driver.mjs";

const browse = browsing();

browse("tabs: both show the answer that one of them asked for, and both may ask", {}, async (scene) => {
  const half = gate();
  const vendor = scene.with(await startVendor(async function* () {
    yield "The first half";
    await half.passed;
    yield " and the second.";
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const one = await openChat(scene, troupe.url);
  await one.ask("Tell me.");
  await one.says("The first half");
  const two = await openChat(scene, one.page.url());
  await two.says("The first half");
  half.open();
  for (const tab of [one, two]) {
    await tab.says("The first half and the second.");
    assert.equal(await tab.ended(), "The first half and the second.");
    assert.equal(await tab.turns.count(), 1);
  }
  assert.equal(vendor.asked.length, 1, "the second tab followed and did not ask");

  vendor.answer = ({ messages }) => `Heard: ${messages.at(-1).content}`;
  await two.hear("From the second tab");
  await one.says("Heard: From the second tab");
  await one.hear("From the first tab");
  await two.says("Heard: From the first tab");
  assert.deepEqual(
    vendor.asked[2].messages.filter((m) => m.role === "user").map((m) => m.content),
    ["Tell me.", "From the second tab", "From the first tab"],
  );
  const sessions = (await troupe.status()).connection_pool.active;
  assert.equal(sessions, 2, "one connection for each tab");
});

browse("tabs: a stop in one tab is seen in the other", {}, async (scene) => {
  const vendor = scene.with(await startVendor(async function* () {
    yield "On and on";
    await new Promise(() => {});
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const one = await openChat(scene, troupe.url);
  await one.ask("Tell me.");
  await one.says("On and on");
  const two = await openChat(scene, one.page.url());
  await two.says("On and on");
  await two.stop.click();
  for (const tab of [two, one]) await tab.turns.last().getByText(/Stopped/).waitFor();
  assert.equal(await vendor.asked[0].closed, true);
});

browse("tabs: the list follows what is begun and deleted in another tab", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const one = await openChat(scene, troupe.url);
  await one.hear("Apples and pears");
  const two = await openChat(scene, troupe.url);
  const list = two.page.getByRole("navigation", { name: "Conversations" });
  await list.getByText("Apples and pears").first().waitFor();
  await one.button("New chat").click();
  await one.hear("Trains");
  await list.getByRole("link", { name: "Trains" }).click();
  await two.says("Trains");
  await one.page.bringToFront();
  await one.page.getByRole("link", { name: "Trains" }).hover();
  await one.page.getByRole("button", { name: "Delete: Trains" }).click();
  await expectSoon(async () => assert.equal(await list.getByRole("link").count(), 1));
  await expectSoon(async () => assert.equal(await two.turns.count(), 0, "what was deleted is not shown any more"));
});

browse("tabs: new chats, reloads and further tabs are one session, of which one is allowed here", {}, async (scene) => {
  const troupe = scene.with(await startTroupe({ limits: { sessions: { max: 1, window: "1h" } } }));
  const proxy = scene.with(await startProxy(troupe));
  const one = await openChat(scene, proxy.url);
  const session = await one.page.evaluate(() => localStorage.getItem("troupe.session"));
  for (let i = 1; i <= 10; i++) {
    assert.equal(await one.hear(`Conversation ${i}`), `Conversation ${i}`);
    if (i === 10) break;
    await one.button("New chat").click();
    await one.turns.first().waitFor({ state: "detached" });
  }
  await one.page.reload();
  await one.connection("connected");
  assert.equal(await one.hear("After the reload"), "After the reload");
  const two = await openChat(scene, proxy.url);
  assert.equal(await two.hear("In another tab"), "In another tab");
  await expectSoon(async () => assert.equal(await two.page.getByRole("navigation", { name: "Conversations" }).getByRole("link").count(), 11));

  const sockets = proxy.requests.filter((request) => request.upgrade).map((request) => request.path);
  assert.deepEqual([...new Set(sockets)], [`/ws/chat/${session}`]);
  assert.equal(sockets.length, 3, "one connection for each page load");
  const decided = async (result) => {
    const metrics = await (await troupe.get("/metrics")).text();
    return Number(new RegExp(`^troupe_limit_decisions_total\\{limit="session",result="${result}"\\} (\\d+)$`, "m").exec(metrics)?.[1] ?? 0);
  };
  assert.deepEqual([await decided("allowed"), await decided("rejected")], [3, 0], "none of them was a second session");

  const other = await (await scene.context.browser().newContext()).newPage();
  await other.goto(troupe.url); // somebody else's browser, from the same address
  await other.locator("#state").getByText(/^Too many new sessions\. Trying again (in \d+ s|now)\.$/).waitFor();
  assert.ok((await decided("rejected")) > 0, "the second session of the hour is one too many");
  await other.context().close();
});
