import { browser, firstChoice } from "./local.js";
import { button, byId, make } from "./dom.js";
import { offerLabel, offerNote } from "./words.js";

/** The dialog: who answers, the user's keys, what this conversation says beside its questions, how the page looks. */
export class Settings {
  #dialog = byId("settings");
  #offers;
  #keys;
  #page;

  /**
   * @param {{settings: () => object, change: (fields: object) => void, count: () => Promise<number>, removeAll: () => void}} page
   *   the settings of the conversation that is shown, and what the dialog may do
   */
  constructor(offers, keys, page) {
    this.#offers = offers;
    this.#keys = keys;
    this.#page = page;
    byId("done").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", event => { if (event.target === this.#dialog) this.#dialog.close(); }); // beside it
    this.#dialog.addEventListener("close", () => byId("key-box").replaceChildren()); // a key is in the page only while it is looked at
    this.#fields();
  }

  async open() {
    if (this.#dialog.open) return;
    this.#fill();
    this.#dialog.showModal();
    this.#page.count().then(count => this.#offerRemoval(count));
    await this.#offers.refresh();
  }

  /** The offers have changed. */
  refresh() {
    if (this.#dialog.open) this.#choices();
  }

  #fields() {
    const change = fields => this.#page.change(fields);
    byId("provider").addEventListener("change", event => {
      change({ provider: event.target.value || undefined, model: undefined });
      byId("model").value = "";
      this.#chosen();
    });
    byId("model").addEventListener("change", event => {
      change({ model: event.target.value.trim() || undefined });
      this.#chosen();
    });
    byId("system").addEventListener("input", event => change({ system: event.target.value.trim() ? event.target.value : undefined }));
    for (const [id, field, good] of [["temperature", "temperature", value => value >= 0], ["longest", "maxTokens", value => Number.isInteger(value) && value >= 1]]) {
      byId(id).addEventListener("input", ({ target }) => {
        const value = target.value.trim() === "" ? undefined : Number(target.value);
        const valid = !target.validity.badInput && (value === undefined || good(value));
        target.ariaInvalid = String(!valid);
        if (valid) change({ [field]: value });
      });
    }
    byId("appearance").addEventListener("change", event => {
      const theme = event.target.value === "system" ? "" : event.target.value;
      browser.set("troupe.appearance", theme);
      if (theme) document.documentElement.dataset.theme = theme;
      else delete document.documentElement.dataset.theme;
    });
    byId("keep-keys").addEventListener("change", event => this.#keys.keep(event.target.checked));
  }

  #fill() {
    const { system, temperature, maxTokens } = this.#page.settings();
    byId("system").value = system ?? "";
    for (const [id, value] of [["temperature", temperature], ["longest", maxTokens]]) {
      byId(id).value = value ?? "";
      byId(id).ariaInvalid = "false";
    }
    byId("appearance").value = document.documentElement.dataset.theme ?? "system";
    byId("keep-keys").checked = this.#keys.kept;
    byId("model").value = this.#page.settings().model ?? "";
    this.#choices();
    this.#keyField();
  }

  // Only what there is to choose: what is chosen or being typed is the user's.
  #choices() {
    const { provider = "" } = this.#page.settings();
    const own = this.#offers.default;
    const options = [new Option(own ? `The server's choice (${own.name})` : "The server's choice", "")];
    for (const offer of this.#offers.list) options.push(new Option(offerLabel(offer), offer.name));
    if (provider && !this.#offers.meant(provider)) options.push(new Option(`${provider} (not offered now)`, provider));
    const list = byId("provider");
    const same = options.length === list.length && options.every((option, at) => option.value === list[at].value && option.text === list[at].text);
    if (!same) list.replaceChildren(...options); // it may be open
    list.value = provider;
    this.#describe();
  }

  #describe() {
    const offer = this.#offers.meant(this.#page.settings().provider);
    byId("provider-note").textContent = this.#offers.trouble || offerNote(offer);
    byId("models").replaceChildren(...(offer?.models ?? []).map(model => new Option(model, model)));
    byId("model").placeholder = offer?.default_model || "the default model";
    const named = byId("key-box").dataset.provider;
    if (named !== this.#provider()) this.#keyField();
  }

  // What is chosen here is also what the next new conversation begins with.
  #chosen() {
    firstChoice.set(this.#page.settings());
    this.#describe();
  }

  #provider() {
    const { provider } = this.#page.settings();
    return provider ?? this.#offers.default?.name ?? "";
  }

  #keyField() {
    const provider = this.#provider();
    const box = byId("key-box");
    box.dataset.provider = provider;
    if (!provider) { box.replaceChildren(); return; }
    // Not a password field: the browser would offer to save what is in it.
    const field = make("input", { id: "key", className: "secret", autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: "none" });
    field.value = this.#keys.get(provider);
    field.addEventListener("input", () => {
      this.#keys.set(provider, field.value);
      held();
    });
    const note = make("p", { className: "small soft" });
    const forget = button("Forget all keys", () => {
      this.#keys.forget();
      field.value = "";
      held();
      field.focus();
    }, { className: "quiet inline" });
    const held = () => {
      const names = this.#keys.names;
      note.replaceChildren(names.length ? `Held now: ${names.join(", ")}. ` : "", ...names.length ? [forget] : []);
    };
    held();
    box.replaceChildren(make("label", { for: "key", text: `API key for ${provider}` }), field, note);
  }

  #offerRemoval(count) {
    const box = byId("remove-all");
    const chats = `${count} ${count === 1 ? "conversation" : "conversations"}`;
    const first = button("Delete all conversations", () => {
      const sure = button(`Delete ${chats} for good`, () => {
        this.#dialog.close();
        this.#page.removeAll();
      }, { className: "danger" });
      box.replaceChildren(sure, button("Keep them", () => {
        this.#offerRemoval(count);
        box.firstChild.focus();
      }, { className: "plain" }));
      sure.focus();
    }, { className: "plain" });
    first.disabled = count === 0;
    box.replaceChildren(first);
  }
}
