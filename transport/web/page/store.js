const tables = ["conversations", "turns"];

/**
 * @typedef {{id: string, title: string, created: number, updated: number, settings: object,
 *   shown: Record<string, string>, running: string}} Conversation `running` is the id of the turn that was asked last, until it has ended
 * @typedef {{id: string, conversation: string, parent: string, created: number, question: string, answer: string,
 *   reasoning: string, state: "running"|"complete"|"stopped"|"failed", runId: string, seq: number, result?: object, trouble?: object}} Turn
 *   `id`, `runId`, `seq` and `answer` are what it takes to follow an answer again, so they are written together.
 */

/** The conversations of this browser. Other tabs hear of every change, and are heard. */
export class Store {
  #records;
  #channel;
  #listeners = new Set();
  /** Why the last change is not kept beyond this tab; "" while all is well. */
  trouble = "";

  constructor(records, channel) {
    this.#records = records;
    this.#channel = channel;
    if (channel) channel.onmessage = event => this.#tell(event.data, true);
    if (!records.lasting) this.trouble = "This browser keeps nothing for this page: conversations are gone when the tab is closed.";
  }

  static async open() {
    let channel = null;
    try { channel = new BroadcastChannel("troupe.chat"); } catch { /* then other tabs see it after a reload */ }
    return new Store(await openDatabase().catch(() => new Memory()), channel);
  }

  /** Newest first. */
  async conversations() {
    return (await this.#records.all("conversations")).sort((a, b) => b.updated - a.updated);
  }

  conversation(id) { return this.#records.get("conversations", id); }

  turns(conversation) { return this.#records.turnsOf(conversation); }

  turn(id) { return this.#records.get("turns", id); }

  /** Adds a turn, and its conversation where that is new, in one step. */
  async add(conversation, turn) {
    await this.#change([
      { table: "conversations", key: conversation.id, with: old => ({ ...old ?? conversation, updated: turn.created, running: turn.id, shown: { ...old?.shown, [turn.parent]: turn.id } }) },
      { table: "turns", key: turn.id, with: () => turn },
    ]);
    this.#say({ about: "conversations" });
    this.#say({ about: "turn", conversation: conversation.id, id: turn.id });
  }

  /** Changes fields of a conversation; of one that was deleted meanwhile, nothing. `shown` is joined, not replaced. */
  async change(id, { shown, ...fields }) {
    await this.#change([{
      table: "conversations", key: id,
      with: old => old && { ...old, ...fields, shown: { ...old.shown, ...shown } },
    }]);
    this.#say({ about: "conversations" });
  }

  /**
   * Saves how far a turn has come. Several tabs may follow the same answer, so what is further stays: an end rather than
   * a running one, a good end rather than a failed one. A turn that was deleted is not made again.
   */
  async save(turn, { quiet = false } = {}) {
    const edits = [{ table: "turns", key: turn.id, with: old => old && (further(turn, old) ? { ...turn } : old) }];
    if (turn.state !== "running") edits.push({ table: "conversations", key: turn.conversation, with: old => old?.running === turn.id ? { ...old, running: "" } : old });
    await this.#change(edits);
    if (edits.length > 1) this.#say({ about: "conversations" });
    if (!quiet) this.#say({ about: "turn", conversation: turn.conversation, id: turn.id });
  }

  /** Takes a turn away for another of the same question; only what nobody can miss. */
  async forget(turn) {
    await this.#change([{ table: "turns", key: turn.id, with: () => undefined }]);
  }

  /** Deletes a conversation and gives what `restore` needs to undo that. */
  async remove(id) {
    const gone = { conversation: await this.conversation(id), turns: await this.turns(id) };
    await this.#change([
      { table: "conversations", key: id, with: () => undefined },
      ...gone.turns.map(turn => ({ table: "turns", key: turn.id, with: () => undefined })),
    ]);
    this.#say({ about: "conversations" });
    return gone;
  }

  async restore({ conversation, turns }) {
    await this.#change([
      { table: "conversations", key: conversation.id, with: () => conversation },
      ...turns.map(turn => ({ table: "turns", key: turn.id, with: () => turn })),
    ]);
    this.#say({ about: "conversations" });
  }

  async removeAll() {
    await this.#records.clear();
    this.#say({ about: "conversations" });
  }

  /** @param {(message: {about: string, conversation?: string, id?: string}, fromElsewhere: boolean) => void} listener */
  onChange(listener) { this.#listeners.add(listener); }

  /** Says something to the other tabs alone. */
  whisper(message) { this.#channel?.postMessage(message); }

  // What is on the page stays there when the browser does not save it (it may be full); the page says so.
  async #change(edits) {
    const before = this.trouble;
    try {
      await this.#records.change(edits);
      if (this.#records.lasting) this.trouble = "";
    } catch (error) {
      this.trouble = `This browser did not save the last change (${error?.name || "unknown"}): it may be gone after a reload.`;
    }
    if (this.trouble !== before) this.#tell({ about: "trouble" }, false);
  }

  #say(message) {
    this.#tell(message, false);
    this.whisper(message);
  }

  #tell(message, fromElsewhere) { for (const listener of this.#listeners) listener(message, fromElsewhere); }
}

