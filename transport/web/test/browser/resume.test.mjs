// Answers outlive reloads, lost sockets and, told honestly, servers.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { gate, slowly, startVendor } from "../harness/vendor.mjs";
import { networkNoise, openChat } from "./driver.mjs";

const browse = browsing();

const words = Array.from({ length: 120 }, (_, i) => `word${i}`).join(" ");

browse("resume: a reload in the middle of an answer loses nothing of it", {}, async (scene) => {
  const vendor = scene.with(await startVendor(() => slowly(words, 25)));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  await chat.ask("Count.");
  await chat.says("word10 ");
  await chat.page.reload();
  await chat.says("word119");
  assert.equal(await chat.ended(), words);
  assert.equal(vendor.asked.length, 1, "nothing was asked twice");
  assert.equal(await chat.turns.count(), 1);

  vendor.answer = () => "done";
  await chat.hear("And then?");
  assert.equal(vendor.asked[1].messages[1].content, words, "what was resumed is what the next question sees");
});

browse("resume: a lost socket is opened again, and the text is exact", { expect: networkNoise }, async (scene) => {
  const vendor = scene.with(await startVendor(() => slowly(words, 25)));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const proxy = scene.with(await startProxy(troupe));
  const chat = await openChat(scene, proxy.url);
  await chat.ask("Count.");
  for (const heard of ["word10 ", "word40 "]) {
    await chat.says(heard);
    const again = proxy.next((request) => request.upgrade);
    proxy.cut();
    await again;
  }
  await chat.says("word119");
  assert.equal(await chat.ended(), words);
  assert.equal(vendor.asked.length, 1);
  await chat.connection("connected");
});

browse("resume: while the network is away the page says so, counts down and comes back", { expect: networkNoise }, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const proxy = scene.with(await startProxy(troupe));
  const chat = await openChat(scene, proxy.url);
  proxy.down();
  await chat.connection("waiting");
  await chat.button("Try now").waitFor();
  await expectSoon(async () => assert.match(await chat.state.innerText(), /^Not connected\. Trying again (in \d+ s|now)\.$/)); // between two tries
  await chat.ask("Are you there?");
  assert.equal(await chat.turns.last().locator(".question").innerText(), "Are you there?");
  assert.equal(vendor.asked.length, 0);
  proxy.restore();
  await chat.tryNow();
  await chat.says("You said: Are you there?");
  await chat.connection("connected");
  assert.equal(vendor.asked.length, 1);
});

browse("resume: a server that is killed in the middle of an answer is told honestly, and asking again works", { expect: networkNoise }, async (scene) => {
  const forever = gate();
  const vendor = scene.with(await startVendor(async function* () {
    yield "Half of the answer";
    await forever.passed;
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  await chat.ask("Tell me.");
  await chat.says("Half of the answer");
  await troupe.kill9();
  await chat.connection("waiting");
  await troupe.start();
  await chat.connection("connected");

  await chat.trouble.waitFor();
  assert.equal(await chat.trouble.getAttribute("role"), "alert");
  assert.match(await chat.turns.last().innerText(), /Half of the answer/, "what had arrived stays");
  assert.match(await chat.turns.last().innerText(), /incomplete/i, "and is called incomplete");
  await chat.page.reload();
  await chat.trouble.waitFor();
  assert.equal(await chat.trouble.getAttribute("role"), null, "shown again it is no news");
  await chat.connection("connected");
  vendor.answer = () => "The whole answer.";
  await chat.button("Ask again").click();
  await chat.says("The whole answer.");
  await chat.ended();
  assert.equal(await chat.trouble.count(), 0);
  assert.deepEqual(vendor.asked[1].messages, [{ role: "user", content: "Tell me." }]);
});

browse("resume: a server that restarts politely lets the page come back", { expect: networkNoise }, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  await chat.hear("Before");
  await troupe.restart({ politely: true });
  assert.equal(await chat.hear("After"), "You said: After");
  await chat.connection("connected");
});
