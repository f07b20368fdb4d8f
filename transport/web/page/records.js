const tables = ["conversations", "turns"];

// Where records live: IndexedDB, or this tab's memory where the browser has none for this page. Both do the same two
// things: read, and change several records at once or none.

/** @typedef {{table: string, key: string, with: (old: any) => any}} Edit `with` gives the new record, undefined to delete it, or the same to leave it. */

/** Opens the database; rejects where storage is blocked, or says nothing for 3 s as some embedded browsers do. */
export async function openDatabase(factory = globalThis.indexedDB, name = "troupe") {
  const open = () => opened(factory, name);
  return new Database(await open(), open);
}

function opened(factory, name) {
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
      resolve(request.result);
    };
  });
}

class Database {
  #db;
  #open;
  #opening;
  #outdated = false;
  lasting = true;

  constructor(db, open) {
    this.#open = open;
    this.#take(db);
  }

  #take(db) {
    this.#db = db;
    db.onclose = () => { if (this.#db === db) this.#db = undefined; }; // by the browser: its data was cleared, or a phone was short of memory
    db.onversionchange = () => { // another tab has a newer page
      this.#outdated = true;
      db.close();
    };
  }

  /** Does what is to be done in a transaction; where the browser has closed the database it is opened once more. */
  #in(names, mode, work) {
    try {
      if (this.#db) return work(this.#db.transaction(names, mode)); // at once: in the order in which it was asked for
    } catch (error) {
      if (error.name !== "InvalidStateError" || this.#outdated) return Promise.reject(error);
    }
    this.#opening ??= this.#open().then(db => this.#take(db)).finally(() => { this.#opening = undefined; });
    return this.#opening.then(() => work(this.#db.transaction(names, mode)));
  }

  get(table, key) { return this.#in(table, "readonly", transaction => settled(transaction.objectStore(table).get(key))); }

  all(table) { return this.#in(table, "readonly", transaction => settled(transaction.objectStore(table).getAll())); }

  turnsOf(conversation) {
    return this.#in("turns", "readonly", transaction => settled(transaction.objectStore("turns").index("conversation").getAll(conversation)));
  }

  /** @param {Edit[]} edits done in one transaction, so that other tabs never see a half or overwrite one */
  change(edits) {
    return this.#in(tables, "readwrite", transaction => new Promise((resolve, reject) => {
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
    }));
  }

  clear() {
    return this.#in(tables, "readwrite", transaction => new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      for (const table of tables) transaction.objectStore(table).clear();
    }));
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
