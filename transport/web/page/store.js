import { Memory, openDatabase } from "./records.js";
import { soundConversation, soundTurn } from "./sound.js";
import { adopted } from "./tree.js";

export { Memory };

/**
 * @typedef {{id: string, title: string, created: number, updated: number, settings: object,
 *   shown: Record<string, string>, running: string}} Conversation `running` is the id of the turn that was asked last, until it has ended
 * @typedef {{id: string, conversation: string, parent: string, created: number, question: string, answer: string, tab?: string,
 *   reasoning: string, state: "running"|"complete"|"stopped"|"failed", runId: string, seq: number, result?: object, trouble?: object}} Turn
 *   `id`, `runId`, `seq` and `answer` are what it takes to follow an answer again, so they are written together.
 * @typedef {{conversation: string, edits: import("./records.js").Edit[], says: object[], first?: Conversation, fields?: object}} Change
 *   edits that belong together, and what is said of them; of a first question its conversation, of a change its fields
 */

/** The conversations of this browser. Other tabs hear of every change, and are heard. */
export class Store {
  #records;
  #channel;
  #listeners = new Set();
  #late = new Map(); // changes that the browser refused, by what they are about: they are there to be read, and tried again with every other
  /** Why something is not kept beyond this tab; "" while all is well. */
  trouble = "";

  constructor(records, channel) {
    this.#records = records;
    this.#channel = channel;
    if (channel) channel.onmessage = event => this.#hear(event.data);
    if (!records.lasting) this.trouble = "This browser keeps nothing for this page: conversations are gone when the tab is closed.";
  }

  static async open() {
    const records = await openDatabase().catch(() => new Memory());
    let channel = null;
    try {
      if (records.lasting) channel = new BroadcastChannel("troupe.chat"); // what is in memory is this tab's own
    } catch { /* then other tabs see it after a reload */ }
    return new Store(records, channel);
  }

  /** Newest first. */
  async conversations() {
    const all = this.#withLate("conversations", await this.#records.all("conversations"));
    return all.map(soundConversation).filter(Boolean).sort((a, b) => b.updated - a.updated);
  }

  async conversation(id) {
    return this.#one("conversations", id, soundConversation);
  }

  async turns(conversation) {
    const all = this.#withLate("turns", await this.#records.turnsOf(conversation));
    return adopted(all.filter(turn => turn.conversation === conversation).map(soundTurn).filter(Boolean));
  }

  async turn(id) {
    return this.#one("turns", id, soundTurn);
  }

  /** Adds a turn, and its conversation where that is new, in one step. */
  add(conversation, turn) {
    return this.#add({ ...conversation }, turn, [{ about: "conversations" }, { about: "turn", conversation: conversation.id, id: turn.id }]);
  }

