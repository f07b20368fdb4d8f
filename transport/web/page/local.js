// Small things that are kept beside the conversations. A browser that blocks storage keeps them in memory.

function safely(area) {
  const memory = new Map();
  const storage = () => globalThis[area]; // the getter itself throws where storage is blocked
  return {
    get(key) {
      try { return storage().getItem(key) ?? memory.get(key) ?? ""; } catch { return memory.get(key) ?? ""; }
    },
    set(key, value) {
      if (value) memory.set(key, value); else memory.delete(key);
      try {
        if (value) storage().setItem(key, value); else storage().removeItem(key);
      } catch { /* blocked or full: memory has it */ }
    },
  };
}

/** Until the tab is closed. */
export const tab = safely("sessionStorage");
/** Until the user clears it. */
export const browser = safely("localStorage");

/** What was typed and not sent, of a conversation ("" is the new one) or of a question that is being edited. */
export const drafts = {
  get: name => tab.get(`troupe.draft.${name}`),
  set: (name, text) => tab.set(`troupe.draft.${name}`, text),
};

/** Provider and model that a new conversation begins with. */
export const firstChoice = {
  get() {
    try {
      const { provider, model } = JSON.parse(browser.get("troupe.choice"));
      return { provider: text(provider), model: text(model) };
    } catch { return {}; }
  },
  set({ provider, model }) { browser.set("troupe.choice", JSON.stringify({ provider, model })); },
};

function text(value) { return typeof value === "string" && value ? value : undefined; }

/** The user's own API keys: in memory, and in sessionStorage only while the user asks for that. */
export class Keys {
  #keys = new Map();
  #kept = false;

  constructor(storage = tab) {
    this.storage = storage;
    try {
      for (const [provider, key] of Object.entries(JSON.parse(storage.get("troupe.keys")))) if (typeof key === "string") this.#keys.set(provider, key);
      this.#kept = true;
    } catch { /* none are kept */ }
  }

  /** Whether they outlive a reload. */
  get kept() { return this.#kept; }

  get names() { return [...this.#keys.keys()]; }

  get(provider) { return this.#keys.get(provider) ?? ""; }

  set(provider, key) {
    if (key.trim()) this.#keys.set(provider, key.trim());
    else this.#keys.delete(provider);
    this.#write();
  }

  keep(kept) {
    this.#kept = kept;
    this.#write();
  }

  forget() {
    this.#keys.clear();
    this.#write();
  }

  /** What goes along with a question to this provider: its key and no other. */
  for(provider) {
    const key = this.get(provider);
    return key ? { [provider]: key } : undefined;
  }

  #write() { this.storage.set("troupe.keys", this.#kept ? JSON.stringify(Object.fromEntries(this.#keys)) : ""); }
}
