import assert from "node:assert/strict";
import { test } from "node:test";
import { Blocks, lex } from "../../lib/blocks.js";
import { units } from "../../lib/render.js";
import { documents } from "./corpus.mjs";
import { cuts, mix, random, seed } from "./random.mjs";

/** All that settles of a text cut at these places, as units. */
function settledUnits(text, ends) {
  const blocks = new Blocks();
  const found = [];
  let from = 0;
  for (const end of [...ends, text.length]) {
    blocks.append(text.slice(from, end));
    found.push(...units(blocks.step().settled));
    from = end;
  }
  found.push(...units(blocks.finish().settled));
  return { found, references: blocks.references };
}

function check(text, ends) {
  const { found, references } = settledUnits(text, ends);
  // With references the whole text is read once more at its end, and this is only what is shown until then.
  if (!references) assert.deepEqual(found, units(lex(text)), `seed ${seed}, text ${JSON.stringify(text)} cut at ${ends}`);
}

test("cut once at every place, a text settles as it reads in one go", () => {
  for (const text of documents) for (let at = 0; at <= text.length; at++) check(text, [at]);
});

test("character by character, a text settles as it reads in one go", () => {
  for (const text of documents) check(text, Array.from(text, (_, i) => i + 1));
});

test("parts of texts behind each other in pieces of all sizes settle as they read in one go", () => {
  const chance = random(seed);
  for (let i = 0; i < 3000; i++) {
    const text = mix(chance, documents);
    check(text, cuts(chance, text, [2, 10, 80][chance(3)]));
  }
});

test("long blocks of every kind settle as they read in one go", () => {
  const chance = random(seed);
  const long = [
    "word *em* ".repeat(3000), "a line of a paragraph\n".repeat(1000), "- item\n".repeat(2000), `- item\n${"  - nested item\n".repeat(1500)}- last\n`,
    `| a | b |\n|---|---|\n${"| 1 | 2 |\n".repeat(2000)}`, `\`\`\`js\n${"let a = 1;\n".repeat(2000)}\`\`\`\n`, `  ~~~\n${"   a\n\n".repeat(3000)}`,
    "> quoted line\n".repeat(1500), "    indented code\n".repeat(1500), `<!--\n${"comment\n\n".repeat(2000)}`, `<div>\n${"html\n".repeat(2000)}`,
    `- code\n  \`\`\`\n${"  line\n\n".repeat(2000)}  \`\`\`\n- next\n`,
  ];
  for (const text of long) {
    const all = `${text}\n\nbetween\n\n${text.trimEnd()}\n# after\n`;
    check(all, cuts(chance, all, 200));
  }
});

test("what is settled is told once and stays out of the live rest", () => {
  const blocks = new Blocks();
  blocks.append("# One\n\ntwo\n\nthr");
  const { settled, live } = blocks.step();
  assert.deepEqual(settled.map((token) => token.text), ["One", "two"]);
  assert.deepEqual(live.map((token) => token.text), ["thr"]);
  blocks.append("ee\n\nfour");
  assert.deepEqual(blocks.step().settled.map((token) => token.text), ["three"]);
  assert.deepEqual(blocks.finish().settled.map((token) => token.text), ["four"]);
});

test("the items of a list and the rows of a table settle one by one", () => {
  const list = new Blocks();
  list.append("3. a\n4. b\n5. c\n");
  assert.deepEqual(units(list.step().settled), units(lex("3. a\n4. b")));
  list.append("6. d\n");
  assert.deepEqual(units(list.step().settled), [{ kind: "item", html: "<li><p>c</p></li>" }]);

  const table = new Blocks();
  table.append("| a |\n|---|\n| 1 |\n| 2 |\n");
  assert.deepEqual(units(table.step().settled), units(lex("| a |\n|---|\n| 1 |\n")));
  table.append("| 3 |\n");
  assert.deepEqual(units(table.step().settled), [{ kind: "row", html: "<tr><td>2</td></tr>" }]);
});

test("an open fence hands on text only, and not what may be its end", () => {
  const blocks = new Blocks();
  blocks.append("```js\none\n");
  assert.equal(blocks.step().live[0].text, "one");
  const handed = ["  two", "\n", "``", "`x\n", "```", " "].map((piece) => {
    blocks.append(piece);
    return blocks.step();
  });
  assert.deepEqual(handed.map(({ live }) => live), [null, null, null, null, null, null]);
  assert.deepEqual(handed.map(({ more }) => more), ["\n  two", "", "", "\n```x", "", ""]);
  blocks.append("\n");
  assert.equal(blocks.step().settled[0].text, "one\n  two\n```x");
});

test("a long paragraph hands on text, and ends where it ends", () => {
  const blocks = new Blocks();
  blocks.append("word ".repeat(2000));
  assert.equal(blocks.step().live.length, 1);
  blocks.append("more ");
  assert.deepEqual(blocks.step(), { settled: [], live: null, more: "more " });
  blocks.append("end.\n\n");
  assert.equal(blocks.step().settled.length, 1);
});

test("a mark that may still turn into another is not shown", () => {
  for (const text of ["text\n-", "text\n==", "text\n`", "text\n``", "text\n1.", "text\n#"]) {
    const blocks = new Blocks();
    blocks.append(text);
    assert.deepEqual(units(blocks.step().live), [{ kind: "block", html: "<p>text</p>" }], text);
  }
});

test("texts made to keep a lexer busy are read in bearable time", () => {
  const marks = ["*a ", "**a", "_a ", "[", "[a](", "![", "`a``", "> ", "- ", "1. ", "<a ", "~a~~", "&#60;", "|", "a|b\n", "a@b.", "www.a", "<!--", "[a]: b\n", "- a\n  ", ">a\n>", "[a]: b \""];
  for (const mark of marks) {
    const began = performance.now();
    units(lex(mark.repeat(40_000 / mark.length)));
    const took = performance.now() - began;
    assert.ok(took < 2000, `40,000 characters of ${JSON.stringify(mark)} took ${Math.round(took)} ms`);
  }
});

test("links are followed only to where they may lead", () => {
  const html = (text) => units(lex(text))[0].html;
  assert.equal(html("[a](https://e.com/?x=1&amp;y=2 \"t\")"), '<p><a href="https://e.com/?x=1&amp;y=2" title="t">a</a></p>');
  assert.equal(html("![a *b*](https://e.com/i.png)"), '<p><a href="https://e.com/i.png">a b</a></p>');
  assert.equal(html("[![a](https://e.com/i.png)](https://e.com)"), '<p><a href="https://e.com/">a</a></p>');
  for (const href of ["javascript:x", "JaVaScript:x", "java&#115;cript:x", "&#1;javascript:x", "java\tscript:x", "data:text/html,x", "vbscript:x", "//e.com", "/x", "#x", "file:///x", "blob:https://e.com/x"]) {
    assert.ok(!html(`[a](<${href}>)`).includes("<a"), href);
  }
});
