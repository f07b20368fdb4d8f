/**
 * The browser and Node client of Troupe: streaming LLM chat over a WebSocket,
 * over server-sent events where no WebSocket gets through, over plain JSON
 * where no stream does.
 */

/** Where session id and client key are kept. `localStorage` fits. */
export interface KeyValue {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

export interface Message {
  role: "user" | "assistant" | "system";
  content: string;
}

/** What a question may say beside its text. Each can be a default of the client. */
export interface AskOptions {
  provider?: string;
  model?: string;
  /** The system prompt. */
  system?: string;
  temperature?: number;
  maxTokens?: number;
  /** Show what the model thinks aloud, as "reasoning" events. */
  reasoning?: boolean;
  /** Provider name to the user's own key. Sent with the question, kept nowhere. */
  apiKeys?: Record<string, string>;
  /** What a lost socket means to the answer. Default "continue". */
  onDisconnect?: "cancel" | "grace" | "continue";
}

export interface ClientOptions extends AskOptions {
  /** The server, as in "https://chat.example.com". Default: the page's own origin; needed in Node. */
  url?: string;
  /** The session, 1 to 128 letters, digits and "_.:-". Default: one per browser profile, kept in `storage`. */
  session?: string;
  /** Chat about this product, on the customer address. */
  product?: string;
  /** A secret of at least 22 characters by which another socket finds its runs. Default: one per browser profile, kept in `storage`. */
  clientKey?: string;
  /** Default: localStorage where it is there, else memory. null: memory. */
  storage?: KeyValue | null;
  /** "auto" (default): WebSocket, and HTTP while none gets through. "websocket" or "http": only that. */
  transport?: "auto" | "websocket" | "http";
  /** Connect now, or with the first question. Default true: now. */
  connect?: boolean;
  /** Bounds of what is sent along as `messages`: entries (256) and bytes of one whole frame (200,000; less once a server took less). */
  maxMessages?: number;
  maxFrameBytes?: number;
  /** The classes to use where the platform has none or others are wanted. */
  WebSocket?: unknown;
  fetch?: typeof fetch;
}

/** The truth about the connection. Times are milliseconds since 1970, as Date.now(). */
export type ConnectionState =
  /** Not connected and not trying: nothing was asked yet, or the server closed a socket that was not used. The next question connects. */
  | { is: "idle"; why?: TroupeError }
  | { is: "connecting"; attempt: number }
  | { is: "connected" }
  /** Tries again by itself at `until`. */
  | { is: "waiting"; until: number; attempt: number; why: TroupeError }
  /** No WebSocket gets through, `why` says how that shows; answers come over HTTP. The socket is tried again at `until`, Infinity where there is none to try. */
  | { is: "http"; until: number; why: TroupeError }
  /** Will not try again by itself: the page's origin is refused, the session or product is wrong. */
  | { is: "refused"; why: TroupeError }
  | { is: "closed" };

export type AnswerState =
  /** Not sent yet: there is no connection. */
  | "unsent"
  /** Sent; nothing heard. */
  | "sent"
  /** No worker or provider has room; `position` says how many are before where that is known. */
  | "queued"
  /** A worker has it; the vendor has said nothing. */
  | "waiting"
  | "streaming"
  /** A stop was sent and is not acknowledged. */
  | "stopping"
  | "complete"
  | "cancelled"
  | "failed";

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  estimated: boolean;
}

/** How an answer ended well, or was stopped. */
export interface Result {
  cancelled: boolean;
  text: string;
  finishReason?: string;
  provider?: string;
  model?: string;
  attempts?: number;
  usage?: Usage;
  runId?: string;
}

/** All that is needed to follow an answer again after a reload. Contains no key. */
export interface SavedAnswer {
  id: string;
  /** Empty until the server accepted the question. */
  runId: string;
  seq: number;
  text: string;
  content: string;
}

export interface AnswerEvents {
  /** A further piece of the answer. Pieces joined are `text`. */
  text: (piece: string, answer: Answer) => void;
  reasoning: (piece: string, answer: Answer) => void;
  /** `state` or `position` changed. */
  state: (state: AnswerState, answer: Answer) => void;
  /** The server accepted the question: `runId` is known, or changed because the turn moved. */
  accepted: (runId: string, answer: Answer) => void;
  /** Exactly once, as the last event. */
  end: (end: Result | TroupeError, answer: Answer) => void;
}

