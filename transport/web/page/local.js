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
      } catch {
        // Blocked or full: memory has it, and what was stored before must not come back in its place.
        try { storage().removeItem(key); } catch { /* blocked: nothing is stored */ }
      }
    },
    get keys() {
      let stored = [];
      try { stored = Object.keys(storage()); } catch { /* blocked: memory has them all */ }
      return [...new Set([...stored, ...memory.keys()])];
    },
  };
}

/** Until the tab is closed. */
export const tab = safely("sessionStorage");
/** Until the user clears it. */
export const browser = safely("localStorage");

const draftKey = "troupe.draft.";

/** What was typed and not sent, of a conversation ("" is the new one), or of one of its questions that is being edited. */
export const drafts = {
  get: name => tab.get(draftKey + name),
  set: (name, text) => tab.set(draftKey + name, text),
  /** The name for a question that is being edited. */
  edited: turn => `${turn.conversation}.${turn.id}`,
  /** Takes away what was typed in a conversation, or for "" in all of them, and gives what `put` needs to undo that. */
  take(conversation) {
    const names = tab.keys.filter(key => key.startsWith(draftKey) && key !== draftKey).map(key => key.slice(draftKey.length));
    const mine = names.filter(name => !conversation || name.split(".")[0] === conversation);
    const taken = mine.map(name => [name, drafts.get(name)]);
    for (const name of mine) drafts.set(name, "");
    return taken;
  },
  put(taken) { for (const [name, text] of taken) drafts.set(name, text); },
};

/** This tab's name, also after a reload. It is stored only while the page is away: a tab that is duplicated gets a copy of what is stored. */
export function tabName(make, on = globalThis.addEventListener) {
  const name = tab.get("troupe.tab") || make();
  tab.set("troupe.tab", "");
  on("pagehide", () => tab.set("troupe.tab", name));
  on("pageshow", () => tab.set("troupe.tab", "")); // it came back as it was
  return name;
}

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
