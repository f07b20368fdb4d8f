// What the chat page weighs, and that nothing jumps while an answer streams.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { slowly, startVendor } from "../harness/vendor.mjs";
import { openChat } from "./driver.mjs";

const browse = browsing();

/** What comes for this address until the page rests: compressed bytes by address, and all that went over the wire for them, headers too. */
async function transferred(scene, url) {
  const page = await scene.tab();
  const wire = await scene.context.newCDPSession(page);
  await wire.send("Network.enable");
  await wire.send("Network.setCacheDisabled", { cacheDisabled: true });
  const names = new Map();
  const bytes = new Map();
  let onWire = 0;
  wire.on("Network.requestWillBeSent", ({ requestId, request }) => names.set(requestId, request.url));
  wire.on("Network.dataReceived", ({ requestId, encodedDataLength }) => {
    const name = names.get(requestId);
    bytes.set(name, (bytes.get(name) ?? 0) + encodedDataLength);
  });
  wire.on("Network.loadingFinished", ({ encodedDataLength }) => (onWire += encodedDataLength));
  await page.goto(url, { waitUntil: "networkidle" });
  return { page, bytes, onWire };
}

const sum = (bytes) => [...bytes.values()].reduce((a, b) => a + b, 0);

browse("weight: the first load of the chat page is below 100 KB compressed", {}, async (scene, t) => {
  const troupe = scene.with(await startTroupe());
  const { bytes, onWire } = await transferred(scene, troupe.url);
  for (const [url, n] of bytes) t.diagnostic(`${String(n).padStart(6)} ${new URL(url).pathname}`);
  t.diagnostic(`${sum(bytes)} bytes in ${bytes.size} responses, ${onWire} with their headers`);
  assert.ok(bytes.size > 5, "it was measured");
  assert.ok(sum(bytes) > 60_000 && sum(bytes) < 100_000, `${sum(bytes)} bytes`);
  assert.ok(onWire < 115_000, `${onWire} bytes with headers`);
  assert.ok(![...bytes.keys()].some((url) => /hljs/.test(url)), "the highlighter is loaded when code comes");
});

browse("weight: a second load asks for next to nothing", {}, async (scene) => {
  const troupe = scene.with(await startTroupe());
  await openChat(scene, troupe.url);
  const page = await scene.tab();
  const fetched = [];
  page.on("response", (response) => fetched.push(response));
  await page.goto(troupe.url, { waitUntil: "networkidle" });
  const sizes = await Promise.all(fetched.map(async (r) => [new URL(r.url()).pathname, (await r.request().sizes()).responseBodySize]));
  const assets = sizes.filter(([path, size]) => path.startsWith("/assets/") && size > 0);
  assert.deepEqual(assets, [], "assets come from the cache");
});

const section = (n) =>
  `## Part ${n}\n\nSome text that goes on for a while, with **weight**, \`code\` and [a link](https://example.com/), until the line is broken at the edge.\n\n` +
  `- one\n- two\n  - nested\n\n| a | b |\n|---|---|\n| ${n} | 2 |\n\n\`\`\`js\nconst part = ${n};\nfor (const x of [1, 2]) console.log(x + part);\n\`\`\`\n\n> Quoted.\n\n`;

browse("weight: nothing shifts while an answer streams, and the end stays in sight", {}, async (scene, t) => {
  const text = Array.from({ length: 12 }, (_, i) => section(i + 1)).join("");
  const vendor = scene.with(await startVendor(() => slowly(text, 8)));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  await chat.page.evaluate(() => {
    globalThis.shifts = [];
    const box = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(" ");
    const told = ({ node, previousRect, currentRect }) =>
      `${node?.outerHTML?.slice(0, 160) ?? node?.nodeName ?? "gone"}: ${box(previousRect)} → ${box(currentRect)}`;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) globalThis.shifts.push(`${entry.value.toFixed(6)} ${entry.sources.map(told).join("; ")}`);
    }).observe({ type: "layout-shift" });
  });
  await chat.ask("Write at length.");
  await chat.says("Part 12");
  await chat.ended();
  const end = await chat.answers.last().evaluate((answer) => answer.getBoundingClientRect().bottom - innerHeight);
  t.diagnostic(`the answer ends ${Math.round(end)} px below the window's edge`);
  assert.ok(end < 0, "a reader at the end stays at the end");
  assert.deepEqual(await chat.page.evaluate(() => globalThis.shifts), []);
});

browse("weight: a reader who scrolled back is left in peace", {}, async (scene) => {
  const text = Array.from({ length: 8 }, (_, i) => section(i + 1)).join("");
  const vendor = scene.with(await startVendor(() => slowly(text, 8)));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  await chat.ask("Write at length.");
  await chat.says("Part 4");
  const heading = chat.answers.last().getByText("Part 1", { exact: true });
  await heading.scrollIntoViewIfNeeded();
  const place = () => heading.evaluate((h) => Math.round(h.getBoundingClientRect().top));
  const before = await place();
  await chat.says("Part 8");
  await chat.ended();
  assert.equal(await place(), before, "the text under the reader's eyes did not move");
  await chat.page.getByRole("button", { name: "Jump to the end" }).click();
  await chat.answers.last().getByText("Part 8", { exact: true }).waitFor();
});
