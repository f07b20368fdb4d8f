// Colours come from a thread of their own: hostile code costs that thread, never the page.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { expectSoon } from "../harness/soon.mjs";
import { openPage } from "./harness.mjs";

const KB = 1024;
// The highlighter takes seconds for each of these.
const HOSTILE = { java: "$".repeat(19 * KB), ini: "a".repeat(19 * KB), nginx: "a".repeat(19 * KB), kotlin: "a".repeat(19 * KB) };

let open;
let workers;
beforeEach(async () => {
  open = await openPage();
  workers = [];
  open.page.on("worker", (worker) => workers.push(worker.url()));
});
afterEach(() => open?.close());

/** Renders each text as a block of its language, one after the other, and tells how the page's own thread fared. */
const render = (blocks) => open.page.evaluate(async (all) => {
  const { whole } = window.harness;
  const tasks = [];
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries()));
  observer.observe({ type: "longtask" });
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 10);
  const began = performance.now();
  const elements = await Promise.all(all.map(([lang, code]) => whole(`\`\`\`${lang}\n${code}\n\`\`\`\n`)));
  const took = performance.now() - began;
  clearInterval(ticking);
  tasks.push(...observer.takeRecords());
  observer.disconnect();
  return {
    took, ticks,
    longest: Math.max(0, ...tasks.map((task) => task.duration)),
    same: elements.every((element, i) => element.querySelector("code").textContent === all[i][1]),
    colours: elements.map((element) => element.querySelectorAll("[class^=hljs-]").length > 0),
  };
}, blocks);

test("hostile code of many languages leaves the page free and stays plain; the next code has its colours", async (t) => {
  const longest = [];
  for (const end of ["", "!"]) { // a text is hopeless only once
    const found = await render([...Object.entries(HOSTILE).map(([lang, code]) => [lang, code + end]), ["js", "let a = 1;"]]);
    t.diagnostic(`${Math.round(found.took)} ms, ${found.ticks} ticks of 10 ms, longest task ${Math.round(found.longest)} ms`);
    assert.deepEqual(found.colours, [...Object.keys(HOSTILE).map(() => false), true]);
    assert.ok(found.same, "the code is as it was written");
    assert.ok(found.ticks * 10 > found.took / 4, `${found.ticks} ticks of 10 ms in ${found.took} ms`);
    longest.push(found.longest);
  }
  // What made a task long in one run and not in the other was the machine.
  assert.ok(Math.min(...longest) <= 200, `tasks of ${longest} ms`);
  // On a busy machine the page may look so late that a text was ready after all; its thread then goes on.
  const lost = 2 * Object.keys(HOSTILE).length;
  await expectSoon(() => assert.ok(workers.length > lost / 2 && workers.length <= lost + 1, `${workers.length} threads: one that is lost is replaced, once`));
});

test("a text that was hopeless once is not tried again while the page lives", async () => {
  const block = ["java", HOSTILE.java];
  await render([block, ["js", "let a;"]]);
  await expectSoon(() => assert.equal(workers.length, 2));
  const { colours } = await render([block, ["js", "let b;"]]);
  assert.deepEqual(colours, [false, true]);
  assert.equal(workers.length, 2, "another try would have lost another thread");
});

test("one thread colours all ordinary code", async () => {
  const { colours } = await render([["js", "let a;"], ["go", "func f() {}"], ["python", "def f(): pass"], ["js", "let b;"]]);
  assert.deepEqual(colours, [true, true, true, true]);
  await expectSoon(() => assert.equal(workers.length, 1));
  assert.deepEqual(await open.page.evaluate(() => window.harness.caught.violations), []);
});

test("a page that was busy past the deadline still takes what the thread had ready by then", async () => {
  const coloured = await open.page.evaluate(async () => {
    window.Worker = class extends Worker {
      constructor(...how) {
        super(...how);
        this.addEventListener("message", ({ data }) => {
          for (const end = performance.now() + (data.loaded ? 1200 : 0); performance.now() < end; );
        });
      }
    };
    const element = await window.harness.whole("```js\nlet a = 1;\n```\n");
    return element.querySelectorAll("[class^=hljs-]").length;
  });
  assert.ok(coloured > 0);
});

test("more colours than a page can take in at once are left out", async () => {
  const longest = [];
  for (let run = 1; run <= 2; run++) {
    const found = await render([["js", "0 ".repeat(10_000)], ["js", "0 ".repeat(1000)]]);
    assert.deepEqual(found.colours, [false, true]);
    longest.push(found.longest);
  }
  assert.ok(Math.min(...longest) <= 200, `tasks of ${longest} ms`);
});

test("a language that does not come is asked for again by the next code", async () => {
  const grammar = "**/languages/lua.js";
  await open.page.route(grammar, (route) => route.abort());
  assert.deepEqual((await render([["lua", "local a = 1"], ["js", "let a;"]])).colours, [false, true]);
  await open.page.unroute(grammar);
  assert.deepEqual((await render([["lua", "local a = 1"]])).colours, [true]);
});

test("code full of characters that turn its direction costs little, and all of them are in boxes", async () => {
  const render = () => open.page.evaluate(async () => {
    const code = "x\u202e\u2066y".repeat(25_000);
    const began = performance.now();
    const element = await window.harness.whole(`\`\`\`\n${code}\n\`\`\`\n`);
    const took = performance.now() - began;
    const same = element.querySelector("code").textContent === code;
    const boxes = element.querySelectorAll(".turn").length;
    for (const box of element.querySelectorAll(".turn")) box.remove();
    return { took, boxes, same, outside: /[\u202e\u2066]/.test(element.textContent) };
  });
  const took = [];
  for (let run = 1; run <= 2; run++) {
    const { outside, boxes, same, ...found } = await render();
    assert.deepEqual({ outside, boxes, same }, { outside: false, boxes: 1001, same: true });
    took.push(found.took);
  }
  assert.ok(Math.min(...took) < 500, `${took} ms`);
});