/** One question's answer. Iterating yields its pieces from the first one, also when begun late, and throws a TroupeError where it fails. */
export interface Answer extends AsyncIterable<string> {
  readonly id: string;
  readonly runId: string;
  readonly seq: number;
  readonly text: string;
  readonly reasoning: string;
  readonly state: AnswerState;
  readonly position: number | undefined;
  /** How the answer comes: "websocket", "sse" or "json"; undefined while it is unsent. */
  readonly via: "websocket" | "sse" | "json" | undefined;
  /** Resolves when it is complete or cancelled, rejects with a TroupeError when it failed. Never an unhandled rejection. */
  readonly result: Promise<Result>;
  on<K extends keyof AnswerEvents>(event: K, listener: AnswerEvents[K]): () => void;
  /** Asks the server to stop and waits for its word: resolves with how the answer ended, cancelled or complete before that. */
  stop(): Promise<Result>;
  saved(): SavedAnswer;
}

export interface ChatOptions extends AskOptions {
  /** The client's name for this turn, at most 64 characters. Default: made up. A repeat with the same id and content is harmless. */
  id?: string;
  /** This question may have been asked already under this id: follow its answer, else ask. */
  repeat?: boolean;
  /** Earlier turns, oldest first; trimmed oldest first to the bounds. Default []: none. */
  messages?: Message[];
  /** Stops the answer when aborted. */
  signal?: AbortSignal;
}

export interface Offer {
  name: string;
  type: string;
  state: "ready" | "needs_key" | "resting";
  default: boolean;
  default_model: string;
  models: string[];
  workers: number;
  active: number;
  capacity: number;
  retry_after?: number;
}

export type Code = string;

/** Every failure. `message` is fit to be shown to a user. */
export class TroupeError extends Error {
  constructor(code: Code, message: string, more?: Partial<Pick<TroupeError, "retryable" | "retryAfter" | "partial" | "config" | "env" | "origin" | "status" | "cause">>);
  /** A code of the protocol, or one of the client's own: NOT_REACHABLE, WEBSOCKET_BLOCKED, CONNECTION_LOST, CLOSED, INVALID_OPTION. */
  readonly code: Code;
  /** Asking again unchanged may work. */
  readonly retryable: boolean;
  /** Whole seconds after which it helps; 0 where the server did not say. */
  readonly retryAfter: number;
  /** Date.now() at which `retryAfter` is over; 0 without one. */
  readonly retryAt: number;
  /** What had arrived of the answer. */
  readonly partial: string;
  /** What to do about it: "retry" at once or at retryAt, "wait" until something changes, "fix" the question or the configuration, "tell" the user. */
  readonly advice: "retry" | "wait" | "fix" | "tell";
  /** Of ORIGIN_NOT_ALLOWED: the configuration line and the variable that would allow `origin`. */
  readonly config: string;
  readonly env: string;
  readonly origin: string;
  /** HTTP status, where there was one. */
  readonly status: number;
}

export interface ClientEvents {
  state: (state: ConnectionState) => void;
  /** An error frame that is about no answer. */
  error: (error: TroupeError) => void;
}

export class Troupe {
  constructor(options?: ClientOptions);
  readonly session: string;
  readonly url: string;
  readonly product: string | undefined;
  readonly state: ConnectionState;
  /** Answers that have not ended, oldest first. */
  readonly answers: readonly Answer[];
  on<K extends keyof ClientEvents>(event: K, listener: ClientEvents[K]): () => void;
  /** Asks. Never throws for what a server or a network does: that ends the answer. */
  chat(content: string, options?: ChatOptions): Answer;
  /** Follows an answer of an earlier page load, or of another tab. `saved.text` is kept, what was missed is fetched. Without a runId the question is found by its id and the client key, or asked again with `options`. */
  follow(saved: SavedAnswer, options?: ChatOptions): Answer;
  /** What can be asked now. */
  providers(): Promise<Offer[]>;
  health(): Promise<Record<string, unknown>>;
  /** Try now instead of at `state.until`. */
  connect(): void;
  /** Leaves. Answers that run are ended with CLOSED here; on the server they go on as their onDisconnect says. */
  close(): void;
}

/** Trims earlier turns, oldest first, to what one frame may hold. A turn's question and answer go together. */
export function trimMessages(messages: Message[], bounds: { maxMessages: number; maxBytes: number }): Message[];

export const version: string;
