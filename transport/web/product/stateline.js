import { h } from "./dom.js";
import { stateWords } from "./words.js";

const told = new Set(); // once a page, however many chats it has

/** The connection in words, true at any second; what only the page's owner can do about it is folded away. */
export class StateLine {
  #client;
  #product;
  #say;
  #timer = 0;
  #troubled = false;
  #text = h("span", { class: "words" });
  #now = h("button", { class: "quiet", type: "button", hidden: true, click: () => this.#client.connect() }, "Try now");
  #owner = h("details", { class: "owner", hidden: true });
  // Seconds that count down are for eyes: a screen reader is told of trouble, and of its end.
  element = h("div", { class: "state", id: "state", role: "status", "aria-live": "off" }, this.#text, this.#now, this.#owner);

  /** @param {import("../client/troupe.js").Troupe} client */
  constructor(client, product, say) {
    this.#client = client;
    this.#product = product;
    this.#say = say;
    client.on("state", () => this.#show());
    this.#show();
  }

  #show() {
    clearTimeout(this.#timer);
    const { is, text, detail = "", until, again, owner } = stateWords(this.#client.state, this.#product);
    if (this.element.dataset.is !== is) this.#changed(is, text, owner);
    this.element.title = detail;
    this.#text.textContent = text;
    this.#now.hidden = !again;
    if (until > Date.now()) this.#timer = setTimeout(() => this.#show(), (until - Date.now() - 1) % 1000 + 1);
  }

  #changed(is, text, owner) {
    this.element.dataset.is = is;
    const trouble = is === "waiting" || is === "refused";
    if (trouble || (this.#troubled && is === "connected")) this.#say(text);
    if (is !== "connecting") this.#troubled = trouble;
    this.#owner.hidden = !owner;
    if (!owner) return;
    const { words, lines } = owner;
    this.#owner.replaceChildren(h("summary", {}, "For the owner of this page"), h("p", {}, words), ...lines.map((line) => h("code", {}, line)));
    const all = [`Troupe: ${words}`, ...lines].join("\n  ");
    if (!told.has(all)) console.warn(all);
    told.add(all);
  }
}
