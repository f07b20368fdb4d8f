/** A block of code on the page: its frame with the copy button, its colours, and marks where it hides something. */
import { copyText } from "./copy.js";
import { highlight } from "./highlight.js";

// Characters that turn the direction of what follows, so that code reads otherwise than it runs.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const EACH_TURN = new RegExp(`(${TURNS.source})`);
const MOST_BOXES = 1000;

/** The frame around a <pre> with its <code>. */
function frame(pre, lang) {
  const button = element("button", "copy quiet", "Copy code");
  button.type = "button";
  const caption = element("figcaption", "");
  caption.append(element("span", "lang", lang || "text"), button);
  const figure = element("figure", "code");
  pre.tabIndex = 0; // it may scroll sideways, for the keyboard too
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", lang ? `Code, ${lang}` : "Code");
  figure.append(caption, pre);
  return figure;
}

/** A new frame with this code in it. */
export function codeBlock(lang, text) {
  const code = element("code", lang && `language-${lang}`, text);
  const pre = element("pre", "");
  pre.append(code);
  return frame(pre, lang);
}

/** Puts frames around the plain blocks of code in a piece of an answer, and marks on what its code hides. */
export function dressCode(root) {
  for (const pre of root.querySelectorAll("pre")) {
    const place = document.createComment("");
    pre.replaceWith(place);
    place.replaceWith(frame(pre, languageOf(pre.firstElementChild)));
  }
  for (const code of root.querySelectorAll("code")) mark(code);
}

/** Colours all code below an element. Resolves when that is done. */
export async function colour(root) {
  await Promise.all(Array.from(root.querySelectorAll("pre > code"), colourOne));
}

async function colourOne(code) {
  const text = code.textContent;
  mark(code); // at once: colours may have to wait
  const coloured = await highlight(text, languageOf(code));
  if (!coloured || code.textContent !== text) return;
  code.replaceChildren(coloured);
  mark(code);
}

const listeners = new WeakMap();

/** Copies on clicks of the buttons below this element; `onCopy` gets the words to tell those who listen. */
export function copyOnClick(root, onCopy) {
  if (!listeners.has(root)) root.addEventListener("click", ({ target, currentTarget }) => copy(target, currentTarget));
  listeners.set(root, onCopy);
}

async function copy(target, root) {
  const button = target.closest("button.copy");
  const code = button?.closest("figure.code")?.querySelector("code");
  if (!code) return;
  const done = await copyText(code.textContent, button);
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => (button.textContent = "Copy code"), 2000);
  listeners.get(root)?.(done ? "Code copied" : "The code could not be copied");
}

function languageOf(code) {
  return code?.className.match(/language-(\S+)/)?.[1] ?? "";
}

// Each turning character gets a box of its own: visible, and without power over what is outside. Where there are more
// than anybody writes by accident, one box takes the rest.
function mark(code) {
  if (!TURNS.test(code.textContent)) return;
  const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  let left = MOST_BOXES;
  for (const text of texts) if (TURNS.test(text.data) && !text.parentElement.matches(".turn")) left -= markText(text, left);
}

/** Marks so many of a text's turning characters one by one. How many these were. */
function markText(text, most) {
  const pieces = text.data.split(EACH_TURN); // plain, turn, plain, turn, …, plain
  const count = Math.min(most, (pieces.length - 1) / 2);
  const marked = pieces.slice(0, 2 * count).map((piece, i) => (i % 2 ? box(piece, nameOf(piece)) : piece));
  const rest = pieces.slice(2 * count);
  text.replaceWith(...marked, rest.length > 1 ? box(rest.join(""), "U+…") : rest[0]);
  return count;
}

function box(text, name) {
  const made = element("span", "turn", text);
  made.dataset.code = name;
  return made;
}

function nameOf(character) {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
