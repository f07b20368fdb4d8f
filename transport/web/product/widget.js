import { h, iconButton } from "./dom.js";
import { Memory } from "./memory.js";
import { findTarget, readOptions } from "./options.js";
import { styles } from "./widget.css.js";

/** Where no panel fits beside the page it gets the whole screen. The style says the same. */
const SMALL = matchMedia("(max-width: 32em), (max-height: 26em)");

/** The chats of this page, by the names of their memories. */
const placed = new Map();

/**
 * The element of a chat tells when it comes into the page and when it leaves it. A page may have chats of two servers, and so
 * of two versions, but has one such element: it does nothing else.
 */
class Host extends HTMLElement {
  connectedCallback() {
    this.dispatchEvent(new Event("placed"));
  }

  disconnectedCallback() {
    this.dispatchEvent(new Event("removed"));
  }
}

if (!customElements.get("troupe-chat")) customElements.define("troupe-chat", Host);

/** Puts a chat into the page, for a script tag with these data-* attributes. Its mistakes are told on the console. */
export function mount(said, server) {
  const { options, problems } = readOptions(said);
  const { element, problem } = options?.target ? findTarget(options.target) : {};
  for (const words of [...problems, problem]) if (words) console.error(`Troupe: ${words}`);
  if (options) place({ ...options, url: server }, element);
}

/**
 * Puts a chat into `target`, else behind a button in the corner. A second one about a product is another
 * conversation. One that was taken out of the page, as frameworks do, comes back where its script runs again, or
 * the page puts its element back.
 */
export function place(options, target) {
  const plain = `troupe.chat ${options.url} ${options.product}`;
  for (let n = 1, name = plain; ; name = `${plain} ${++n}`) {
    let widget = placed.get(name);
    if (!widget) placed.set(name, widget = new Widget(options, new Memory(() => sessionStorage, name), !target));
    else if (widget.isConnected || widget.floats !== !target) continue;
    widget.place(target);
    return;
  }
}

/**
 * A chat in a shadow root. The conversation, with client and Markdown, is loaded when somebody wants to see it. While the
 * element is out of the page there is none, and nothing of the page is listened to: the memory has what was said.
 */
class Widget {
  #options;
  #memory;
  #launcher;
  #panel;
  #frame;
  #host = h("troupe-chat", { placed: () => this.#enter(), removed: () => queueMicrotask(() => this.#leave()) });
  #loads = h("p", {}, "Loading…");
  #body = h("div", { class: "body" }, this.#loads);
  #fresh = iconButton("New conversation", "M12 5v14M5 12h14", { hidden: true, click: () => this.#conversation?.startAnew() });
  // Two live regions: while the panel is open all else may be out of reach, while it is closed what is in it.
  #spoken = [h("p", { class: "hidden", "aria-live": "polite" }), h("p", { class: "hidden", "aria-live": "polite" })];
  #here; // AbortController while it is in the page
  #loading; // promise of the conversation, or of nothing
  #conversation;

