import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { documents } from "./corpus.mjs";
import { openPage } from "./harness.mjs";
import { cuts, mix, random, seed } from "./random.mjs";

let open;
before(async () => (open = await openPage()));
after(() => open?.close());

const inPage = (work, argument) => open.page.evaluate(work, argument);

test("cut anywhere, the finished page equals the one rendered in one go", async () => {
  for (const text of documents) {
    const every = Array.from({ length: text.length }, (_, i) => i + 1);
    const wrong = await inPage((all) => window.harness.compare(...all), [text, [every, ...every.map((end) => [end])]]);
    assert.deepEqual(wrong, [], JSON.stringify(text));
  }
});

test("parts of texts behind each other in pieces of all sizes become the same page too", async () => {
  const chance = random(seed);
  for (let i = 0; i < 150; i++) {
    const text = mix(chance, documents);
    const ways = [2, 10, 80].map((longest) => cuts(chance, text, longest));
    const wrong = await inPage((all) => window.harness.compare(...all), [text, ways]);
    assert.deepEqual(wrong, [], `seed ${seed}, text ${JSON.stringify(text)}`);
  }
});

test("what is settled keeps its nodes, its place and its selection", async () => {
  const kept = await inPage(async () => {
    const { MarkdownView, main } = window.harness;
    const element = document.createElement("div");
    main.append(element);
    const view = new MarkdownView(element);
    view.append("# One\n\nTwo has *text*.\n\n- three\n- four\n- fi");
    view.flush();
    const nodes = ["h3", "p", "ul", "li:nth-child(1)", "li:nth-child(2)"].map((name) => element.querySelector(name));
    const places = nodes.map((node) => node.getBoundingClientRect().top);
    getSelection().selectAllChildren(nodes[1]);
    for (const piece of "ve\n\n  loose\n\nNext paragraph\n===\n\n```js\nlet a;\n```\n\n| a |\n|---|\n| b |\n".match(/[^]{1,3}/g)) {
      view.append(piece);
      view.flush();
    }
    await view.finish();
    return {
      nodes: nodes.every((node) => element.contains(node)),
      places: nodes.every((node, i) => node.getBoundingClientRect().top === places[i]),
      selection: String(getSelection()),
    };
  });
  assert.deepEqual(kept, { nodes: true, places: true, selection: "Two has text." });
});

test("a list that goes on behind something else goes on counting", async () => {
  const seen = await inPage(() => {
    const element = document.createElement("div");
    window.harness.renderMarkdown(element, "1. One\n\n```sh\nx\n```\n\n2. Two\n\nText\n\n10. Ten\n");
    return Array.from(element.querySelectorAll("ol"), (list) => list.start);
  });
  assert.deepEqual(seen, [1, 2, 10]);
});

test("a line break may be HTML, and nothing else may", async () => {
  const html = await inPage(() => {
    const element = document.createElement("div");
    window.harness.renderMarkdown(element, "| a |\n|---|\n| one<br>two<BR/>three<br /><b>x</b><br onclick=x> |\n");
    return element.querySelector("td").innerHTML;
  });
  assert.equal(html, "one<br>two<br>three<br>&lt;b&gt;x&lt;/b&gt;&lt;br onclick=x&gt;");
});

test("a reference that is defined at the end changes only where it is used", async () => {
  const kept = await inPage(async () => {
    const { MarkdownView, main } = window.harness;
    const element = document.createElement("div");
    main.append(element);
    const view = new MarkdownView(element);
    view.append("First.\n\nSee [this].\n\nLast.\n\n");
    view.flush();
    const before = Array.from(element.querySelectorAll("p"));
    view.append("[this]: https://example.com/x\n");
    await view.finish();
    const after = Array.from(element.querySelectorAll("p"));
    return { same: after.map((node, i) => node === before[i]), href: after[1].querySelector("a")?.href };
  });
  assert.deepEqual(kept, { same: [true, false, true], href: "https://example.com/x" });
});

test("many pieces make one rendering a frame", async () => {
  const changes = await inPage(async () => {
    const { MarkdownView, main } = window.harness;
    const element = document.createElement("div");
    main.append(element);
    const view = new MarkdownView(element);
    const seen = [];
    new MutationObserver(() => seen.push(element.textContent)).observe(element, { childList: true, subtree: true, characterData: true });
    for (const piece of ["a ", "b ", "c"]) view.append(piece);
    const before = element.textContent;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return [before, ...seen];
  });
  assert.deepEqual(changes, ["", "a b c"]);
});

test("set() goes on where the text does, and starts anew where it does not, also after the end", async () => {
  const texts = await inPage(async () => {
    const { MarkdownView, main } = window.harness;
    const element = document.createElement("div");
    main.append(element);
    const view = new MarkdownView(element);
    const shown = [];
    const see = () => {
      view.flush();
      shown.push(Array.from(element.querySelectorAll("p, h3, code"), (node) => `${node.nodeName} ${node.textContent}`).join(", "));
    };
    view.set("One\n\nTw");
    see();
    const first = element.querySelector("p");
    view.set("One\n\nTwo\n\n```\nx");
    see();
    const same = element.querySelector("p") === first;
    await view.finish();
    view.append("y\n```\n# Three");
    see();
    view.set("# Other");
    see();
    view.set("");
    see();
    return { shown, same, text: view.text };
  });
  assert.deepEqual(texts, {
    shown: ["P One, P Tw", "P One, P Two, CODE x", "P One, P Two, CODE xy, H3 Three", "H3 Other", ""],
    same: true,
    text: "",
  });
});

