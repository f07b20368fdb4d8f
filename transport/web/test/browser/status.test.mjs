// The operators' page: live numbers, and honest words when there are none.
import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { browsing, phone } from "../harness/browser.mjs";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { networkNoise } from "./driver.mjs";

const browse = browsing();

/** The page with its first reading. */
async function openStatus(scene, url, page) {
  page ??= await scene.tab();
  await page.goto(`${url}/status`);
  await page.locator("#workers tbody tr").first().waitFor();
  return page;
}

const shows = (page, name, value) =>
  expectSoon(async () => assert.equal(await page.locator(`[data-value="${name}"]`).first().innerText(), value, name));

function socket(troupe) {
  const socket = new WebSocket(`ws://${troupe.host}/ws/chat/crowd`);
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("open", () => socket.send('{"type":"ping"}'));
    socket.once("message", () => resolve(socket)); // a pong: it was admitted
  });
}

async function ask(troupe, content) {
  const body = JSON.stringify({ content, session_id: "asker" });
  const response = await troupe.get("/api/chat", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  assert.equal(response.status, 200);
}

browse("status: the numbers follow what happens", {}, async (scene) => {
  const troupe = scene.with(await startTroupe({ limits: "shipped" }));
  const page = await openStatus(scene, troupe.url);
  await shows(page, "connections", "0");
  await shows(page, "completed", "0");
  const sockets = await Promise.all(Array.from({ length: 7 }, () => socket(troupe)));
  await shows(page, "connections", "7");
  for (const one of sockets) one.close();
  await shows(page, "connections", "0");
  await shows(page, "peak", "7");
  await shows(page, "limit", "1,000");

  await ask(troupe, "Count me");
  await ask(troupe, "Me too");
  await shows(page, "completed", "2");
  await shows(page, "connectionRule", "50 connections per 5 minutes");
  const workers = await page.locator("#workers").innerText();
  for (const provider of ["echo: ready", "openai: needs the user's key"]) assert.ok(workers.includes(provider), provider);
  assert.equal(await page.locator("#gateways tbody tr").count(), 1);
});

browse("status: a server that is away is said to be away, and found again", { expect: networkNoise }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  await ask(troupe, "Count me");
  const page = await openStatus(scene, troupe.url);
  await shows(page, "completed", "1");
  await troupe.kill9();
  await page.getByText(/Trying again in \d+ s/).first().waitFor();
  await shows(page, "completed", "1"); // the last values stay, and are seen to be old
  await page.locator("#values.stale").waitFor();
  await troupe.start();
  await page.getByRole("button", { name: "Try now" }).click({ timeout: 5_000 }).catch(() => {}); // it may have been tried just then
  await shows(page, "completed", "0");
  await page.locator("#values:not(.stale)").waitFor();
  await page.getByText(/restarted/i).first().waitFor();
});

browse("status: rate limits are reset when one is sure", {}, async (scene) => {
  const troupe = scene.with(await startTroupe({ limits: "shipped" }));
  await ask(troupe, "Something to count");
  const tracked = async () => (await troupe.status()).rate_limiter.stats.tracked_keys;
  const before = await tracked();
  assert.ok(before > 0);
  const page = await openStatus(scene, troupe.url);
  const reset = page.getByRole("button", { name: "Reset rate limits" });
  await reset.click();
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal(await tracked(), before, "nothing was reset without a yes");

  await reset.click();
  await page.getByRole("dialog").getByRole("button", { name: /reset/i }).click();
  await page.locator("#result", { hasText: String(before) }).waitFor();
  assert.equal(await tracked(), 0);
});

browse("status: it fits a phone, and a pause asks nothing", { viewport: phone }, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const proxy = scene.with(await startProxy(troupe));
  const tab = await scene.tab();
  await tab.clock.install();
  const page = await openStatus(scene, proxy.url, tab);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= phone.width, `the page is ${width} pixels wide`);
  await page.getByRole("button", { name: "Pause" }).click();
  const asked = proxy.requests.length;
  await page.clock.runFor(60_000);
  assert.equal(proxy.requests.length, asked);
  const again = proxy.next((request) => request.path === "/metrics");
  await page.getByRole("button", { name: "Resume" }).click();
  await again;
});

browse("status: a chart is drawn from the second reading on", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  const proxy = scene.with(await startProxy(troupe));
  const page = await openStatus(scene, proxy.url);
  await expectSoon(() => assert.ok(proxy.count("/metrics") >= 2, "it was asked a second time"));
  for (const [title, lines] of [["Memory", 2], ["Goroutines", 1]]) {
    const chart = page.getByRole("figure").filter({ has: page.getByRole("heading", { name: title, exact: true }) });
    const drawn = chart.locator("svg:not(.swatch) path.line");
    assert.equal(await drawn.count(), lines, title);
    for (const line of await drawn.all()) {
      await expectSoon(async () => assert.match(await line.getAttribute("d"), /^M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)+$/, title));
      const seen = await line.evaluate((path) => {
        const { y, width, height } = path.getBBox();
        return { top: y, bottom: y + height, width, ink: getComputedStyle(path).stroke };
      });
      assert.ok(seen.width > 0 && seen.ink !== "none" && seen.top >= 0 && seen.bottom <= 120, `the line is seen, within the chart: ${JSON.stringify(seen)}`);
    }
  }
  const values = await page.getByRole("figure").filter({ hasText: "Memory" }).locator(".legend b").allInnerTexts();
  for (const value of values) assert.match(value, /^\d[\d.,]* (KiB|MiB|GiB|KB|MB|GB)$/);
});

const token = "0123456789abcdef-operators";
const guarded = { http: { admin_listen: "127.0.0.1:0", admin_token: token } };

/** A troupe whose operators have a port and a token of their own, and that port's address. */
async function operated(scene) {
  const troupe = scene.with(await startTroupe(guarded));
  const [, host] = await troupe.logged(/operators\s+http:\/\/(127\.0\.0\.1:\d+)/);
  scene.allow({ host });
  return { troupe, url: `http://${host}` };
}

browse("status: on the operators' port the token opens it as a password, and the numbers come", { httpCredentials: { username: "anybody", password: token } }, async (scene) => {
  const { troupe, url } = await operated(scene);
  const page = await openStatus(scene, url);
  await shows(page, "connections", "0");
  const one = await socket(troupe);
  await shows(page, "connections", "1");
  one.close();
  await shows(page, "connections", "0");
});

browse("status: on the operators' port nobody gets in without the token", { httpCredentials: { username: "anybody", password: "wrong" }, expect: networkNoise }, async (scene) => {
  const { troupe, url } = await operated(scene);
  const page = await scene.tab();
  const refused = await page.goto(`${url}/status`);
  assert.equal(refused.status(), 401);
  assert.match(refused.headers()["www-authenticate"], /^Basic /);
  assert.equal(await page.locator("#values").count(), 0);
  for (const address of [`${url}/metrics`, `${url}/api/debug/websocket-status`, `${troupe.url}/status`, `${troupe.url}/metrics`]) {
    const { status } = await fetch(address);
    assert.ok(status === 401 || status === 404, `${address}: ${status}`);
  }
});
