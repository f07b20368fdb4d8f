/** A block of code on the page: its frame with the copy button, its colours, and marks where it hides something. */
import { copyText } from "./copy.js";
import { highlight } from "./highlight.js";

// Characters that turn the direction of what follows, so that code reads otherwise than it runs.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** The frame around a <pre> with its <code>. */
export function frame(pre, lang) {
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
  const coloured = await highlight(text, languageOf(code));
  if (coloured && code.textContent === text) code.replaceChildren(coloured);
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

// Each turning character gets a box of its own: visible, and without power over what is outside.
function mark(code) {
  if (!TURNS.test(code.textContent)) return;
  const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) if (!text.parentElement.matches(".turn")) markText(text);
}

function markText(text) {
  for (let at = text.data.search(TURNS); at >= 0; at = text.data.search(TURNS)) {
    const rest = text.splitText(at);
    const after = rest.splitText(1);
    const box = element("span", "turn", rest.data);
    box.dataset.code = `U+${rest.data.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    rest.replaceWith(box);
    text = after;
  }
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
