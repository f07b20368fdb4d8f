import { MarkdownView } from "../lib/markdown.js";
import { trouble } from "../lib/countdown.js";
import { copyButton } from "../lib/copy.js";
import { announce, button, grow, iconButton, make, sends } from "./dom.js";
import { drafts } from "./local.js";
import { doing, ending, isAboutChoice, titleOf, troubleWords } from "./words.js";

/**
 * @typedef {{again: (turn) => void, edit: (turn, question: string) => void, version: (id: string) => void, choice: () => void}} Actions
 *   what a turn's buttons do: ask its question again, another one in its place, look at another version, open the settings
 */

/** One turn on the page: the question, what the model thinks, the answer, and what can be done with them. */
export class TurnView {
  #actions;
  #turn;
  #held;           // what runs for it, while it is being shown
  #leave = [];     // takes the listeners off
  #markdown;
  #seen = false; // while it ran: how it ends is news
  #finished = false;
  #shown = "";     // the footer's state, so that it is not made again while somebody's focus is in it

  /** @param {Actions} actions */
  constructor(turn, actions) {
    this.#turn = turn;
    this.#actions = actions;
    const heading = make("h2", { className: "hidden", text: `You asked: ${titleOf(turn.question)}`, id: `turn-${turn.id}` });
    this.question = make("div", { className: "question", text: turn.question });
    this.thoughts = make("div", { className: "thoughts" });
    this.thinking = make("details", { className: "thinking", hidden: true }, make("summary", { text: "Thinking" }), this.thoughts);
    this.text = make("div", { className: "answer" });
    this.foot = make("div", { className: "foot" });
    this.element = make("article", { className: "turn", "aria-labelledby": heading.id }, heading, this.question, this.thinking, this.text, this.foot);
    this.#markdown = new MarkdownView(this.text, { onCopy: announce });
  }

  get turn() { return this.#turn; }

  /**
   * @param turn the record as it is now
   * @param versions as versionsOf() gives them
   * @param {string} state what it does, while it runs, as Runs.state() gives it
   * @param {{answer: import("../client/troupe.js").Answer, thought: string}} [held] what runs for it in this tab
   */
  update(turn, versions, state, held) {
    this.#turn = turn;
    if (held !== this.#held) this.#attach(held);
    const busy = turn.state === "running";
    this.#seen ||= busy;
    this.element.ariaBusy = this.text.ariaBusy = String(busy);
    if (!held) this.#rest(busy);
    if (busy) this.#doing(state, held?.answer.position);
    else this.#ended(versions);
  }

  /** Opens the editor of the question. */
  edit() {
    if (this.editor || this.#turn.state === "running") return;
    const close = () => {
      this.editor.replaceWith(this.question);
      this.editor = null;
      this.foot.querySelector(".edit")?.focus();
    };
    this.editor = editForm(this.#turn, {
      onCancel: close,
      onAsk: text => { close(); this.#actions.edit(this.#turn, text); },
    });
    this.question.replaceWith(this.editor);
    this.editor.begin();
  }

  /** Takes the view off the page. */
  remove() {
    this.#attach(undefined);
    this.element.remove();
  }

  #attach(held) {
    for (const leave of this.#leave.splice(0)) leave();
    this.#held = held;
    if (!held) return;
    const { answer, thought } = held;
    this.#finished = false;
    this.#markdown.set(answer.text);
    this.#think(thought + answer.reasoning);
    this.#leave.push(
      answer.on("text", piece => this.#markdown.append(piece)),
      answer.on("reasoning", piece => { this.thinking.hidden = false; this.thoughts.append(piece); }),
      // Where the server moved the turn, its text begins anew.
      answer.on("accepted", () => { if (this.#markdown.text !== answer.text) this.#markdown.set(answer.text); }),
    );
  }

  #rest(busy) {
    if (this.#finished && this.#markdown.text === this.#turn.answer) return;
    this.#markdown.set(this.#turn.answer);
    this.#think(this.#turn.reasoning);
    this.#finished = !busy;
    if (!busy) this.#markdown.finish();
  }

  #think(text) {
    this.thinking.hidden = !text;
    if (this.thoughts.textContent !== text) this.thoughts.textContent = text;
  }

  #doing(state, position) {
    this.#shown = "";
    const words = doing(state, position);
    this.foot.hidden = !words;
    const line = this.foot.querySelector(".doing");
    if (line) line.textContent = words;
    else this.foot.replaceChildren(make("p", { className: "doing", text: words }));
  }

  #ended(versions) {
    const turn = this.#turn;
    const shown = JSON.stringify([turn.state, versions]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = this.foot.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    const tools = make("div", { className: "tools" });
    if (turn.answer) tools.append(copyButton("Copy", () => this.#turn.answer, "Copy answer"));
    if (turn.state !== "failed") tools.append(button("Regenerate", () => this.#actions.again(this.#turn)));
    tools.append(button("Edit", () => this.edit(), { name: "Edit question", className: "quiet edit" }));
    if (versions.of > 1) tools.append(this.#versions(versions));
    tools.append(make("span", { className: "meta", text: ending(turn) }));
    this.foot.hidden = false;
    this.foot.replaceChildren(...turn.state === "failed" ? [this.#trouble()] : [], tools);
    if (focused !== null) [...this.foot.querySelectorAll("button")].find(made => nameOf(made) === focused && !made.disabled)?.focus();
  }

  #versions({ at, of, previous, next }) {
    const step = (icon, name, id) => {
      const made = iconButton(icon, name, () => this.#actions.version(id));
      made.disabled = !id;
      return made;
    };
    const group = make("span", { className: "versions", role: "group", "aria-label": "Versions" });
    group.append(step("left", "Previous version", previous), make("span", { text: `${at}/${of}` }), step("right", "Next version", next));
    return group;
  }

  #trouble() {
    const turn = this.#turn;
    const remedy = isAboutChoice(turn.trouble) ? button("Provider and key…", this.#actions.choice, { className: "plain" }) : undefined;
    return trouble({ ...turn.trouble, message: troubleWords(turn) }, { again: () => this.#actions.again(turn), always: true, remedy, news: this.#seen });
  }
}

function nameOf(element) { return element.ariaLabel ?? element.textContent; }

/** The form that takes a question's place while it is edited. What is typed is kept until it is asked or given up. */
function editForm(turn, { onAsk, onCancel }) {
  const draft = drafts.edited(turn);
  const field = make("textarea", { "aria-label": "Edited question", rows: "1" });
  field.value = drafts.get(draft) || turn.question;
  const ask = make("button", { text: "Ask edited question" });
  const leave = () => {
    drafts.set(draft, "");
    onCancel();
  };
  const form = make("form", { className: "editor" }, field, make("div", { className: "row" }, ask, button("Cancel", leave, { className: "plain" })));
  form.addEventListener("submit", event => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    drafts.set(draft, "");
    onAsk(text);
  });
  field.addEventListener("input", () => drafts.set(draft, field.value));
  form.addEventListener("keydown", event => {
    if (event.target === field && sends(event)) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault(); // not the page's Escape, which stops
      event.stopPropagation();
      leave();
    }
  });
  form.begin = () => {
    grow(field);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  };
  return form;
}
