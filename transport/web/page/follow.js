import { TroupeError } from "../client/troupe.js";

const saveEvery = 2000;
const answerWithin = 400; // how long other tabs have to say that they hold a question
const stopWithin = 500;   // … and that they stop it
const stopPatience = 4000; // how long somebody waits for a stop before going on
const leftFor = 1500;     // a tab that was reloaded is the first to go on with what it held

/** The answers that have not ended: asks, follows, stops, saves how far they are, and says when one changed. */
export class Runs {
  #client;
  #store;
  #on;
  #asked = new Map();    // by turn id: turns of this tab that are about to be asked
  #held = new Map();     // by turn id: {turn, answer, thought: the reasoning that was heard before}
  #resuming = new Set(); // ids of turns that this tab is about to follow
  #stops = new Map();    // by turn id: {late: nobody waits for it any more, timer}
  #waits = new Map();    // by what another tab is to say: who waits for it

  /**
   * @param {{onChange: (turn) => void, onDoing: (turn, state: string) => void, onLeft: () => void}} on what a turn does has
   *   changed, or it has ended; worth telling: "sent", "unsent" or a late stop; another tab left what it held
   */
  constructor(client, store, on) {
    this.#client = client;
    this.#store = store;
    this.#on = on;
    store.onChange((message, fromElsewhere) => fromElsewhere && this.#hear(message));
    client.on("state", () => this.#connectionChanged());
    addEventListener("pagehide", () => {
      for (const held of this.#held.values()) this.#save(held);
      if (this.#held.size) store.whisper({ about: "left" });
    });
    setInterval(() => { for (const held of this.#held.values()) this.#save(held, { quiet: true }); }, saveEvery);
  }

  /** What runs for a turn in this tab. */
  held(turn) { return this.#held.get(turn.id); }

  /** The turn as it is now, where it is being answered; else as it was read. */
  latest(turn) { return this.#held.get(turn.id)?.turn ?? this.#asked.get(turn.id) ?? turn; }

  /** What a turn that runs is doing: a state of its answer, "elsewhere", or of a late stop "unstopped" or "unconfirmed". */
  state(turn) {
    const stop = this.#stops.get(turn.id);
    if (stop?.late) return ["connected", "http"].includes(this.#client.state.is) ? "unconfirmed" : "unstopped";
    if (stop) return "stopping";
    return this.#held.get(turn.id)?.answer.state ?? (this.#asked.has(turn.id) ? "sent" : "elsewhere");
  }

  /** Brings the record of a turn up to date. */
  keep(turn) {
    const held = this.#held.get(turn.id);
    if (held) this.#save(held, { quiet: true });
  }

  /** @param {() => Promise<object>} options of the question; it may take a moment to know them */
  async ask(turn, options) {
    this.#asked.set(turn.id, turn);
    const known = await options();
    if (!this.#asked.delete(turn.id)) return; // stopped meanwhile
    const { answer } = this.#hold(turn, this.#client.chat(turn.question, { ...known, id: turn.id }));
    const leave = answer.on("state", state => {
      if (state === "unsent") return;
      leave();
      if (turn.state === "running" && !["cancelled", "failed"].includes(state)) this.#on.onDoing(turn, "sent");
    });
    queueMicrotask(() => { if (answer.state === "unsent") this.#on.onDoing(turn, "unsent"); });
    this.#on.onChange(turn);
  }

  /**
   * Follows a turn of an earlier page load or of another tab. One that no server has accepted yet belongs to the tab that
   * asked; only when no tab answers for it, it is asked from here. `alone`: leave it to another tab that follows it.
   */
  async resume(turn, options, { alone = false } = {}) {
    const { id } = turn;
    if (turn.state !== "running" || this.#held.has(id) || this.#asked.has(id) || this.#resuming.has(id)) return;
    this.#resuming.add(id);
    try {
      if ((alone || !turn.runId) && await this.#others("who", "held", id, answerWithin)) return;
      await this.#follow(id, turn.runId ? undefined : options);
    } finally {
      this.#resuming.delete(id);
    }
  }

  /** Stops a turn, wherever it was asked: the tab that holds it is told; where none does, the server is, from here. */
  async stop(turn) {
    const { id } = turn;
    if (this.#stops.has(id)) return;
    const stop = { late: false, timer: setTimeout(() => this.#late(turn, stop), stopPatience) };
    this.#stops.set(id, stop);
    if (this.#asked.delete(id)) {
      this.#end(turn, { state: "stopped", result: {} });
      return;
    }
    this.#on.onChange(turn);
    if (!this.#held.has(id) && await this.#others("stop", "stopping", id, stopWithin)) return;
    const held = this.#held.get(id);
    if (held) halt(held);
    else if (!await this.#follow(id)) this.#stopped(id);
  }

  /** Stops what runs in a conversation that is deleted, or for "" in all. */
  drop(conversation) {
    const mine = [...this.#held.values()].map(held => held.turn).concat([...this.#asked.values()]);
    for (const turn of mine) if (!conversation || turn.conversation === conversation) this.stop(turn);
  }

  /** Gives what it holds then; nothing where there is nothing to follow any more. */
  async #follow(id, options) {
    const known = await options?.();
    const turn = await this.#store.turn(id); // it may have ended meanwhile, or be deleted
    if (this.#held.has(id)) return this.#held.get(id);
    if (turn?.state !== "running") return undefined;
    const saved = { id, runId: turn.runId, seq: turn.seq, text: turn.answer, content: turn.question };
    const held = this.#hold(turn, this.#client.follow(saved, known));
    if (this.#stops.has(id)) halt(held); // at once: it is not to be asked again before
    return held;
  }

  #hold(turn, answer) {
    const held = { turn, answer, thought: turn.reasoning };
    this.#held.set(turn.id, held);
    this.#store.whisper({ about: "held", id: turn.id });
    answer.on("accepted", () => this.#save(held));
    answer.on("state", () => this.#on.onChange(turn));
    answer.on("end", end => {
      this.#held.delete(turn.id);
      if (end instanceof TroupeError && end.code === "CLOSED") return; // this page goes; the answer does not
      this.#end(turn, endOf(held, end));
    });
    return held;
  }

  async #end(turn, fields) {
    this.#stopped(turn.id);
    Object.assign(turn, fields);
    const saved = this.#store.save(turn);
    this.#on.onChange(turn);
    if (turn.state !== "failed") return;
    await saved;
    const kept = await this.#store.turn(turn.id); // another tab may have heard a good end while this one slept
    if (kept?.state !== "complete") return;
    Object.assign(turn, { trouble: undefined }, kept);
    this.#on.onChange(turn);
  }

  #save(held, options) {
    const { runId, seq, text } = held.answer.saved();
    Object.assign(held.turn, { runId, seq, answer: text, reasoning: held.thought + held.answer.reasoning });
    this.#store.save(held.turn, options);
  }

  #late(turn, stop) {
    stop.late = true;
    this.#on.onChange(turn);
    this.#on.onDoing(turn, this.state(turn));
  }

  #stopped(id) {
    clearTimeout(this.#stops.get(id)?.timer);
    this.#stops.delete(id);
  }

  #connectionChanged() {
    for (const [id, { late }] of this.#stops) {
      const held = this.#held.get(id);
      if (late && held) this.#on.onChange(held.turn);
    }
  }

  /** Whispers to other tabs and gives whether one says the word in time. */
  #others(about, word, id, within) {
    return new Promise(resolve => {
      const name = `${word} ${id}`;
      const done = heard => {
        clearTimeout(late);
        this.#waits.delete(name);
        resolve(heard);
      };
      const late = setTimeout(() => done(false), within);
      this.#waits.set(name, () => done(true));
      this.#store.whisper({ about, id });
    });
  }

  #hear({ about, id, conversation }) {
    const mine = this.#held.get(id)?.turn ?? this.#asked.get(id);
    if (about === "who" && mine) this.#store.whisper({ about: "held", id });
    if (about === "stop" && mine) {
      this.#store.whisper({ about: "stopping", id });
      this.stop(mine);
    }
    if (about === "turn" && !mine) this.#heardOf(id);
    if (about === "removed") this.drop(conversation);
    if (about === "left") setTimeout(() => this.#on.onLeft(), leftFor * (1 + Math.random())); // not all tabs at once
    this.#waits.get(`${about} ${id}`)?.();
  }

  // A stop that another tab was told has done its work.
  async #heardOf(id) {
    if (this.#stops.has(id) && (await this.#store.turn(id))?.state !== "running") this.#stopped(id);
  }
}

function halt({ answer }) { answer.stop().catch(() => {}); } // how it failed is in its turn

function endOf({ answer, thought }, end) {
  const far = { runId: answer.runId, seq: answer.seq, reasoning: thought + answer.reasoning };
  if (end instanceof TroupeError) {
    const { code, message, retryable, retryAt } = end; // the line for a refused origin is told with the connection
    return { ...far, state: "failed", answer: end.partial || answer.text, trouble: { code, message, retryable, retryAt } };
  }
  const { provider, model, finishReason, usage } = end;
  return { ...far, state: end.cancelled ? "stopped" : "complete", answer: end.text, result: { provider, model, finishReason, usage } };
}
