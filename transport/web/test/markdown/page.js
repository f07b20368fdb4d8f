/** What the tests do inside the browser: feeding texts and looking at what came of them. */
import { MarkdownView, renderMarkdown } from "../../lib/markdown.js";
import { sanitize } from "../../lib/sanitize.js";
import { parse } from "../node_modules/marked/lib/marked.esm.js";

const main = document.querySelector("main");
const caught = { executions: 0, violations: [] };
window.pwned = () => caught.executions++;
document.addEventListener("securitypolicyviolation", (event) => {
  caught.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});

const ELEMENTS = new Set(
  "A BLOCKQUOTE BR BUTTON CODE DEL DIV EM FIGCAPTION FIGURE H3 H4 H5 H6 HR LI OL P PRE SPAN STRONG TABLE TBODY TD TH THEAD TR UL".split(" "),
);
const ATTRIBUTES = {
  A: ["href", "title", "target", "rel"], OL: ["start"], CODE: ["class"], SPAN: ["class", "data-code"], LI: ["class"], P: ["class"],
  TD: ["class"], TH: ["class"], DIV: ["class", "tabindex", "role", "aria-label"], PRE: ["tabindex", "role", "aria-label"],
  FIGURE: ["class"], BUTTON: ["class", "type"],
};
const CLASSES = /^(?:language-[\w+#.-]+|box|lines|task|raw|center|right|turn|code|copy|quiet|lang|table|hljs-[a-z-]+|[a-z]+_+)$/;

function* pieces(text, ends) {
  let from = 0;
  for (const end of [...ends, text.length]) {
    yield text.slice(from, end);
    from = end;
  }
}

/** Feeds a text in pieces that end at these places, calling `look` after each. */
async function feed(text, ends, look) {
  const element = document.createElement("div");
  main.append(element);
  const view = new MarkdownView(element);
  for (const piece of pieces(text, ends)) {
    view.append(piece);
    view.flush();
    look?.(element);
  }
  await view.finish();
  look?.(element);
  return element;
}

async function whole(text) {
  const element = document.createElement("div");
  main.append(element);
  await renderMarkdown(element, text);
  return element;
}

/** Where the text cut like this does not end up the same as in one piece. */
async function compare(text, cuts) {
  const expected = await whole(text);
  const wrong = [];
  for (const ends of cuts) {
    const found = await feed(text, ends);
    if (!found.isEqualNode(expected)) wrong.push({ ends, found: found.innerHTML, expected: expected.innerHTML });
    found.remove();
  }
  expected.remove();
  return wrong;
}

/** What must not be in rendered Markdown. */
function forbidden(root) {
  const found = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ALL);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.nodeType === Node.TEXT_NODE) continue;
    if (!(node instanceof HTMLElement) || !ELEMENTS.has(node.nodeName)) found.push(node.nodeName);
    else for (const { name, value } of node.attributes) if (!isAllowed(node, name, value)) found.push(`${node.nodeName} ${name}=${value}`);
  }
  return found;
}

function isAllowed(element, name, value) {
  if (!ATTRIBUTES[element.nodeName]?.includes(name)) return false;
  if (name === "href") return ["http:", "https:", "mailto:"].includes(element.protocol) && element.rel === "noopener noreferrer nofollow ugc" && element.target === "_blank";
  return name !== "class" || value.split(" ").every((one) => CLASSES.test(one));
}

/** Feeds each text whole, by characters, and cut once at every place; gives what was found that must not be. */
async function attack(texts) {
  const found = [];
  for (const text of texts) {
    const look = (element) => {
      for (const what of forbidden(element)) found.push({ text, what });
    };
    const every = Array.from({ length: text.length }, (_, i) => i + 1);
    for (const ends of [[], every, ...every.map((end) => [end])]) (await feed(text, ends, look)).remove();
    look(await whole(text)); // stays on the page, for what happens later
  }
  await settled();
  return found;
}

/** The same with the sanitiser alone, behind a renderer that lets raw HTML and any address through. */
async function attackSanitizer(texts) {
  const found = [];
  for (const text of texts) {
    for (const html of [text, parse(text), `<table><tbody>${text}`, `<ul><li>${text}`, `<pre><code>${text}`]) {
      const element = document.createElement("div");
      element.append(sanitize(html));
      main.append(element);
      for (const what of forbidden(element)) found.push({ text, what });
    }
  }
  await settled();
  return found;
}

/** Resolves when what the page has been given has had the time to load, fail and fire. */
async function settled() {
  const image = new Image();
  const failed = new Promise((resolve) => (image.onerror = resolve));
  image.src = "data:image/png,none";
  main.append(image);
  await failed;
  image.remove();
  for (let i = 0; i < 3; i++) await new Promise((resolve) => requestAnimationFrame(resolve));
}

/**
 * Milliseconds of script for every `step` tokens, and of the end. With `layout` the browser also lays out after
 * each, as it would for a frame, and the milliseconds of that are told too.
 */
async function trace(tokens, step, layout) {
  const element = document.createElement("div");
  main.append(element);
  const view = new MarkdownView(element);
  const frames = [];
  const layouts = [];
  for (let i = 0; i < tokens.length; i += step) {
    const slice = tokens.slice(i, i + step);
    const begin = performance.now();
    for (const token of slice) view.append(token);
    view.flush();
    const end = performance.now();
    frames.push(end - begin);
    if (!layout) continue;
    element.getBoundingClientRect();
    layouts.push(performance.now() - end);
  }
  const begin = performance.now();
  const coloured = view.finish();
  const finish = performance.now() - begin;
  await coloured;
  const same = element.isEqualNode(await whole(tokens.join("")));
  main.replaceChildren();
  return { frames, layouts, finish, same };
}

window.harness = { MarkdownView, renderMarkdown, caught, main, feed, whole, compare, forbidden, attack, attackSanitizer, settled, trace };