  constructor(options, memory, floats) {
    const { title, theme, accent } = options;
    this.#options = options;
    this.#memory = memory;
    this.floats = floats;
    const head = h("header", {}, h("h2", { id: "title" }, title), this.#fresh);
    // A browser may close a dialog by itself, by the back gesture for one.
    this.#panel = h(floats ? "dialog" : "section", { class: "panel", id: "panel", role: floats && "dialog", "aria-labelledby": "title", close: () => this.#folded() },
      head, this.#body, this.#spoken[0]);
    this.#frame = h("div", { class: "troupe", "data-theme": theme }, this.#panel, this.#spoken[1]);
    for (const [name, colour] of Object.entries(accent ?? {})) this.#frame.style.setProperty(name === "on" ? "--on-fill" : "--fill", colour);
    // Shortcuts of the page must not fire while somebody types here: it sees no text box, only the host.
    for (const name of ["keydown", "keypress", "keyup"]) this.#frame.addEventListener(name, (event) => event.stopPropagation());
    if (floats) this.#float(head, title);
    const root = this.#host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = styles();
    root.append(this.#frame);
  }

  get isConnected() {
    return this.#host.isConnected;
  }

  get isOpen() {
    return !this.floats || this.#panel.open;
  }

  place(target) {
    if (target) this.#fill(target);
    else this.#corner();
  }

  /** Shows the panel; `focus` where a person asked for it. */
  open(focus = true) {
    if (!this.isOpen) this.#unfold();
    this.#load().then((conversation) => { if (focus && this.isOpen) conversation?.focus(); });
  }

  close() {
    const inside = this.#panel.contains(this.#host.shadowRoot.activeElement);
    this.#panel.close();
    this.#folded();
    if (inside) this.#launcher.focus();
  }

  #float(head, title) {
    const prepare = () => { this.#fetch().catch(() => {}); }; // opening tells what is wrong
    this.#launcher = iconButton(title, "M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z", {
      class: "launcher", "aria-haspopup": "dialog", "aria-expanded": "false", "aria-controls": "panel",
      click: () => (this.isOpen ? this.close() : this.open()), pointerenter: prepare, focus: prepare,
    });
    this.#frame.prepend(this.#launcher);
    head.append(iconButton("Close", "M6 6l12 12M18 6L6 18", { click: () => this.close() }));
    this.#frame.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing || !this.isOpen) return;
      event.preventDefault();
      this.close();
    });
  }

  #watch(signal) {
    SMALL.addEventListener("change", () => { if (this.isOpen) this.#unfold(); }, { signal });
    // The on-screen keyboard covers a page without moving its edge; only the visual viewport tells.
    const view = window.visualViewport;
    const fit = () => {
      if (view.scale > 1.05) return; // somebody magnifies
      this.#frame.style.setProperty("--seen", `${view.height}px`);
      this.#frame.style.setProperty("--above", `${view.offsetTop}px`);
    };
    view?.addEventListener("resize", fit, { signal });
    view?.addEventListener("scroll", fit, { signal });
    if (view) fit();
  }

  /** A target without a height of its own gets one, so that a long answer scrolls and does not push the page. */
  #fill(target) {
    target.replaceChildren();
    if (target.clientHeight < 200) this.#host.style.height = "32em";
    target.append(this.#host);
  }

  #corner() {
    const before = document.querySelectorAll("troupe-chat[data-corner]").length; // of other servers too
    this.#frame.style.setProperty("--place", before);
    this.#host.dataset.corner = "";
    document.body.append(this.#host);
  }

  #enter() {
    if (this.#here) { // moved within the page, and so out of the layer above it
      if (this.floats && this.isOpen) this.#unfold();
      return;
    }
    this.#here = new AbortController();
    this.#frame.style.setProperty("--rem", getComputedStyle(this.#frame).fontSize);
    if (!this.floats) {
      this.#load();
      return;
    }
    this.#watch(this.#here.signal);
    const { open = this.#options.open, running } = this.#memory;
    if (open && !SMALL.matches) this.open(false); // the whole screen is taken only when somebody asks
    else if (running) this.#load(); // an answer that ran when the page was left is heard to its end
  }

  #leave() {
    if (this.isConnected || !this.#here) return; // it was only moved
    this.#here.abort();
    this.#here = this.#loading = undefined;
    this.#conversation?.close();
    this.#conversation = undefined;
    this.#body.replaceChildren(this.#loads);
    this.#fresh.hidden = true;
    if (!this.floats) return;
    this.#panel.removeAttribute("open"); // close() would be remembered as the visitor's doing
    this.#launcher.setAttribute("aria-expanded", "false");
  }

  /** Beside the page, or above it where the screen is small: then nothing behind can be reached. */
  #unfold() {
    const focused = this.#host.shadowRoot.activeElement;
    this.#panel.close();
    if (SMALL.matches) this.#panel.showModal();
    else this.#panel.setAttribute("open", ""); // show() would take the focus
    focused?.focus();
    this.#launcher.removeAttribute("data-news");
    this.#mark(true);
  }

  #folded() {
    if (!this.isOpen) this.#mark(false);
  }

  #mark(open) {
    this.#launcher.setAttribute("aria-expanded", open);
    this.#launcher.setAttribute("aria-label", this.#options.title);
    this.#memory.open = open;
    this.#memory.save();
  }

  #fetch() {
    return import("./conversation.js");
  }

  #load() {
    const here = this.#here;
    return this.#loading ??= this.#fetch().then(({ Conversation }) => {
      if (here !== this.#here) return undefined; // it left the page meanwhile
      const conversation = new Conversation(this.#options, this.#memory, { say: (words) => this.#say(words), news: () => this.#tellNews() });
      this.#body.replaceChildren(...conversation.elements);
      this.#fresh.hidden = false;
      return this.#conversation = conversation;
    }).catch((why) => {
      this.#body.replaceChildren(h("p", { role: "alert" }, "The chat could not be loaded. Reload the page to try again."));
      console.error("Troupe: the chat could not be loaded.", why);
    });
  }

  #say(words) {
    const region = this.#spoken[this.isOpen ? 0 : 1];
    region.textContent = "";
    requestAnimationFrame(() => { region.textContent = words; }); // the same words twice are news only after a change
  }

  #tellNews() {
    if (this.isOpen) return;
    this.#launcher.dataset.news = "";
    this.#launcher.setAttribute("aria-label", `${this.#options.title} (new answer)`);
  }
}
