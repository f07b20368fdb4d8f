// An answer of 20,000 tokens through the whole page: what a token costs it at the
// beginning and at the end, and whether somebody can use the page meanwhile. Times of
// work are the thread's own processor time, which a busy machine does not stretch.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { gate, startVendor } from "../harness/vendor.mjs";
import { Chat } from "./driver.mjs";

const browse = browsing();

const perSecond = 700;
const slices = { early: [1_000, 3_000], late: [18_000, 20_000] };
const most = 60_000; // those after the slices stream while somebody clicks

const section = (n) =>
  `## Part ${n}\n\nSome *prose* that goes on for a while, with **weight**, \`code\` and [a link](https://example.com/${n}), until the line is broken at the edge.\n\n` +
  `- first\n- second\n  - nested\n\n\`\`\`js\nconst part = ${n}; // a comment\nfor (const x of [1, 2]) console.log(x + part);\n\`\`\`\n\n| a | b |\n|---|---|\n| ${n} | two |\n\n> Quoted.\n\n`;

/** So many pieces of four characters. */
function pieces(count) {
  let text = "";
  for (let i = 1; text.length < 4 * count; i++) text += section(i);
  return text.slice(0, 4 * count).match(/[^]{4}/g);
}

/** The pieces at an even pace until somebody has enough. Before the n-th it waits for the gate of n, where there is one. */
async function* paced(all, gates, enough) {
  let [begin, since] = [performance.now(), 0];
  for (const [i, piece] of all.entries()) {
    if (gates.has(i)) {
      await gates.get(i).passed;
      [begin, since] = [performance.now(), i];
    }
    const early = begin + ((i - since) * 1000) / perSecond - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    yield piece;
    if (enough()) return;
  }
}

/** Counts what comes to the page without asking the page: `await arrived(n)` until n characters of answers did. */
function arrivals(page) {
  let count = 0;
  const waiting = [];
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(payload);
      if (frame.type === "chunk") count += frame.content.length;
      while (waiting[0]?.characters <= count) waiting.shift().resolve();
    });
  });
  return (characters) => new Promise((resolve) => waiting.push({ characters, resolve }));
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const painted = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));

/** Microseconds that the page has worked since it was opened. */
async function worked(wire) {
  const { metrics } = await wire.send("Performance.getMetrics");
  const of = (name) => 1e6 * metrics.find((metric) => metric.name === name).value;
  return { script: of("ScriptDuration"), style: of("RecalcStyleDuration"), layout: of("LayoutDuration"), all: of("TaskDuration") };
}

/** Milliseconds of work of each task of the pages, longest first, from what the browser traced. */
function tasks(trace) {
  const { traceEvents } = JSON.parse(trace.toString("utf8"));
  const key = ({ pid, tid }) => `${pid} ${tid}`;
  const mains = new Set(traceEvents.filter((event) => event.args?.name === "CrRendererMain").map(key));
  const times = traceEvents.filter((event) => /RunTask$/.test(event.name) && event.tdur && mains.has(key(event))).map(({ tdur }) => tdur / 1000);
  return times.sort((a, b) => b - a);
}

/** From now on the page notes long tasks, shifts that nobody's input made, and how long it took to paint what came of a click or a key. */
function watch(page) {
  return page.evaluate(() => {
    const seen = (globalThis.seen = { long: [], shifts: 0, painted: [] });
    const observe = (type, note) => new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type });
    observe("longtask", ({ duration }) => seen.long.push(duration));
    observe("layout-shift", ({ value, hadRecentInput }) => (seen.shifts += hadRecentInput ? 0 : value));
    const note = ({ timeStamp }) => requestAnimationFrame(() => setTimeout(() => seen.painted.push(performance.now() - timeStamp)));
    for (const type of ["click", "keydown"]) addEventListener(type, note, { capture: true });
  });
}

/** Milliseconds until the page had painted what came of this, each time that it was done. */
async function answered(page, times, act, undo) {
  const taken = [];
  for (let i = 0; i < times; i++) {
    await page.evaluate(() => (globalThis.seen.painted = []));
    await act();
    await page.waitForFunction(() => globalThis.seen.painted.length > 0);
    taken.push(await page.evaluate(() => globalThis.seen.painted[0]));
    await undo();
  }
  return taken;
}

