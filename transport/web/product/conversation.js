import { Troupe, TroupeError } from "../client/troupe.js";
import { h } from "./dom.js";
import { messagesOf } from "./memory.js";
import { StateLine } from "./stateline.js";
import { TurnView } from "./turn.js";
import { ending, progress } from "./words.js";

const SAVE_EVERY = 2000; // ms, while an answer streams
const NEAR = 48; // px from the end that still count as reading along

/** What was said, the box for the next question, and the state of the connection. One question at a time. */
export class Conversation {
  #client;
  #memory;
  #say;
  #news;
  #greeting;
  #running = null; // { turn, view, answer }
  #views = [];
  #savedAt = 0;
  #atEnd = true;
  #gone = new AbortController();
  #grown;
  #list = h("div");
  #log = h("div", { class: "log", role: "log", "aria-label": "Conversation", "aria-live": "off", tabindex: 0 }, this.#list);
  #box = h("textarea", { rows: 1, id: "question", placeholder: "Your question", enterkeyhint: "send", autocomplete: "off" });
  #send = h("button", { class: "send" }, "Send");
  #stop = h("button", { class: "plain", type: "button", hidden: true }, "Stop");

  /** `say` speaks to screen readers, `news` is called when an answer ended. */
  constructor({ url, product, greeting }, memory, { say, news }) {
    this.#client = new Troupe({ url, product });
    this.#memory = memory;
    this.#say = say;
    this.#news = news;
    this.#greeting = h("p", { class: "greeting" }, greeting);
    this.#box.value = memory.draft;
    this.elements = [this.#log, h("form", { submit: (event) => { event.preventDefault(); this.#ask(); } },
      h("label", { class: "hidden", for: "question" }, "Your question"), this.#box,
      h("div", { class: "row" }, new StateLine(this.#client, product, say).element, this.#stop, this.#send))];
    this.#listen();
    this.#restore();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  /** Forgets what was said. An answer that runs is stopped: nobody could see it any more. */
  startAnew() {
    this.#stopRunning();
    this.#ended();
    this.#memory.turns = [];
    this.#views = [];
    this.#list.replaceChildren(this.#greeting);
    this.#keep();
    this.#say("New conversation.");
    this.focus();
  }

  /** It leaves the page. What was said is kept, and an answer that runs goes on at the server: the next one follows it. */
  close() {
    this.#keep();
    this.#running = null;
    this.#gone.abort();
    this.#grown.disconnect();
    this.#client.close();
  }

  #listen() {
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return; // 229: an input method has it
      event.preventDefault();
      this.#ask();
    });
    this.#stop.addEventListener("click", () => {
      this.focus(); // a disabled button would lose it
      this.#stop.disabled = true;
      this.#stopRunning();
    });
    let before = 0;
    this.#log.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#log;
      // Only who scrolls up leaves the end: the text may have grown since we scrolled there.
      this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR || (this.#atEnd && scrollTop >= before);
      before = scrollTop;
    }, { passive: true });
    // The list grows by text, the log shrinks by the box below it: a reader at the end stays there.
    this.#grown = new ResizeObserver(() => { if (this.#atEnd) this.#log.scrollTop = this.#log.scrollHeight; });
    this.#grown.observe(this.#list);
    this.#grown.observe(this.#log);
    const { signal } = this.#gone;
    addEventListener("pagehide", () => this.#keep(), { signal });
    document.addEventListener("visibilitychange", () => this.#keep(), { signal });
  }

  #restore() {
    const { turns, running } = this.#memory;
    if (!turns.length) this.#list.append(this.#greeting);
    for (const turn of turns) this.#show(turn);
    if (running) this.#follow(running, this.#client.follow(running.saved, { messages: messagesOf(turns) }));
  }

  #ask(question = this.#box.value, draft = "") {
    if (this.#running || !question.trim()) return;
    const messages = messagesOf(this.#memory.turns);
    const turn = { question, text: "", end: "" };
    this.#memory.turns.push(turn);
    this.#greeting.remove();
    this.#box.value = draft;
    this.#atEnd = true;
    this.#show(turn);
    const answer = this.#client.chat(question, { messages });
    this.#follow(turn, answer);
    this.#tellSent(answer);
    this.focus();
  }

  /** Without a connection a question waits, for how long nobody knows. */
  #tellSent(answer) {
    if (answer.state !== "unsent") {
      this.#say("Sent.");
      return;
    }
    this.#say(progress("unsent"));
    const off = answer.on("state", (state) => {
      off();
      if (this.#running?.answer === answer && state !== "cancelled" && state !== "failed") this.#say("Sent.");
    });
  }

  /** Asks the last question once more, in the place of the try that failed. */
  #askAgain(turn) {
    if (this.#running) return;
    this.#memory.turns.pop();
    this.#views.pop().element.remove();
    this.#ask(turn.question, this.#box.value);
  }

  #show(turn) {
    this.#views.at(-1)?.settle();
    const view = new TurnView(turn, this.#say, () => this.#askAgain(turn));
    this.#views.push(view);
    this.#list.append(view.element);
  }

  #follow(turn, answer) {
    const view = this.#views.at(-1);
    const running = this.#running = { turn, view, answer };
    const on = (event, work) => answer.on(event, (heard) => { if (this.#running === running) work(heard); });
    this.#send.disabled = true;
    this.#stop.hidden = this.#stop.disabled = false;
    view.state(answer.state, answer.position);
    on("state", (state) => view.state(state, answer.position));
    on("accepted", () => this.#keep());
    on("text", (piece) => {
      view.append(piece, answer.text);
      if (Date.now() - this.#savedAt >= SAVE_EVERY) this.#keep();
    });
    on("end", (end) => this.#finish(running, end));
    this.#keep();
  }

  #finish({ turn, view, answer }, end) {
    if (end instanceof TroupeError) {
      const { code, message, retryable, retryAt } = end;
      Object.assign(turn, { end: "failed", text: end.partial || answer.text, error: { code, message, retryable, retryAt } });
    } else {
      Object.assign(turn, { end: end.cancelled ? "cancelled" : "complete", text: end.text, cut: end.finishReason === "length" });
    }
    delete turn.saved;
    view.end(turn);
    this.#ended();
    this.#keep();
    this.#say(ending(turn).spoken);
    this.#news();
  }

  #stopRunning() {
    this.#running?.answer.stop().catch(() => {}); // its "end" tells
  }

  #ended() {
    this.#running = null;
    this.#send.disabled = false;
    this.#stop.hidden = true;
  }

  #keep() {
    this.#savedAt = Date.now();
    this.#memory.draft = this.#box.value;
    if (this.#running) {
      const { turn, answer } = this.#running;
      Object.assign(turn, { text: answer.text, saved: answer.saved() });
    }
    this.#memory.save();
  }
}
