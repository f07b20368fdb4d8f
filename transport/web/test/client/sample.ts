// Type-checked by package.test.mjs, never run: what the declarations promise must be
// usable as the README shows it.
import { Troupe, TroupeError, trimMessages, version } from "../../client/troupe.js";
import type { Answer, AnswerState, ClientOptions, ConnectionState, KeyValue, Message, Offer, Result, SavedAnswer } from "../../client/troupe.js";

const memory: KeyValue = { getItem: () => null, setItem: () => undefined };
const options: ClientOptions = { url: "https://chat.example.com", storage: memory, transport: "auto", connect: false, maxMessages: 10, fetch };

export async function use(messages: Message[]): Promise<Result> {
  const troupe = new Troupe(options);
  const off: () => void = troupe.on("state", (state) => describe(state));
  troupe.on("error", (error) => error.retryAt.toFixed());
  const answer: Answer = troupe.chat("Hello", { messages, apiKeys: { openai: "sk" }, signal: new AbortController().signal });
  answer.on("text", (piece, which) => piece.length + which.seq);
  answer.on("state", (state: AnswerState) => state === "queued" && answer.position?.toFixed());
  answer.on("end", (end) => (end instanceof TroupeError ? end.advice : end.usage?.output_tokens));
  for await (const piece of answer) piece.toUpperCase();
  const saved: SavedAnswer = answer.saved();
  const again = troupe.follow(saved, { onDisconnect: "grace" });
  const offers: Offer[] = await troupe.providers();
  if (offers.some((offer) => offer.state === "needs_key")) await again.stop();
  const trimmed: Message[] = trimMessages(messages, { maxMessages: 2, maxBytes: 1000 });
  off();
  troupe.close();
  return trimmed.length ? again.result : answer.result;
}

function describe(state: ConnectionState): string {
  switch (state.is) {
    case "waiting":
    case "http":
      return `${state.why.message} ${new Date(state.until).toISOString()}`;
    case "refused":
      return state.why.config;
    case "idle":
      return state.why?.code ?? version;
    case "connecting":
      return `${state.attempt}`;
    default:
      return state.is;
  }
}

export const failed = new TroupeError("CLOSED", "Closed.", { retryable: false, partial: "text", cause: new Error("why") });

// @ts-expect-error a state has only the fields of its kind
export const wrong = (state: ConnectionState) => state.until;
// @ts-expect-error the way is one of three
export const pigeon: ClientOptions = { transport: "pigeon" };
// @ts-expect-error events have names
export const silent = (answer: Answer) => answer.on("nothing", () => {});