const permissions = ["clipboard-read", "clipboard-write"];
browse("long: the 20,000th token costs no more than the 1,000th, and the page can be used all the time", { permissions, timeout: 120_000 }, async (scene, t) => {
  const all = pieces(most);
  let sent = 0;
  let enough = false;
  const gates = new Map(Object.values(slices).flat().map((n) => [n, gate()]));
  const vendor = scene.with(await startVendor(() => paced(all, gates, () => (sent++, enough))));
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const page = await scene.tab();
  const arrived = arrivals(page);
  const chat = new Chat(page);
  await page.goto(troupe.url);
  await chat.connection("connected");
  await watch(page);
  const wire = await scene.context.newCDPSession(page);
  await wire.send("Performance.enable", { timeDomain: "threadTicks" });

  await chat.ask("Write at great length.");
  const costs = {};
  for (const [name, [from, to]] of Object.entries(slices)) {
    await arrived(4 * from);
    await painted(page);
    if (name === "late") await scene.context.browser().startTracing(page, { categories: ["toplevel"] });
    const before = await worked(wire);
    gates.get(from).open();
    await arrived(4 * to);
    await painted(page);
    const after = await worked(wire);
    costs[name] = Object.fromEntries(Object.keys(before).map((what) => [what, (after[what] - before[what]) / (to - from)]));
    t.diagnostic(`tokens ${from} to ${to}: ${Object.entries(costs[name]).map(([what, us]) => `${what} ${us.toFixed(0)} µs`).join(", ")} a token`);
    gates.get(to).open();
  }
  // Elements by their ids: a search by role through all the page would be most of the work that is measured.
  const hidden = (selector) => page.locator(selector).waitFor({ state: "hidden" });
  const keys = await answered(page, 5, () => page.keyboard.press("x"), () => {});
  assert.equal(await page.locator("#question").inputValue(), "xxxxx");
  await page.locator("#list li").hover();
  const rename = page.locator("#list [data-does=rename]");
  const leave = () => page.keyboard.press("Escape").then(() => hidden("#list input"));
  const clicks = await answered(page, 5, () => rename.click().then(() => page.locator("#list input").waitFor()), leave);
  const work = tasks(await scene.context.browser().stopTracing());
  const { long, shifts } = await page.evaluate(() => globalThis.seen);
  const close = () => page.keyboard.press("Escape").then(() => hidden("#settings"));
  const dialogs = await answered(page, 3, () => page.locator("#open-settings").click(), close);
  assert.ok(await page.locator("#stop").isVisible(), "all this was done while the answer came");
  enough = true;
  await page.locator("article[aria-busy=false]").waitFor();

  const ratio = costs.late.script / costs.early.script;
  const ms = (numbers) => numbers.map((number) => Math.round(number)).join(", ") || "none";
  t.diagnostic(`script: ${ratio.toFixed(2)} x; shifts: ${shifts}`);
  t.diagnostic(`most work in one task since token 18000: ${ms(work.slice(0, 5))} ms; tasks that took more than 50 ms of the clock: ${long.length}, longest ${ms(long.toSorted((a, b) => b - a).slice(0, 3))} ms`);
  t.diagnostic(`painted after a key: ${ms(keys)} ms, after a click: ${ms(clicks)} ms, with the settings, for which all the page is restyled: ${ms(dialogs)} ms`);

  await page.locator("button[aria-label='Copy answer']").click();
  await page.locator("button[aria-label=Copied]").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), all.slice(0, sent).join(""), "the text is exact");
  assert.ok(work.length > 100, "the tasks were seen");
  assert.ok(work[0] <= 100, `one task worked for ${work[0]} ms`);
  assert.ok(ratio <= 2, `script for a token: ${costs.early.script} µs early, ${costs.late.script} µs late`);
  assert.equal(shifts, 0, "nothing jumps");
  for (const times of [keys, clicks]) assert.ok(median(times) <= 200, `painted after ${ms(times)} ms`);
  assert.ok(median(dialogs) <= 1000, `the settings are painted after ${ms(dialogs)} ms`);
});