test("a long fence and a long paragraph show what came, before they end", async () => {
  const shown = await inPage(() => {
    const { MarkdownView, main } = window.harness;
    return ["```\n", ""].map((start) => {
      const element = document.createElement("div");
      main.append(element);
      const view = new MarkdownView(element);
      let text = "";
      view.append(start);
      for (let i = 0; i < 3000; i++) {
        const piece = start ? `line ${i}\n` : `word ${i} `;
        text += piece;
        view.append(piece);
        view.flush();
        const there = element.querySelector("code, p").textContent;
        if (i % 500 === 499 && there.trim() !== text.trim()) return `after ${text.length} characters there are ${there.length}`;
      }
      return "all";
    });
  });
  assert.deepEqual(shown, ["all", "all"]);
});

test("code gets its colours when it is closed, and keeps its exact text", async () => {
  const code = "package main\n\nfunc main() {\n\tprintln(\"<b>&amp;\")\n}";
  const found = await inPage(async (text) => {
    const { MarkdownView, main } = window.harness;
    const element = document.createElement("div");
    main.append(element);
    const view = new MarkdownView(element);
    view.append(`\`\`\`golang\n${text}\n`);
    view.flush();
    const colours = () => element.querySelectorAll("[class^=hljs-]").length;
    const open = colours();
    view.append("```\n\n```klingon\nHIja'\n```\n");
    await view.finish();
    const codes = Array.from(element.querySelectorAll("pre code"), (node) => node.textContent);
    return { open, closed: colours() > 3, codes, label: element.querySelector("figcaption").textContent };
  }, code);
  assert.deepEqual(found, { open: 0, closed: true, codes: [code, "HIja'"], label: "golangCopy code" });
});

test("the highlighter is not asked for code that is too long", async () => {
  const coloured = await inPage(async () => {
    const element = await window.harness.whole(`\`\`\`js\n${"let a = 1;\n".repeat(10_000)}\`\`\`\n`);
    return element.querySelectorAll("[class^=hljs-]").length;
  });
  assert.equal(coloured, 0);
});

test("code in common languages gets colours, and nothing but colours", async () => {
  const wrong = await inPage(async () => {
    const { whole, forbidden } = window.harness;
    const samples = { go: "func f() {}", python: "def f(): pass", rust: "fn f() {}", dockerfile: "FROM x", nginx: "server { listen 80; }", protobuf: "message A { string b = 1; }", ts: "let a: string = 'b'", "c++": "int main() { return 0; }", yaml: "a: 1", sql: "select 1 from t", html: "<p style=\"x\">y</p>", sh: "echo \"$A\"", json: "{\"a\": 1}", toml: "a = 1", diff: "+ a" };
    const found = [];
    for (const [lang, code] of Object.entries(samples)) {
      const element = await whole(`\`\`\`${lang}\n${code}\n\`\`\`\n`);
      if (!element.querySelector("[class^=hljs-]")) found.push(`${lang}: no colours`);
      if (element.querySelector("code").textContent !== code) found.push(`${lang}: other text`);
      found.push(...forbidden(element));
    }
    return found;
  });
  assert.deepEqual(wrong, []);
});

test("the button copies the exact code, says so, and works without a clipboard", async () => {
  const code = "a\tb  \n\n\u202e<c>";
  const words = await inPage(async (text) => {
    const { renderMarkdown, main } = window.harness;
    const element = document.createElement("div");
    element.id = "copy";
    main.append(element);
    window.announced = [];
    await renderMarkdown(element, `\`\`\`\n${text}\n\`\`\`\n`, { onCopy: (said) => window.announced.push(said) });
    Object.defineProperty(navigator, "clipboard", { configurable: true, value: undefined });
    document.addEventListener("copy", () => (window.copied = document.activeElement.value ?? String(getSelection())), { once: true });
  }, code);
  assert.equal(words, undefined);
  await open.page.locator("#copy").getByRole("button", { name: "Copy code" }).click();
  await open.page.locator("#copy").getByRole("button", { name: "Copied" }).waitFor();
  assert.deepEqual(await inPage(() => [window.copied, window.announced]), [code, ["Code copied"]]);
});

test("characters that turn the direction of code are shown by name", async () => {
  const found = await inPage(async () => {
    const element = await window.harness.whole("`a\u202eb`\n\n```js\nlet a = \"\u2066x\";\n```\n");
    return Array.from(element.querySelectorAll(".turn"), (node) => [node.dataset.code, node.textContent]);
  });
  assert.deepEqual(found, [["U+202E", "\u202e"], ["U+2066", "\u2066"]]);
});

test("tables and code that are too wide scroll in boxes that the keyboard reaches, and nothing else does", async () => {
  const found = await inPage(async () => {
    const element = await window.harness.whole(`| ${"a | ".repeat(80)}\n|${"---|".repeat(80)}\n\n\`\`\`\n${"x".repeat(1000)}\n\`\`\`\n\n${"y".repeat(1000)}\n`);
    const boxes = Array.from(element.querySelectorAll("[tabindex='0']")).map((box) => [box.nodeName, box.scrollWidth > box.clientWidth]);
    const { scrollWidth, clientWidth } = document.documentElement;
    return { boxes, page: scrollWidth > clientWidth };
  });
  assert.deepEqual(found, { boxes: [["DIV", true], ["PRE", true]], page: false });
});

test("no module of this was refused anything by the policy of the pages", async () => {
  assert.deepEqual(await inPage(() => window.harness.caught), { executions: 0, violations: [] });
  assert.deepEqual(open.seen, { dialogs: [], requests: [], errors: [] });
});
