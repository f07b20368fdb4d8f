/** The page's side of Markdown: keeps what is in an element equal to a list of units, and touches only what differs. */
import { codeBlock, colour, dressCode } from "./code.js";
import { sanitize } from "./sanitize.js";

// Blocks whose last child a growing text goes on in.
const OPEN_ENDED = "p, ul, ol, li, blockquote, figure, pre, pre > code";

const PART = 2048; // characters of growing code
const SECTION = 64; // blocks

/**
 * A unit (see render.js) on the page: its node; `inner`, where the items or rows that follow it go; `place`, which
 * block it is or is in, from 0. `grown`: text was added to it that its html does not have. `coloured`: its code has
 * its colours or waits for them.
 * @typedef {import("./render.js").Unit & {node: Element, inner: Element, place: number, grown?: boolean, coloured?: boolean}} Shown
 */
export class Sheet {
  #root;
  /** @type {Shown[]} */
  #shown = [];
  #settled = 0; // so many of them are final
  #colouring = Promise.resolve();

  constructor(root) {
    this.#root = root;
  }

  /** These units are final now, and these live ones follow, in place of the live ones before. */
  write(settled, live) {
    this.#replace([...settled, ...live]);
    this.#settle(this.#settled + settled.length);
  }

  /** All units, final. */
  rewrite(all) {
    this.reopen();
    this.write(all, []);
  }

  /** Nothing is final any more; the next writing begins at the top. */
  reopen() {
    this.#settled = 0;
  }

  /** More text at the end of the live part, as it is. */
  grow(text) {
    if (this.#shown.length === this.#settled) return; // the live part shows nothing, as a definition does
    const last = this.#shown.at(-1);
    last.grown = true;
    if (last.kind === "code") last.text += text;
    const end = deepest(last.node);
    if (end.matches("pre > code")) addLines(end, text);
    else end.append(text); // a node of its own: the browser's work for one grows with its length
  }

  /** Resolves when the code that is settled by now has its colours. */
  coloured() {
    return this.#colouring;
  }

  #settle(end) {
    const fresh = this.#shown.slice(this.#settled, end).filter((unit) => !unit.coloured);
    this.#settled = end;
    for (const unit of fresh) unit.coloured = true;
    const coming = fresh.filter(hasCode).map(({ node }) => colour(node));
    if (coming.length > 0) this.#colouring = Promise.all([this.#colouring, ...coming]).then(() => {});
  }

  #replace(wanted) {
    const from = this.#settled;
    const differing = [];
    let same = 0;
    for (; same < wanted.length; same++) {
      const [shown, unit] = [this.#shown[from + same], wanted[same]];
      if (keep(shown, unit)) continue;
      if (!isAlike(shown, unit)) break;
      differing.push(same);
    }
    for (const [i, unit] of make(differing.map((index) => wanted[index])).entries()) {
      this.#exchange(from + differing[i], unit);
    }
    for (const { node } of this.#shown.splice(from + same)) node.remove();
    while (this.#root.lastChild?.hasChildNodes() === false) this.#root.lastChild.remove();
    for (const unit of make(wanted.slice(same))) this.#add(unit);
  }

  #exchange(at, unit) {
    const { node, inner, place } = this.#shown[at];
    node.replaceWith(unit.node);
    this.#shown[at] = { ...unit, inner, place };
  }

  #add(unit) {
    const last = this.#shown.at(-1);
    const inside = unit.kind === "item" || unit.kind === "row";
    const place = inside ? last.place : (last?.place ?? -1) + 1;
    const within = inside ? last.inner : this.#section(place);
    within.append(unit.node);
    this.#shown.push({ ...unit, inner: unit.inner ?? within, place });
  }

  // A new child costs the browser a look at each of its siblings, so the blocks stand in sections.
  #section(place) {
    const index = Math.floor(place / SECTION);
    return this.#root.children[index] ?? this.#root.appendChild(document.createElement("div"));
  }
}

// Neighbours of a kind go through the sanitiser together.
function make(wanted) {
  const made = [];
  for (let i = 0; i < wanted.length; ) {
    const { kind } = wanted[i];
    let end = i + 1;
    while (end < wanted.length && wanted[end].kind === kind) end++;
    const group = wanted.slice(i, end);
    made.push(...(kind === "code" ? group.map(code) : nodes(kind, group)));
    i = end;
  }
  return made;
}

function keep(shown, wanted) {
  if (shown?.kind !== wanted.kind) return false;
  if (wanted.kind !== "code") return !shown.grown && shown.html === wanted.html;
  if (shown.lang !== wanted.lang) return false;
  if (shown.grown || shown.text !== wanted.text) {
    shown.text = wanted.text;
    shown.node.querySelector("code").textContent = wanted.text;
    shown.coloured = false;
    shown.grown = false;
  }
  return true;
}

// Can the one's node simply take the other's place? Not a list's or a table's: what is in them would have to move.
function isAlike(shown, wanted) {
  return shown?.kind === wanted.kind && wanted.kind !== "list" && wanted.kind !== "table";
}

// Asking the text is cheaper than searching the page.
function hasCode(unit) {
  return unit.kind === "code" || unit.html.includes("<pre");
}

function code(unit) {
  return { ...unit, node: codeBlock(unit.lang, unit.text) };
}

function nodes(kind, group) {
  const html = group.map((unit) => unit.html).join("");
  const fragment = sanitize(kind === "row" ? `<table><tbody>${html}</tbody></table>` : html);
  const parent = kind === "row" ? fragment.querySelector("tbody") : fragment;
  const elements = Array.from(parent.children);
  return group.map((unit, i) => shownOf(unit, elements[i] ?? document.createElement("p")));
}

function shownOf(unit, node) {
  const holder = document.createDocumentFragment();
  holder.append(node);
  if (unit.html.includes("<code")) dressCode(holder);
  if (unit.html.includes("<table")) for (const table of holder.querySelectorAll("table")) scrollable(table);
  const outer = holder.firstElementChild;
  if (unit.kind === "list") return { ...unit, node: outer, inner: outer };
  if (unit.kind === "table") return { ...unit, node: outer, inner: outer.querySelector("tbody") };
  return { ...unit, node: outer };
}

// A wide table scrolls in a box of its own, by keyboard too.
function scrollable(table) {
  const box = document.createElement("div");
  box.className = "table";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Table");
  table.replaceWith(box);
  box.append(table);
}

function deepest(element) {
  let end = element;
  while (end.lastElementChild?.matches(OPEN_ENDED)) end = end.lastElementChild;
  return end;
}

// Code grows in parts that are blocks of whole lines: the browser need not lay out the ones above again.
function addLines(code, text) {
  const part = code.lastElementChild ?? code;
  const feed = text.indexOf("\n") + 1;
  if (feed === 0 || part.textContent.length < PART) {
    part.append(text);
    return;
  }
  part.append(text.slice(0, feed));
  const next = document.createElement("span");
  next.className = "lines";
  next.append(text.slice(feed));
  code.append(next);
}
