/** Markdown on the page: a text that grows piece by piece, or one that is whole. */
import { Blocks, lex } from "./blocks.js";
import { copyOnClick } from "./code.js";
import { units } from "./render.js";
import { Sheet } from "./sheet.js";

// Where the tab is hidden there are no frames.
const HIDDEN_MS = 250;

/** Renders one growing Markdown text into an element, cheaply: what is settled is not touched again. */
export class MarkdownView {
  #sheet;
  #text = "";
  #blocks = new Blocks();
  #finished = false;
  #frame = 0;
  #timer = 0;

  /**
   * The element is emptied and owned.
   * @param {Element} element
   * @param {{onCopy?: (words: string) => void}} [options] onCopy gets the words to announce when code was copied
   */
  constructor(element, { onCopy } = {}) {
    this.#sheet = open(element, onCopy);
  }

  get text() {
    return this.#text;
  }

  /** Adds to the text. The page shows it in the next frame. */
  append(piece) {
    if (piece === "") return;
    if (this.#finished) this.#restart();
    this.#text += piece;
    this.#blocks.append(piece);
    this.#schedule();
  }

  /** Replaces the text; cheap where it begins with what is there. */
  set(text) {
    if (text.startsWith(this.#text)) {
      this.append(text.slice(this.#text.length));
      return;
    }
    this.#text = "";
    this.#restart();
    this.append(text);
    this.#schedule();
  }

  /** No more will come: renders what is left. Resolves when the code has its colours too. */
  finish() {
    this.#cancel();
    if (!this.#finished) {
      this.#finished = true;
      const { settled } = this.#blocks.finish();
      // A reference may be used before it is defined, so a text with any is read once more as a whole.
      if (this.#blocks.references) this.#sheet.rewrite(units(lex(this.#text)));
      else this.#sheet.write(units(settled), []);
    }
    return this.#sheet.coloured();
  }

  /** Renders now. */
  flush() {
    this.#cancel();
    if (this.#finished) return;
    const { settled, live, more } = this.#blocks.step();
    if (live) this.#sheet.write(units(settled), units(live));
    else if (more) this.#sheet.grow(more);
  }

  // Reads the text from its beginning. What comes out the same as before stays on the page.
  #restart() {
    this.#finished = false;
    this.#blocks = new Blocks();
    this.#blocks.append(this.#text);
    this.#sheet.reopen();
  }

  #schedule() {
    if (this.#timer) return;
    this.#frame = requestAnimationFrame(() => this.flush());
    this.#timer = setTimeout(() => this.flush(), HIDDEN_MS);
  }

  #cancel() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#timer = 0;
  }
}

/** One shot. Resolves when the code has its colours too. */
export function renderMarkdown(element, text, { onCopy } = {}) {
  const sheet = open(element, onCopy);
  sheet.write(units(lex(text)), []);
  return sheet.coloured();
}

function open(element, onCopy) {
  element.replaceChildren();
  element.classList.add("markdown");
  copyOnClick(element, onCopy);
  return new Sheet(element);
}
