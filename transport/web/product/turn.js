import { trouble } from "../lib/countdown.js";
import { MarkdownView } from "../lib/markdown.js";
import { h } from "./dom.js";
import { ending, failureOf, progress } from "./words.js";

/** One question and its answer, as they are shown. */
export class TurnView {
  #answer = h("div", { class: "answer" });
  #note = h("p", { class: "note" });
  #markdown;
  #again;

  constructor(turn, say, again) {
    this.#again = again;
    this.element = h("article", { class: "turn" }, h("p", { class: "question" }, turn.question), this.#answer, this.#note);
    this.#markdown = new MarkdownView(this.#answer, { onCopy: say });
    this.#markdown.set(turn.text);
    if (turn.end) this.end(turn, { news: false });
    else this.#answer.setAttribute("aria-busy", "true");
  }

  /** A further piece; `whole` is all there is now, of which a followed answer may have got more in one go. */
  append(piece, whole) {
    if (this.#markdown.text.length + piece.length === whole.length) this.#markdown.append(piece);
    else this.#markdown.set(whole);
  }

  state(state, position) {
    this.#note.textContent = progress(state, position);
  }

  /** `news: false` for what ended before and is only shown again. */
  end(turn, { news = true } = {}) {
    try {
      this.#markdown.set(turn.text);
      this.#markdown.finish();
    } catch (why) { // a foreign page's policy may keep the sanitiser from its work
      this.#answer.textContent = turn.text;
      console.error("Troupe: this answer is shown as plain text.", why);
    }
    this.#answer.removeAttribute("aria-busy");
    this.#note.textContent = ending(turn).note;
    if (turn.end === "failed") this.element.append(trouble(failureOf(turn.error), { again: this.#again, news }));
  }

  /** Only the last question can be asked again: further up it would be out of its place. */
  settle() {
    this.element.querySelector(".trouble-row")?.remove();
  }
}
