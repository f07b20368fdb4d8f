// Asks again and again, ever more rarely while there is no answer, and always
// knows which of the two it is.

/**
 * @typedef {{ is: "asking" | "live" | "away" | "paused", why: string, nextAt: number }} PollState
 *   why and nextAt (ms, when it asks again) mean something only while away
 */

/**
 * @template T
 */
export class Poller {
  /** @type {PollState} */
  state = { is: "asking", why: "", nextAt: 0 };
  #o;
  #failures = 0;
  #timer = 0;
  #round = 0; // an answer to an earlier one comes too late
  /** @type {AbortController | null} */
  #asking = null;

  /**
   * ask rejects with an Error whose message says why; report is told what onAnswer throws.
   * @param {{
   *   ask: (signal: AbortSignal) => Promise<T>,
   *   onAnswer: (answer: T) => void,
   *   onState: (state: PollState) => void,
   *   every?: number, longest?: number, now?: () => number,
   *   setTimer?: (run: () => void, ms: number) => any, clearTimer?: (timer: any) => void,
   *   report?: (fault: unknown) => void,
   * }} o
   */
  constructor(o) {
    this.#o = {
      every: 2000, longest: 30_000, now: () => Date.now(),
      setTimer: (run, ms) => setTimeout(run, ms), clearTimer: timer => clearTimeout(timer),
      report: fault => reportError(fault), ...o,
    };
  }

  /** Asks now, and goes on. */
  start() {
    this.#halt();
    if (this.state.is === "paused") this.#say({ is: "asking", why: "", nextAt: 0 });
    void this.#ask(this.#round);
  }

  /** Stops for a reason that nobody needs to be told of, as a hidden tab. */
  halt() { this.#halt(); }

  /** Stops because somebody asked for it. */
  pause() {
    this.#halt();
    this.#say({ is: "paused", why: "", nextAt: 0 });
  }

  #halt() {
    this.#round++;
    this.#o.clearTimer(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  async #ask(round) {
    const began = this.#o.now();
    this.#asking = new AbortController();
    let answer, wait;
    try {
      answer = await this.#o.ask(this.#asking.signal);
      if (round !== this.#round) return;
      this.#failures = 0;
      wait = Math.max(0, this.#o.every - (this.#o.now() - began));
      this.#say({ is: "live", why: "", nextAt: 0 });
    } catch (err) {
      if (round !== this.#round) return;
      wait = Math.min(this.#o.longest, this.#o.every * 2 ** this.#failures++);
      this.#say({ is: "away", why: err instanceof Error ? err.message : String(err), nextAt: this.#o.now() + wait });
    }
    this.#timer = this.#o.setTimer(() => void this.#ask(round), wait);
    if (answer === undefined) return;
    try { this.#o.onAnswer(answer); } catch (err) { this.#o.report(err); } // a fault of ours is not silence of the server
  }

  #say(state) {
    this.state = state;
    this.#o.onState(state);
  }
}
