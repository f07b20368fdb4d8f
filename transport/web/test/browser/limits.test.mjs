// The limits as they are shipped, reached: who is refused reads why and for how long.
import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { Chat, networkNoise, openChat } from "./driver.mjs";

const browse = browsing();

/** As many sockets of one session from this address, open and admitted. */
async function sockets(troupe, count) {
  return Promise.all(
    Array.from({ length: count }, () => {
      const socket = new WebSocket(`ws://${troupe.host}/ws/chat/crowd`);
      return new Promise((resolve, reject) => {
        socket.once("error", reject);
        socket.once("open", () => socket.send('{"type":"ping"}'));
        socket.once("message", () => resolve(socket)); // a pong: it was admitted
      });
    }),
  );
}

browse("limits: the 26th connection of an address waits, says why, and is let in later", {}, async (scene) => {
  const troupe = scene.with(await startTroupe({ limits: "shipped" }));
  const crowd = await sockets(troupe, 25);
  const chat = new Chat(await scene.tab(troupe.url));
  await chat.connection("waiting");
  await expectSoon(async () => assert.match(await chat.state.innerText(), /^No room for another connection\. Trying again (in \d+ s|now)\.$/));
  await chat.page.locator("#connection").getByText("Connection limit reached: 25 connections for this address. Close one, or try again later.").waitFor();
  await chat.ask("May I?");
  assert.equal(await chat.trouble.count(), 0, "a question that waits for a connection has not failed");
  for (const socket of crowd) socket.close();
  await expectSoon(async () => assert.ok((await troupe.status()).connection_pool.active <= 1)); // the page may be quicker
  await chat.tryNow();
  await chat.says("May I?");
  await chat.connection("connected");
  await chat.page.getByText("Connection limit reached").filter({ visible: true }).first().waitFor({ state: "hidden" });
});

/** Asks over HTTP in this session, from this address. */
async function ask(troupe, session, content) {
  const body = JSON.stringify({ content, session_id: session });
  const response = await troupe.get("/api/chat", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  assert.equal(response.status, 200);
}

browse("limits: the 31st question within the window counts down and can be asked again", { timeout: 120_000 }, async (scene) => {
  const troupe = scene.with(await startTroupe({ limits: { messages: { max: 30, window: "30s" } } }));
  const chat = await openChat(scene, troupe.url);
  const session = await chat.page.evaluate(() => localStorage.getItem("troupe.session"));
  for (let i = 1; i <= 29; i++) await ask(troupe, session, `Question ${i}`); // at the same time they would be too many for the pool
  await chat.hear("The 30th");
  assert.equal(await chat.trouble.count(), 0, "30 questions are within the limit");
  await chat.ask("One more");
  await chat.trouble.waitFor();
  assert.match(await chat.trouble.locator(".trouble-words").innerText(), /^Too many messages: the limit is 30 messages per 30 seconds\. Try again in \d+ s\.$/);
  const seconds = async () => Number(/ask again in (\d+) s/.exec(await chat.trouble.innerText())?.[1] ?? NaN);
  const first = await seconds();
  assert.ok(first > 0 && first <= 30, `it says for how long: ${await chat.trouble.innerText()}`);
  assert.equal(await chat.button("Ask again").count(), 0, "not before it helps");
  const lower = async (than) => {
    const now = await seconds();
    assert.ok(now < than, `it counts down from ${than}: ${now}`);
    return now;
  };
  const second = await expectSoon(() => lower(first));
  await expectSoon(() => lower(second));
  await chat.button("Ask again").and(chat.page.locator(":enabled")).waitFor({ timeout: 40_000 });
  await chat.button("Ask again").click();
  await chat.says("One more");
  await chat.ended();
  assert.equal(await chat.trouble.count(), 0);
});

browse("limits: a whole pool is told in words and the page stays usable", { expect: networkNoise }, async (scene) => {
  const troupe = scene.with(await startTroupe({ pool: { max_connections: 1 } }));
  await sockets(troupe, 1);
  const chat = new Chat(await scene.tab(troupe.url));
  const told = async () => {
    await chat.connection("waiting");
    assert.match(await chat.state.innerText(), /^No room for another connection\. Trying again (in \d+ s|now)\.$/);
    await chat.page.locator("#connection").getByText("Connection limit reached: 1 connection in all. Close one, or try again later.").waitFor();
  };
  await told();
  await chat.question.fill("A draft");
  await chat.page.reload();
  await expectSoon(async () => assert.equal(await chat.question.inputValue(), "A draft"));
  await told();
});

browse("limits: a connection that nothing was asked on is closed, which is said, and the next question opens another", {}, async (scene) => {
  const troupe = scene.with(await startTroupe({ pool: { idle_timeout: "3s" } }));
  const chat = await openChat(scene, troupe.url);
  await chat.connection("idle");
  assert.equal(await chat.state.innerText(), "Not connected");
  await chat.page.getByText("Nothing was asked for 3s. Reconnect to go on. The next question connects.").waitFor();
  assert.equal((await troupe.status()).connection_pool.active, 0, "it really is not connected");
  assert.equal(await chat.trouble.count(), 0, "that is no trouble");
  assert.equal(await chat.hear("Are you still there?"), "Are you still there?");
  assert.equal((await troupe.status()).connection_pool.active, 1);
  await chat.connection("idle");
  assert.equal(await chat.hear("And now?"), "And now?");
});
