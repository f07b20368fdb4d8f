import { Runs } from "./follow.js";
import { firstChoice } from "./local.js";
import { newId } from "./store.js";
import { messagesOf, pathTo, shownPath } from "./tree.js";
import { titleOf } from "./words.js";

/** The conversation that is shown: what is in it, and what can be done with it. Knows nothing of the page. */
export class Chat {
  #store;
  #keys;
  #offers;
  #on;
  #fresh = firstChoice.get(); // the settings of a conversation that has no question yet
  #wanted = 0;
  id = "";
  opened = false;
  conversation = null;
  turns = [];

  /** @param {{onChange: () => void, onEnd: (turn) => void}} on something to show has changed; an answer that is shown has ended */
  constructor(client, store, keys, offers, on) {
    this.#store = store;
    this.#keys = keys;
    this.#offers = offers;
    this.#on = on;
    this.runs = new Runs(client, store, turn => this.#changed(turn));
  }

  get path() { return shownPath(this.turns, this.conversation?.shown); }

  get settings() { return this.conversation?.settings ?? this.#fresh; }

  /** What the last turn of the path does, for the buttons. */
  get busy() {
    const last = this.path.at(-1);
    if (last?.state !== "running") return "idle";
    return this.runs.held(last)?.answer.state === "stopping" ? "stopping" : "busy";
  }

  /** Opens a conversation, or for "" a new one. Resolves with false where it is not known, undefined where another was wanted meanwhile. */
  async open(id) {
    const wanted = ++this.#wanted;
    const [conversation, turns] = id ? await Promise.all([this.#store.conversation(id), this.#store.turns(id)]) : [];
    if (wanted !== this.#wanted) return undefined;
    this.id = conversation ? id : "";
    this.conversation = conversation ?? null;
    this.turns = conversation ? turns.map(turn => this.runs.latest(turn)) : [];
    if (!conversation) this.#fresh = firstChoice.get();
    this.opened = true;
    this.resume();
    return !id || Boolean(conversation);
  }

  /** Follows again what ran when the page was left, or runs in another tab. */
  resume() {
    for (const turn of this.turns) {
      if (turn.state === "running") this.runs.resume(turn, this.#options(turn, this.turns)).then(() => this.#show(turn));
    }
  }

  /** The same for the conversations that are not shown: an answer is kept for a while only, and should not be missed. */
  async resumeOthers() {
    for (const { id, running } of await this.#store.conversations()) {
      if (!running || id === this.id) continue;
      const turns = await this.#store.turns(id);
      const turn = turns.find(one => one.id === running);
      if (turn) await this.runs.resume(turn, this.#options(turn, turns), { alone: true });
    }
  }

  /** Asks after the last turn that is shown, or in the place of those below `parent`. */
  ask(question, parent = this.path.at(-1)?.id ?? "") {
    const created = Date.now();
    if (!this.conversation) {
      this.id = newId();
      this.conversation = { id: this.id, title: titleOf(question), created, updated: created, settings: this.#fresh, shown: {} };
    }
    const turn = {
      id: newId(), conversation: this.id, parent, created, question, asked: { ...this.settings },
      state: "running", answer: "", reasoning: "", runId: "", seq: 0,
    };
    this.turns.push(turn);
    this.conversation.shown = { ...this.conversation.shown, [parent]: turn.id };
    this.#store.add(this.conversation, turn);
    this.runs.ask(turn, this.#options(turn, this.turns));
    this.#on.onChange();
  }

  /** Asks the same again, beside what is there. An attempt that brought nothing is no version worth keeping. */
  again(turn) {
    const empty = turn.state === "failed" && !turn.answer && !this.turns.some(other => other.parent === turn.id);
    if (empty) {
      this.turns = this.turns.filter(other => other.id !== turn.id);
      this.#store.forget(turn);
    }
    this.ask(turn.question, turn.parent);
  }

  showVersion(id) {
    const { parent } = this.turns.find(turn => turn.id === id);
    this.conversation.shown = { ...this.conversation.shown, [parent]: id };
    this.#store.change(this.id, { shown: { [parent]: id } });
    this.#on.onChange();
  }

  /** Stops what runs at the end of the path. It has ended when the server says so. */
  stop() {
    const last = this.path.at(-1);
    if (last?.state === "running") this.runs.held(last)?.answer.stop().catch(() => {}); // how it failed is in its turn
  }

  rename(id, title) {
    if (id === this.id) this.conversation.title = title;
    this.#store.change(id, { title });
    this.#on.onChange();
  }

  changeSettings(fields) {
    const settings = { ...this.settings, ...fields };
    if (!this.conversation) { this.#fresh = settings; return; }
    this.conversation.settings = settings;
    this.#store.change(this.id, { settings });
  }

  /** The conversation was changed elsewhere. Resolves with whether it is gone. */
  async reread() {
    if (!this.id) return false;
    const { id } = this;
    const conversation = await this.#store.conversation(id);
    if (id !== this.id) return false;
    if (!conversation) {
      this.opened = false;
      return true;
    }
    this.conversation = { ...conversation, shown: this.conversation.shown }; // which version is looked at is this tab's own
    this.#on.onChange();
    return false;
  }

  /** Another tab asked, or its answer has come further. */
  async heard(conversation, id) {
    if (conversation !== this.id) return;
    const turn = await this.#store.turn(id);
    if (!turn || conversation !== this.id || this.runs.held(turn)) return;
    const at = this.turns.findIndex(one => one.id === id);
    if (at < 0) {
      this.turns.push(turn);
      this.conversation.shown = { ...this.conversation.shown, [turn.parent]: id };
    } else {
      this.turns[at] = turn;
    }
    this.resume();
    this.#on.onChange();
  }

  #options(turn, turns) {
    const asked = Object.fromEntries(Object.entries(turn.asked).filter(([, value]) => value !== undefined));
    return {
      ...asked,
      messages: messagesOf(pathTo(turns, turn.parent)),
      apiKeys: this.#keys.for(turn.asked.provider ?? this.#offers.default?.name),
    };
  }

  #changed(turn) {
    if (!this.#show(turn)) return;
    if (turn.state !== "running") this.#on.onEnd(turn);
  }

  #show(turn) {
    if (turn.conversation !== this.id) return false;
    const at = this.turns.findIndex(one => one.id === turn.id);
    if (at < 0) return false;
    this.turns[at] = this.runs.latest(turn);
    this.#on.onChange();
    return true;
  }
}

/** What can be asked, as the server said last. */
export class Offers {
  #client;
  list = [];
  /** Why the list may be old; "" while it is not. */
  trouble = "";
  #onChange;

  constructor(client, onChange) {
    this.#client = client;
    this.#onChange = onChange;
  }

  async refresh() {
    try {
      this.list = await this.#client.providers();
      this.trouble = "";
    } catch (error) {
      this.trouble = `What can be asked is not known now. ${error.message}`;
    }
    this.#onChange();
  }

  get default() { return this.list.find(offer => offer.default); }

  /** The one that a choice means: that name's, or for no name the server's own choice. */
  meant(name) { return name ? this.list.find(offer => offer.name === name) : this.default; }
}