const rank = { running: 0, failed: 1, stopped: 2, complete: 2 };

/** Whether a turn is further than what is saved of it. Pieces of another run do not compare: the newer word counts. */
export function further(turn, saved) {
  if (rank[turn.state] !== rank[saved.state]) return rank[turn.state] > rank[saved.state];
  return turn.state !== "running" || turn.runId !== saved.runId || turn.seq >= saved.seq;
}

/** An id that says nothing of what it names: in lower case letters and digits, for addresses and frames. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), byte => byte.toString(36).padStart(2, "0")).join("");
}

// Where records live: IndexedDB, or this tab's memory where the browser has none for this page. Both do the same two
// things: read, and change several records at once or none.

/** @typedef {{table: string, key: string, with: (old: any) => any}} Edit `with` gives the new record, undefined to delete it, or the same to leave it. */

/** Opens the database; rejects where storage is blocked, or says nothing for 3 s as some embedded browsers do. */
export async function openDatabase(factory = globalThis.indexedDB, name = "troupe") {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("IndexedDB does not answer")), 3000);
    const request = factory.open(name, 1); // throws, or is not there at all, where storage is blocked
    request.onupgradeneeded = () => {
      request.result.createObjectStore("conversations", { keyPath: "id" });
      request.result.createObjectStore("turns", { keyPath: "id" }).createIndex("conversation", "conversation");
    };
    request.onerror = () => { clearTimeout(late); reject(request.error); };
    request.onsuccess = () => {
      clearTimeout(late);
      request.result.onversionchange = () => request.result.close(); // another tab has a newer page
      resolve(new Database(request.result));
    };
  });
}

class Database {
  #db;
  lasting = true;

  constructor(db) { this.#db = db; }

  get(table, key) { return settled(this.#db.transaction(table).objectStore(table).get(key)); }

  all(table) { return settled(this.#db.transaction(table).objectStore(table).getAll()); }

  turnsOf(conversation) {
    return settled(this.#db.transaction("turns").objectStore("turns").index("conversation").getAll(conversation));
  }

  /** @param {Edit[]} edits done in one transaction, so that other tabs never see a half or overwrite one */
  change(edits) {
    return new Promise((resolve, reject) => {
      const transaction = this.#db.transaction(tables, "readwrite");
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("not saved"));
      for (const { table, key, with: edit } of edits) {
        const records = transaction.objectStore(table);
        const request = records.get(key);
        request.onsuccess = () => {
          const made = edit(request.result);
          if (made === undefined) records.delete(key);
          else if (made !== request.result) records.put(made);
        };
      }
    });
  }

  clear() {
    return new Promise((resolve, reject) => {
      const transaction = this.#db.transaction(tables, "readwrite");
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      for (const table of tables) transaction.objectStore(table).clear();
    });
  }
}

/** The same in memory; records are copied on the way in and out, as a database does. */
export class Memory {
  #tables = new Map(tables.map(table => [table, new Map()]));
  lasting = false;

  async get(table, key) { return structuredClone(this.#tables.get(table).get(key)); }

  async all(table) { return structuredClone([...this.#tables.get(table).values()]); }

  async turnsOf(conversation) { return (await this.all("turns")).filter(turn => turn.conversation === conversation); }

  async change(edits) {
    for (const { table, key, with: edit } of edits) {
      const made = edit(structuredClone(this.#tables.get(table).get(key)));
      if (made === undefined) this.#tables.get(table).delete(key);
      else this.#tables.get(table).set(key, structuredClone(made));
    }
  }

  async clear() { for (const records of this.#tables.values()) records.clear(); }
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
