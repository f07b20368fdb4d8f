// What stands between a page and its server: origin rules, and proxies without WebSocket.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { startSite } from "../harness/site.mjs";
import { slowly, startVendor } from "../harness/vendor.mjs";
import { Chat, networkNoise, openChat } from "./driver.mjs";

const browse = browsing();

browse("origin: a page on a refused origin explains the line to add, and asks nothing over HTTP", { expect: networkNoise }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  // The page comes through a proxy that says another host: to the server its origin is foreign.
  const proxy = scene.with(await startProxy(troupe, { rewriteHost: true }));
  const chat = new Chat(await scene.tab(proxy.url));
  await chat.connection("refused");
  const words = await chat.page.locator("body").innerText();
  assert.ok(words.includes(`extra_origins: ["${proxy.url}"]`), `the page shows the line to add:\n${words}`);
  await chat.ask("Hello?");
  await chat.trouble.waitFor();
  assert.equal(proxy.count("/api/chat", { method: "POST" }), 0, "no fallback");
});

browse("origin: the client library in a foreign page tells the same", { expect: networkNoise }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const site = scene.with(
    await startSite({
      "/": `<!doctype html><title>Shop</title><output></output><script type="module">
        import { Troupe } from "${troupe.url}/troupe.js";
        const client = new Troupe({ url: "${troupe.url}" });
        client.chat("Hello?").result.catch((error) => {
          document.querySelector("output").textContent = [error.code, error.config, error.env, client.state.is].join("\\n");
        });
      </script>`,
    }),
  );
  const page = await scene.tab(site.url);
  const told = page.locator("output", { hasText: "ORIGIN_NOT_ALLOWED" });
  await told.waitFor();
  assert.deepEqual((await told.textContent()).split("\n"), [
    "ORIGIN_NOT_ALLOWED",
    `http: {extra_origins: ["${site.url}"]}`,
    `TROUPE_HTTP_EXTRA_ORIGINS=${site.url}`,
    "refused",
  ]);
});

browse("origin: the line that was told is the one that helps", {}, async (scene) => {
  const site = scene.with(await startSite({}));
  const troupe = scene.with(await startTroupe({ env: { TROUPE_HTTP_EXTRA_ORIGINS: site.url } }));
  site.pages["/"] = `<!doctype html><title>Shop</title><output></output><script type="module">
    import { Troupe } from "${troupe.url}/troupe.js";
    const { text } = await new Troupe({ url: "${troupe.url}" }).chat("Hello?").result;
    document.querySelector("output").textContent = text;
  </script>`;
  const page = await scene.tab(site.url);
  await page.locator("output", { hasText: "Hello?" }).waitFor();
});

const closed = "The WebSocket does not open";
for (const [how, block, what] of [
  ["refuses handshakes", (proxy) => proxy.refuseUpgrades(403), closed],
  ["drops the Upgrade header", (proxy) => proxy.dropUpgradeHeader(), closed],
  ["kills sockets as soon as they are open", (proxy) => proxy.killSockets(), "The WebSocket opens and is cut at once"],
]) {
  browse(`origin: behind a proxy that ${how} answers come over HTTP, and later over the socket again`, { expect: networkNoise }, async (scene) => {
    const vendor = scene.with(await startVendor(() => slowly("one two three four five six", 40)));
    const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
    const proxy = scene.with(await startProxy(troupe));
    block(proxy);
    const chat = new Chat(await scene.tab(proxy.url));
    await chat.connection("http");
    assert.equal(await chat.state.innerText(), "Connected over HTTP");
    await chat.page.getByText("Why over HTTP?", { exact: true }).click();
    const why = chat.page.getByText(/^The WebSocket /);
    await why.waitFor();
    const words = await why.innerText();
    assert.ok(words.startsWith(`${what}, though the server answers (a plain request got HTTP `), words);
    assert.match(words, /\)\. Usually a proxy in between is the cause\. Answers come over HTTP meanwhile\. The WebSocket is tried again (in \d+ s|now)\.$/);
    assert.equal(await chat.hear("Count."), "one two three four five six");
    assert.equal(proxy.count("/api/chat", { method: "POST" }), 1);

    proxy.restore();
    await chat.tryNow();
    await chat.connection("connected");
    assert.equal(await chat.hear("Again."), "one two three four five six");
    assert.equal(proxy.count("/api/chat", { method: "POST" }), 1, "the second question went over the socket");
  });
}

browse("origin: a stopped answer over HTTP is acknowledged too", { expect: networkNoise }, async (scene) => {
  const vendor = scene.with(await startVendor(async function* () {
    yield "The first half";
    await new Promise(() => {});
  }));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const proxy = scene.with(await startProxy(troupe));
  proxy.refuseUpgrades(403);
  const chat = await openChat(scene, proxy.url, { is: "http" });
  await chat.ask("Tell me.");
  await chat.says("The first half");
  await chat.stop.click();
  await chat.turns.last().getByText(/Stopped/).waitFor();
  assert.equal(await vendor.asked[0].closed, true);
});
