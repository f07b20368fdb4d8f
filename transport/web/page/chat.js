import { Runs } from "./follow.js";
import { firstChoice, tabName } from "./local.js";
import { newId } from "./store.js";
import { children, messagesOf, pathTo, shownPath } from "./tree.js";
import { titleOf } from "./words.js";

/** The conversation that is shown: what is in it, and what can be done with it. Knows nothing of the page. */
export class Chat {
  #store;
  #keys;
  #offers;
  #on;
  #tab;
  #fresh = firstChoice.get(); // the settings of a conversation that has no question yet
  #wanted = 0;
  #unseen = new Set(); // ids of other tabs' turns that follow one that runs here: shown when that has ended
  id = "";
  opened = false;
  conversation = null;
  turns = [];

  /**
   * @param {{onChange: () => void, onEnd: (turn) => void, onDoing: (turn, state: string) => void}} on something to show has
   *   changed; an answer of this conversation has ended; one that is shown was "sent", is "unsent" still, or was to be
   *   stopped and is not ("unstopped", "unconfirmed")
   */
  constructor(client, store, keys, offers, on, tab = tabName(newId)) {
    this.#store = store;
    this.#keys = keys;
    this.#offers = offers;
    this.#on = on;
    this.#tab = tab;
    this.runs = new Runs(client, store, {
      onChange: turn => this.#changed(turn),
      onDoing: (turn, state) => { if (this.shows(turn)) on.onDoing(turn, state); },
      onLeft: () => this.resumeAll(),
    });
  }

  get path() { return shownPath(this.turns, this.conversation?.shown); }

  get settings() { return this.conversation?.settings ?? this.#fresh; }

  /** Whether a turn is one of those that are looked at. */
  shows({ id }) { return this.path.some(turn => turn.id === id); }

  /** What the last turn of the path does, for the buttons. Who waits too long for a stop may go on. */
  get busy() {
    const last = this.path.at(-1);
    if (last?.state !== "running") return "idle";
    const state = this.runs.state(last);
    if (state === "unstopped" || state === "unconfirmed") return "idle";
    return state === "stopping" ? "stopping" : "busy";
  }

  /** Opens a conversation, or for "" a new one. Resolves with false where it is not known, undefined where another was wanted meanwhile. */
  async open(id) {
    const wanted = ++this.#wanted;
    const [conversation, turns] = id ? await this.#read(id, wanted) : [];
    if (wanted !== this.#wanted) return undefined;
    this.id = conversation ? id : "";
    this.conversation = conversation ?? null;
    this.turns = conversation ? turns.map(turn => this.runs.latest(turn)) : [];
    this.#unseen.clear();
    if (!conversation) this.#fresh = firstChoice.get();
    this.opened = true;
    this.resume();
    return !id || Boolean(conversation);
  }

  async #read(id, wanted) {
    try {
      return await Promise.all([this.#store.conversation(id), this.#store.turns(id)]);
    } catch (error) {
      if (wanted === this.#wanted) throw error; // of what nobody wants any more nobody need hear
      return [];
    }
  }

  /** Follows again what ran when the page was left, or runs in another tab. */
  resume() {
    for (const turn of this.turns) {
      if (turn.state === "running") this.runs.resume(turn, () => this.#options(turn, this.turns)).then(() => this.#show(this.turns.find(one => one.id === turn.id) ?? turn));
    }
  }

  /** The same for the conversations that are not shown: an answer is kept for a while only, and should not be missed. */
  async resumeOthers() {
    for (const { id, running } of await this.#store.conversations()) {
      if (!running || id === this.id) continue;
      const turns = await this.#store.turns(id);
      const turn = turns.find(one => one.id === running);
      if (turn) await this.runs.resume(turn, () => this.#options(turn, turns), { alone: true });
    }
  }

  resumeAll() {
    this.resume();
    return this.resumeOthers();
  }

  /** Asks after the last turn that is shown, or in the place of those below `parent`: of these, what this tab asked is stopped. */
  ask(question, parent = this.path.at(-1)?.id ?? "") {
    const created = Date.now();
    const { path } = this;
    for (const turn of path) this.runs.keep(turn);
    const below = path.slice(path.findIndex(turn => turn.id === parent) + 1);
    for (const turn of below) if (turn.state === "running" && turn.tab === this.#tab) this.runs.stop(turn);
    if (!this.conversation) {
      this.id = newId();
      this.conversation = { id: this.id, title: titleOf(question), created, updated: created, settings: this.#fresh, shown: {} };
    }
    const turn = {
      id: newId(), conversation: this.id, parent, created, question, asked: { ...this.settings }, tab: this.#tab,
      state: "running", answer: "", reasoning: "", runId: "", seq: 0,
    };
    this.turns.push(turn);
    this.conversation.shown = { ...this.conversation.shown, [parent]: turn.id };
    this.#store.add(this.conversation, turn);
    const { turns } = this;
    this.runs.ask(turn, () => this.#options(turn, turns));
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

  /** Stops what runs at the end of the path, whichever tab asked. It has ended when the server says so. */
  stop() {
    const last = this.path.at(-1);
    if (last?.state === "running") this.runs.stop(last);
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

  /** The conversation was changed elsewhere. That it is not found says nothing: it may not be stored yet. */
  async reread() {
    const { id } = this;
    const conversation = id && await this.#store.conversation(id);
    if (!conversation || id !== this.id) return;
    this.conversation = { ...conversation, shown: this.conversation.shown }; // which version is looked at is this tab's own
    this.#on.onChange();
  }

  /** Another tab deleted a conversation, or for "" all. Gives whether this is one. */
  removed(conversation) {
    if (!this.id || (conversation && conversation !== this.id)) return false;
    this.opened = false;
    return true;
  }

  /** Another tab asked, or its answer has come further. */
  async heard(conversation, id) {
    if (conversation !== this.id) return;
    const turn = await this.#store.turn(id);
    if (turn?.conversation !== this.id || this.runs.latest(turn) !== turn) return;
    const at = this.turns.findIndex(one => one.id === id);
    if (at >= 0) this.turns[at] = turn;
    else if (!this.#join(turn)) return;
    this.resume();
    this.#on.onChange();
  }

  // What is looked at here is not taken away by what another tab asks: that is one more version.
  #join(turn) {
    const { parent } = turn;
    const above = this.turns.find(one => one.id === parent);
    if (above && this.runs.held(above) && this.shows(above)) {
      this.#unseen.add(turn.id);
      return false;
    }
    const versions = children(this.turns, parent);
    const shown = versions.find(version => version.id === this.conversation.shown[parent]) ?? versions.at(-1) ?? turn;
    this.conversation.shown = { ...this.conversation.shown, [parent]: shown.id };
    this.turns.push(turn);
    return true;
  }

  async #options(turn, turns) {
    const asked = Object.fromEntries(Object.entries(turn.asked).filter(([, value]) => value !== undefined));
    const messages = messagesOf(pathTo(turns, turn.parent));
    if (!asked.provider && this.#keys.names.length) await this.#offers.first; // whose key goes along is known then
    return { ...asked, messages, apiKeys: this.#keys.for(asked.provider ?? this.#offers.default?.name) };
  }

  #changed(turn) {
    if (!this.#show(turn) || turn.state === "running") return;
    this.#on.onEnd(turn);
    const unseen = [...this.#unseen];
    this.#unseen.clear();
    for (const id of unseen) this.heard(turn.conversation, id);
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