  /** Changes fields of a conversation; of one that was deleted meanwhile, nothing. `shown` is joined, not replaced. */
  async change(id, fields) {
    for (const { conversation, first } of this.#late.values()) if (first && conversation === id) Object.assign(first, merged(first, fields));
    const all = merged(this.#late.get(`conversation ${id}`)?.fields ?? {}, fields);
    const edit = { table: "conversations", key: id, with: old => old && merged(soundConversation(old), all) };
    await this.#change(`conversation ${id}`, { conversation: id, edits: [edit], says: [{ about: "conversations" }], fields: all });
  }

  /**
   * Saves how far a turn has come. Several tabs may follow the same answer, so what is further stays: an end rather than
   * a running one, a good end rather than a failed one. A turn that was deleted is not made again; one that could not be
   * added is.
   */
  async save(turn, { quiet = false } = {}) {
    const says = quiet ? [] : [{ about: "turn", conversation: turn.conversation, id: turn.id }];
    if (turn.state !== "running") says.unshift({ about: "conversations" });
    const first = this.#late.get(`turn ${turn.id}`)?.first;
    if (first) return this.#add(first, turn, says);
    const edits = [{ table: "turns", key: turn.id, with: old => old && furthest(turn, soundTurn(old)) }];
    if (turn.state !== "running") edits.push({ table: "conversations", key: turn.conversation, with: old => old?.running === turn.id ? { ...old, running: "" } : old });
    return this.#change(`turn ${turn.id}`, { conversation: turn.conversation, edits, says });
  }

  /** Takes a turn away for another of the same question; only what nobody can miss, which another tab may know better. */
  async forget(turn) {
    const edit = { table: "turns", key: turn.id, with: old => old?.answer || old?.state === "complete" ? old : undefined };
    await this.#change(`turn ${turn.id}`, { conversation: turn.conversation, edits: [edit], says: [] });
  }

  /** Deletes a conversation and gives what `restore` needs to undo that. */
  async remove(id) {
    const gone = { conversation: await this.conversation(id), turns: await this.turns(id) };
    this.#forgetLate(id);
    const edits = [
      { table: "conversations", key: id, with: () => undefined },
      ...gone.turns.map(turn => ({ table: "turns", key: turn.id, with: () => undefined })),
    ];
    await this.#change(`conversation ${id}`, { conversation: id, edits, says: [{ about: "removed", conversation: id }, { about: "conversations" }] });
    return gone;
  }

  async restore({ conversation, turns }) {
    const edits = [
      { table: "conversations", key: conversation.id, with: () => conversation },
      ...turns.map(turn => ({ table: "turns", key: turn.id, with: () => turn })),
    ];
    await this.#change(`conversation ${conversation.id}`, { conversation: conversation.id, edits, says: [{ about: "conversations" }] });
  }

  async removeAll() {
    this.#late.clear();
    let error;
    try { await this.#records.clear(); } catch (refused) { error = refused; }
    this.#judge(error);
    for (const message of [{ about: "removed", conversation: "" }, { about: "conversations" }]) this.#say(message);
  }

  /**
   * @param {(message: {about: "conversations"|"turn"|"removed"|"trouble"|string, conversation?: string, id?: string}, fromElsewhere: boolean) => void} listener
   *   "removed": this conversation was deleted, or for "" all of them
   */
  onChange(listener) { this.#listeners.add(listener); }

  /** Says something to the other tabs alone. */
  whisper(message) { this.#channel?.postMessage(message); }

  // The turn itself and not a copy: tried again later, it is added as far as it has come by then.
  #add(first, turn, says) {
    const withTurn = old => ({
      ...old ? soundConversation(old) : first,
      updated: Math.max(turn.created, old?.updated ?? 0),
      running: turn.state === "running" ? turn.id : old?.running ?? "",
      shown: { ...old?.shown ?? first.shown, [turn.parent]: turn.id },
    });
    const edits = [
      { table: "conversations", key: first.id, with: withTurn },
      { table: "turns", key: turn.id, with: old => old ? furthest(turn, soundTurn(old)) : { ...turn } },
    ];
    return this.#change(`turn ${turn.id}`, { conversation: first.id, edits, says, first });
  }

  // What is on the page stays there when the browser does not save it (it may be full); the page says so.
  async #change(about, change) {
    const before = this.#late.get(about);
    let error;
    try {
      await this.#records.change(change.edits);
      // Only what this one stands for: another one may have been refused meanwhile.
      if (before && this.#late.get(about) === before) this.#late.delete(about);
      error = await this.#tryLate();
    } catch (refused) {
      this.#late.set(about, change);
      error = refused;
    }
    this.#judge(error);
    for (const message of change.says) this.#say(message);
  }

  /** Gives the error of the first change that is refused again. */
  async #tryLate() {
    for (const [about, change] of [...this.#late]) {
      try {
        await this.#records.change(change.edits);
      } catch (error) {
        return error;
      }
      if (this.#late.get(about) === change) this.#late.delete(about);
      for (const message of change.says) this.#say(message);
    }
  }

  #judge(error) {
    if (!this.#records.lasting) return;
    const before = this.trouble;
    if (error) this.trouble = `This browser did not save the last change (${error.name || "unknown"}): it may be gone after a reload.`;
    else if (!this.#late.size) this.trouble = "";
    if (this.trouble !== before) this.#tell({ about: "trouble" }, false);
  }

  #forgetLate(conversation) {
    for (const [about, change] of this.#late) if (!conversation || change.conversation === conversation) this.#late.delete(about);
  }

  async #one(table, id, sound) {
    const found = await this.#records.get(table, id);
    const one = this.#withLate(table, found ? [found] : []).find(record => record.id === id);
    return one && sound(one) || undefined;
  }

  #withLate(table, records) {
    if (!this.#late.size) return records;
    const all = new Map(records.map(record => [record.id, record]));
    for (const { edits } of this.#late.values()) {
      for (const edit of edits) {
        if (edit.table !== table) continue;
        const made = edit.with(all.get(edit.key));
        if (made === undefined) all.delete(edit.key);
        else all.set(edit.key, structuredClone(made));
      }
    }
    return [...all.values()];
  }

  #hear(message) {
    const removed = message.about === "removed";
    if (removed) this.#forgetLate(message.conversation);
    this.#tell(message, true);
    if (removed) this.#tryLate().then(error => this.#judge(error)); // there may be room now
  }

  #say(message) {
    this.#tell(message, false);
    this.whisper(message);
  }

  #tell(message, fromElsewhere) { for (const listener of this.#listeners) listener(message, fromElsewhere); }
}

function merged(conversation, { shown, ...fields }) {
  return { ...conversation, ...fields, shown: { ...conversation.shown, ...shown } };
}

const rank = { running: 0, failed: 1, stopped: 2, complete: 2 };

/** Whether a turn is further than what is saved of it. Pieces of another run do not compare: the newer word counts. */
export function further(turn, saved) {
  if (rank[turn.state] !== rank[saved.state]) return rank[turn.state] > rank[saved.state];
  return turn.state !== "running" || turn.runId !== saved.runId || turn.seq >= saved.seq;
}

/** What is kept of a turn: what is further, and of one run the longer text. A tab that joined late has heard less. */
function furthest(turn, saved) {
  const [one, other] = further(turn, saved) ? [turn, saved] : [saved, turn];
  if (one.runId && other.runId && one.runId !== other.runId) return { ...one };
  const whole = one.state === "complete" && other.state !== "complete";
  return { ...one, answer: whole ? one.answer : longer(one.answer, other.answer), reasoning: longer(one.reasoning, other.reasoning) };
}

function longer(one, other) { return other.length > one.length ? other : one; }

/** An id that says nothing of what it names: in lower case letters and digits, for addresses and frames. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), byte => byte.toString(36).padStart(2, "0")).join("");
}
