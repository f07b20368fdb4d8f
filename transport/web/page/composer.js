import { describe } from "../lib/connection.js";
import { configLines } from "../lib/countdown.js";
import { announce, button, byId, grow, make, sends } from "./dom.js";
import { drafts } from "./local.js";

const points = matchMedia("(hover: hover)");

/** The box for the question, with its draft, and the button that sends or stops. */
export class Composer {
  #form = byId("composer");
  #send = byId("send");
  #stop = byId("stop");
  #draft = null; // whose draft it is, once a conversation is open
  #state = "idle";
  field = byId("question");

  /** @param {{onAsk: (text: string) => void, onStop: () => void, onEditLast: () => void}} actions */
  constructor({ onAsk, onStop, onEditLast }) {
    grow(this.field);
    this.field.addEventListener("input", () => {
      if (this.#draft !== null) drafts.set(this.#draft, this.field.value);
      this.#sendable();
    });
    this.field.addEventListener("keydown", event => {
      if (sends(event)) {
        event.preventDefault();
        this.#form.requestSubmit();
      } else if (event.key === "ArrowUp" && !this.field.value && !event.isComposing) {
        event.preventDefault();
        onEditLast();
      }
    });
    this.#form.addEventListener("submit", event => {
      event.preventDefault();
      const text = this.field.value.trim();
      if (!text || this.#state !== "idle") return; // what is typed while an answer comes stays
      this.fill("");
      this.focus();
      onAsk(text);
    });
    this.#stop.addEventListener("click", () => { if (this.#state === "busy") onStop(); });
  }

  /** Changes the conversation that the box is for: its draft comes back. */
  open(name) {
    const early = this.#draft === null ? this.field.value : ""; // typed while the page was still opening
    this.#draft = name;
    this.fill(drafts.get(name) || early);
  }

  fill(text) {
    this.field.value = text;
    this.field.dispatchEvent(new Event("input"));
  }

  /** Where fingers do the pointing the focus opens a keyboard over the answer: only for those who ask for it. */
  focus({ wanted = false } = {}) {
    if (wanted || points.matches) this.field.focus({ preventScroll: true });
  }

  /** @param {"idle"|"busy"|"stopping"} state busy: Stop is there in Send's place. */
  show(state) {
    const hadFocus = document.activeElement === this.#stop;
    this.#state = state;
    this.#send.hidden = state !== "idle";
    this.#stop.hidden = state === "idle";
    this.#stop.textContent = state === "stopping" ? "Stopping…" : "Stop";
    this.#stop.ariaDisabled = String(state === "stopping"); // not disabled, which would lose the focus
    if (hadFocus && state === "idle") this.focus();
    this.#sendable();
  }

  #sendable() {
    this.#send.disabled = !this.field.value.trim();
  }
}

/** Shows the truth about the connection: a line in the header, and above the question why and what to do about it. */
export function showConnection(client) {
  const line = byId("state"), notice = byId("connection");
  const why = make("p"), again = button("Try now", () => client.connect(), { className: "plain" });
  let timer, shown;

  const show = () => {
    clearTimeout(timer);
    const words = describe(client.state);
    line.dataset.is = words.is;
    line.textContent = words.text;
    if (words.is === "connecting" && !notice.hidden) return; // one more attempt: why the last one failed is still true
    why.textContent = words.detail ?? "";
    again.hidden = !words.again;
    if (shown !== client.state.is || words.config) build(words);
    if (Number.isFinite(words.until) && words.until > Date.now()) timer = setTimeout(show, ((words.until - Date.now() - 1) % 1000) + 1);
  };

  // Made once per state, not once per second: somebody may be about to press the button.
  const build = words => {
    const news = shown !== undefined && shown !== client.state.is;
    shown = client.state.is;
    notice.hidden = !words.detail && !words.again;
    notice.dataset.is = words.is;
    // Over HTTP all goes on: why there is no WebSocket is for those who ask.
    const told = words.is === "http" ? make("details", {}, make("summary", { text: "Why over HTTP?" }), why) : why;
    const parts = [make("div", { className: "row" }, told, again)];
    if (words.config) parts.push(configLines(words));
    if (notice.contains(document.activeElement)) byId("question").focus({ preventScroll: true });
    notice.replaceChildren(...parts);
    if (news && words.is !== "connecting") announce(`${words.text}${words.config ? ` ${words.detail}` : ""}`);
  };

  client.on("state", show);
  show();
}
