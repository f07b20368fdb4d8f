import { button, byId, iconButton, make } from "./dom.js";
import { ageOf } from "./words.js";

const searchFrom = 8; // conversations; fewer are found by looking
const undoStays = 15000;

/** The list of conversations: open, rename, delete, search. */
export class Conversations {
  #list = byId("list");
  #search = byId("search");
  #actions;
  #all = [];
  #current = "";
  #renaming = "";

  /** @param {{rename: (id: string, title: string) => void, remove: (id: string) => void, open: () => void}} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#search.addEventListener("input", () => this.#draw());
    this.#search.addEventListener("keydown", event => {
      if (event.key !== "Escape" || !this.#search.value) return;
      event.preventDefault();
      this.#search.value = "";
      this.#draw();
    });
  }

  /** @param {import("./store.js").Conversation[]} all newest first */
  show(all, current) {
    this.#all = all;
    this.#current = current;
    this.#search.hidden = all.length < searchFrom && !this.#search.value;
    if (!this.#renaming) this.#draw();
  }

  /** Where the focus belongs when this one is gone: the next in the list, else the one before. */
  neighbour(id) {
    const links = [...this.#list.querySelectorAll("a")];
    const at = links.findIndex(link => link.dataset.id === id);
    return (links[at + 1] ?? links[at - 1])?.dataset.id;
  }

  focus(id) { this.#list.querySelector(`a[data-id="${CSS.escape(id)}"]`)?.focus(); }

  #draw() {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    const again = focused && [focused.closest("li")?.dataset.id, focused.dataset.does];
    const wanted = this.#search.value.trim().toLocaleLowerCase();
    const found = this.#all.filter(conversation => conversation.title.toLocaleLowerCase().includes(wanted));
    const parts = [];
    for (const conversation of found) {
      const age = ageOf(conversation.updated);
      if (parts.at(-1)?.age !== age) parts.push({ age, items: [] });
      parts.at(-1).items.push(this.#item(conversation));
    }
    this.#list.replaceChildren(...parts.flatMap(({ age, items }) => [make("h2", { text: age }), make("ul", {}, ...items)]));
    if (!found.length) this.#list.append(make("p", { className: "soft", text: wanted ? "Nothing found." : "No conversations yet." }));
    if (again) this.#list.querySelector(`li[data-id="${CSS.escape(again[0] ?? "")}"] [data-does="${CSS.escape(again[1] ?? "")}"]`)?.focus();
  }

  #item(conversation) {
    const { id, title, running } = conversation;
    const link = make("a", { href: `#/c/${id}`, text: title, title, "data-id": id, "data-does": "open", "aria-current": id === this.#current && "page" });
    link.addEventListener("click", () => this.#actions.open());
    if (running) link.append(make("span", { className: "hidden", text: " (being answered)" }));
    const rename = iconButton("pen", `Rename: ${title}`, () => this.#rename(conversation, item));
    const remove = iconButton("bin", `Delete: ${title}`, () => this.#actions.remove(id));
    rename.dataset.does = "rename";
    remove.dataset.does = "remove";
    const item = make("li", { "data-id": id, className: running ? "running" : "" }, link, rename, remove);
    return item;
  }

  #rename({ id, title }, item) {
    const field = make("input", { "aria-label": "New name", maxlength: "200" });
    field.value = title;
    this.#renaming = id;
    let open = true;
    const close = keep => {
      if (!open) return; // leaving the field closes it a second time
      open = false;
      this.#renaming = "";
      const name = field.value.trim();
      const hadFocus = document.activeElement === field;
      this.#draw();
      if (hadFocus) this.focus(id);
      if (keep && name && name !== title) this.#actions.rename(id, name);
    };
    field.addEventListener("keydown", event => {
      if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.preventDefault();
      close(event.key === "Enter");
    });
    field.addEventListener("blur", () => close(true));
    item.replaceChildren(field);
    field.select();
  }
}

/** The sidebar of a narrow screen: over the page, which is out of reach meanwhile, as with a dialog. */
export class Drawer {
  #side = byId("side");
  #chat = byId("chat");
  #opener = byId("menu");
  #narrow = matchMedia("(width < 52rem)");

  constructor() {
    this.#opener.addEventListener("click", () => this.open());
    byId("shade").addEventListener("click", () => this.close());
    byId("close").addEventListener("click", () => this.close());
    this.#side.addEventListener("keydown", event => {
      if (event.key !== "Escape" || event.defaultPrevented || !this.isOpen) return;
      event.preventDefault();
      this.close();
    });
    this.#narrow.addEventListener("change", () => this.#set(false));
    this.#set(false);
  }

  get isOpen() { return document.body.classList.contains("drawer"); }

  open() {
    this.#set(true);
    (this.#side.querySelector("[aria-current]") ?? byId("new")).focus();
  }

  /** @param focus where the focus goes; the button that opened it where nothing else is said */
  close(focus = this.#opener) {
    if (!this.isOpen) return;
    this.#set(false);
    focus?.focus({ preventScroll: true });
  }

  #set(open) {
    document.body.classList.toggle("drawer", open);
    this.#opener.ariaExpanded = String(open);
    this.#chat.inert = open;
    this.#side.inert = this.#narrow.matches && !open;
  }
}

let timer;

/** Says what was done, with a button that undoes it; stays while somebody points at it or is in it. */
export function offerUndo(words, undo) {
  const toast = byId("toast");
  const hide = () => {
    clearTimeout(timer);
    if (toast.matches(":hover, :focus-within")) timer = setTimeout(hide, undoStays);
    else toast.hidden = true;
  };
  const label = document.createElement("span");
  label.textContent = words;
  toast.replaceChildren(label, button("Undo", () => {
    clearTimeout(timer);
    toast.hidden = true;
    undo();
  }, { className: "plain" }));
  toast.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(hide, undoStays);
}
