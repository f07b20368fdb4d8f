import { TroupeError } from "../client/troupe.js";

const saveEvery = 2000;
const answerWithin = 400; // how long other tabs have to say that they hold a question

/** The answers that have not ended: asks, follows, saves how far they are, and says when one changed. */
export class Runs {
  #client;
  #store;
  #held = new Map();   // by turn id: {turn, answer, thought: the reasoning that was heard before}
  #asking = new Map(); // by turn id: who waits for other tabs' word
  #onChange;

  /** @param {(turn: import("./store.js").Turn) => void} onChange what a turn does has changed, or it has ended */
  constructor(client, store, onChange) {
    this.#client = client;
    this.#store = store;
    this.#onChange = onChange;
    store.onChange((message, fromElsewhere) => fromElsewhere && this.#hear(message));
    addEventListener("pagehide", () => { for (const held of this.#held.values()) this.#save(held); });
    setInterval(() => { for (const held of this.#held.values()) this.#save(held, { quiet: true }); }, saveEvery);
  }

  /** What runs for a turn in this tab. */
  held(turn) { return this.#held.get(turn.id); }

  /** The turn as it is now, where it is being answered; else as it was read. */
  latest(turn) { return this.#held.get(turn.id)?.turn ?? turn; }

  ask(turn, options) {
    this.#hold(turn, this.#client.chat(turn.question, { ...options, id: turn.id }));
  }

  /**
   * Follows a turn of an earlier page load or of another tab. One that no server has accepted yet belongs to the tab that
   * asked; only when no tab answers for it, it is asked from here. `alone`: leave it to another tab that follows it.
   */
  async resume(turn, options, { alone = false } = {}) {
    if (turn.state !== "running" || this.#held.has(turn.id) || this.#asking.has(turn.id)) return;
    if ((alone || !turn.runId) && await this.#heldElsewhere(turn.id)) return;
    if (this.#held.has(turn.id)) return;
    const saved = { id: turn.id, runId: turn.runId, seq: turn.seq, text: turn.answer, content: turn.question };
    this.#hold(turn, this.#client.follow(saved, options));
  }

  /** Stops what runs in a conversation that is deleted. */
  drop(conversation) {
    for (const { turn, answer } of this.#held.values()) if (!conversation || turn.conversation === conversation) answer.stop().catch(() => {});
  }

  #hold(turn, answer) {
    const held = { turn, answer, thought: turn.reasoning };
    this.#held.set(turn.id, held);
    answer.on("accepted", () => this.#save(held));
    answer.on("state", () => this.#onChange(turn));
    answer.on("end", end => {
      this.#held.delete(turn.id);
      if (end instanceof TroupeError && end.code === "CLOSED") return; // this page goes; the answer does not
      finish(held, end);
      this.#store.save(turn);
      this.#onChange(turn);
    });
  }

  #save(held, options) {
    const { runId, seq, text } = held.answer.saved();
    Object.assign(held.turn, { runId, seq, answer: text, reasoning: held.thought + held.answer.reasoning });
    this.#store.save(held.turn, options);
  }

  #heldElsewhere(id) {
    return new Promise(resolve => {
      const late = setTimeout(() => done(false), answerWithin);
      const done = held => {
        clearTimeout(late);
        this.#asking.delete(id);
        resolve(held);
      };
      this.#asking.set(id, done);
      this.#store.whisper({ about: "who", id });
    });
  }

  #hear({ about, id }) {
    if (about === "who" && this.#held.has(id)) this.#store.whisper({ about: "held", id });
    if (about === "held") this.#asking.get(id)?.(true);
  }
}

function finish({ turn, answer, thought }, end) {
  Object.assign(turn, { runId: answer.runId, seq: answer.seq, reasoning: thought + answer.reasoning });
  if (end instanceof TroupeError) {
    const { code, message, retryable, retryAt } = end; // the line for a refused origin is told with the connection
    Object.assign(turn, { state: "failed", answer: end.partial || answer.text, trouble: { code, message, retryable, retryAt } });
    return;
  }
  const { provider, model, finishReason, usage } = end;
  Object.assign(turn, { state: end.cancelled ? "stopped" : "complete", answer: end.text, result: { provider, model, finishReason, usage } });
}
