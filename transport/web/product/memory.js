/**
 * A turn is { question, text, end } and, where it has them: cut (the answer reached its longest length), error, saved (by which a
 * running answer is followed again). end is "" while it runs, then "complete", "cancelled" or "failed".
 */
const MOST_TURNS = 50;
const MOST_TEXT = 400_000; // characters of their texts; a browser gives an origin about five million
const LOST = { code: "CLOSED", message: "The page was left before this answer was complete.", retryable: true, retryAt: 0 };

/** The short conversation of one tab. A storage that is blocked or full costs what the next page would remember, no more. */
export class Memory {
  #storage;
  #key;
  open; // undefined: the visitor neither opened nor closed it
  draft = "";
  turns = [];

  /** @param {() => Storage} storage asked each time: even naming it may throw */
  constructor(storage, key) {
    this.#storage = storage;
    this.#key = key;
    try {
      this.#take(JSON.parse(storage().getItem(key)));
    } catch { /* blocked, or nothing of ours */ }
  }

  /** The turn that ran when the page was left. */
  get running() {
    return this.turns.at(-1)?.end === "" ? this.turns.at(-1) : undefined;
  }

  save() {
    const { open, draft } = this;
    const turns = this.turns.slice(newest(this.turns));
    try {
      this.#storage().setItem(this.#key, JSON.stringify({ open, draft, turns }));
    } catch { /* blocked or full */ }
  }

  /** The page's own scripts share this storage: nothing in it is taken on trust. */
  #take(kept) {
    if (typeof kept.open === "boolean") this.open = kept.open;
    if (typeof kept.draft === "string") this.draft = kept.draft;
    this.turns = kept.turns.filter((turn) => texts(turn, "question", "text", "end")).map(turnOf);
    for (const turn of this.turns) {
      // One is asked at a time, so only the last can still run.
      if (turn.end === "failed" || (turn.end === "" && (turn !== this.turns.at(-1) || !turn.saved))) {
        Object.assign(turn, { end: "failed", error: turn.error ?? LOST });
      }
    }
  }
}

/** Where the turns that are kept begin: the last ones in bounds, and the last one in any case. */
function newest(turns) {
  let from = turns.length;
  for (let room = MOST_TEXT; from > 0 && turns.length - from < MOST_TURNS; from--) {
    room -= lengthOf(turns[from - 1]);
    if (room < 0 && from < turns.length) break;
  }
  return from;
}

const lengthOf = ({ question, text, saved }) => question.length + text.length + (saved ? saved.text.length + saved.content.length : 0);

const texts = (object, ...names) => names.every((name) => typeof object?.[name] === "string");

function turnOf({ question, text, end, cut, error, saved }) {
  const turn = { question, text, end: ["", "complete", "cancelled"].includes(end) ? end : "failed" };
  if (cut === true) turn.cut = true;
  if (texts(error, "code", "message")) turn.error = { code: error.code, message: error.message, retryable: error.retryable === true, retryAt: Number(error.retryAt) || 0 };
  if (turn.end === "" && texts(saved, "id", "runId", "text", "content") && saved.id && Number.isSafeInteger(saved.seq)) turn.saved = saved;
  return turn;
}

/** What a further question brings along: turns that ended with a text. One that failed is left out, question and all. */
export function messagesOf(turns) {
  return turns.filter(({ text, end }) => text && (end === "complete" || end === "cancelled"))
    .flatMap(({ question, text }) => [{ role: "user", content: question }, { role: "assistant", content: text }]);
}
