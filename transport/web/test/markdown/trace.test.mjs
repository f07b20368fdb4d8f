import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage } from "./harness.mjs";

const TOKENS = 20_000;
const FRAME = 16; // tokens between two renderings

let open;
before(async () => (open = await openPage()));
after(() => open?.close());

const section = (i) => `## Part ${i}\n\nSome *prose* with **weight**, \`code\` and [a link](https://example.com/${i}), long enough to wrap.\n\n- first\n- second\n  - nested\n\n\`\`\`js\nconst x = ${i}; // comment\n\`\`\`\n\n| a | b |\n|---|---|\n| ${i} | two |\n\n`;
const shapes = {
  mixed: (i) => section(i),
  "one code block": (i) => (i === 0 ? "```js\n" : `const value${i} = compute(${i}, "text"); // line\n`),
  "one list": (i) => `- item ${i} with **weight** and \`code\`\n`,
  "one paragraph": (i) => `sentence ${i} with *emphasis* and more plain words to it. `,
};

/** 20,000 pieces of four characters. */
function tokens(make) {
  let text = "";
  for (let i = 0; text.length < 4 * TOKENS; i++) text += make(i);
  return text.slice(0, 4 * TOKENS).match(/[^]{4}/g);
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

const ends = (frames) => [frames.slice(100 / FRAME, 1100 / FRAME), frames.slice(-1000 / FRAME)].map(median);
const longest = (frames) => Math.max(...frames);
// What made a frame long in one run and not in another was the machine.
const least = (runs) => runs[0].map((_, i) => Math.min(...runs.map((frames) => frames[i])));
// A block without an end is read anew each time that it has grown by half. Even such a frame may be longer than the
// longest of the first tenth no more than the text is. Below a millisecond there is the machine's noise alone.
const LONGEST = 8;

for (const [name, make] of Object.entries(shapes)) {
  test(`${name}: a token costs the same at the end of a long answer as at its beginning`, async (t) => {
    const trace = (layout) => open.page.evaluate((all) => window.harness.trace(...all), [tokens(make), FRAME, layout]);
    const { frames, finish, same } = await trace(false);
    const second = await trace(true);
    const us = (ms) => `${((ms * 1000) / FRAME).toFixed(1)} µs`;
    const [early, late] = ends(frames);
    const long = [...frames, finish].filter((ms) => ms > 50).map(Math.round);
    t.diagnostic(`${us(early)} a token early, ${us(late)} late (${(late / early).toFixed(2)} x); finish ${Math.round(finish)} ms, long tasks ${long.length} ${long}`);
    const sure = least([frames, second.frames]);
    const [begin, whole] = [longest(sure.slice(0, sure.length / 10)), longest(sure)];
    t.diagnostic(`longest frame: ${begin.toFixed(1)} ms in the first tenth, ${whole.toFixed(1)} ms in all (${(whole / begin).toFixed(2)} x)`);
    const [above, below] = ends(second.layouts);
    t.diagnostic(`layout of a frame: ${above.toFixed(2)} ms early, ${below.toFixed(2)} ms late`);
    assert.ok(same, "the grown answer differs from the one rendered in one go");
    const [cheap, dear] = ends(sure);
    assert.ok(dear <= 2 * cheap, `${us(cheap)} a token at the beginning, ${us(dear)} at the end`);
    assert.ok(whole <= LONGEST * Math.max(begin, 1), `the longest frame takes ${whole} ms, in the first tenth ${begin} ms`);
  });
}
