/**
 * Troupe's client: streaming LLM chat over a WebSocket, over server-sent events
 * where no WebSocket gets through, over plain JSON where no stream does.
 * What each public part means is written in troupe.d.ts.
 */
export const version = "1.0.0";

// Milliseconds.
const BACKOFF_BASE = 500;
const BACKOFF_CAP = 30_000;
const OPEN_PATIENCE = 10_000; // for a handshake or a short request
const ADMITTED_AFTER = 2_000; // alive without a word
const QUIET = 20_000; // then a ping
const PONG_PATIENCE = 10_000;
const HTTP_FIRST = 30_000; // until the socket is tried again, doubling
const HTTP_LAST = 300_000;
const FIRST_BYTE = 20_000; // of a stream
const STREAM_QUIET = 30_000; // twice the server's comments
const PLAIN_PATIENCE = 120_000; // for an answer in one object
const ACCEPT_PATIENCE = 2_000; // for the run that is to be stopped
const STEADY = 5_000; // of a socket

const AGREE = 100; // milliseconds for two first tabs to know one another's words
const TRIES = 5; // without progress
const MUTE = 3; // sockets in a row that open and end without a word
const RUNS = 8; // of one answer: the protocol moves it once

// --- errors

const words = (text) => new Set(text.split(/\s+/));

const RETRYABLE = words(`CONNECTION_LIMIT_EXCEEDED CONNECTION_RATE_EXCEEDED SESSION_LIMIT_EXCEEDED RATE_LIMIT_EXCEEDED
  RUN_IN_PROGRESS NO_WORKERS OVERLOADED BUS_UNAVAILABLE PROVIDER_RATE_LIMITED PROVIDER_UNAVAILABLE PROVIDER_TIMEOUT
  PROVIDER_INTERRUPTED WORKER_LOST INTERNAL SLOW_CONSUMER IDLE_TIMEOUT SHUTTING_DOWN
  NOT_REACHABLE WEBSOCKET_BLOCKED CONNECTION_LOST`);
const WAIT = words("RUN_IN_PROGRESS NO_WORKERS BUS_UNAVAILABLE NOT_REACHABLE WEBSOCKET_BLOCKED");
const FIX = /^(INVALID|UNKNOWN|UNSUPPORTED)_|^(ORIGIN_NOT_ALLOWED|PRODUCT_NOT_FOUND|MESSAGE_TOO_BIG|PROVIDER_UNAUTHORIZED|PROVIDER_REJECTED)$/;

/** The door is closed for good. */
const REFUSED = words("ORIGIN_NOT_ALLOWED UNAUTHORIZED FORBIDDEN INVALID_SESSION INVALID_PRODUCT PRODUCT_NOT_FOUND");
/** The door is closed for a while. */
const LATER = words("CONNECTION_LIMIT_EXCEEDED CONNECTION_RATE_EXCEEDED SESSION_LIMIT_EXCEEDED SHUTTING_DOWN");
/** Without the name of a turn: a question is to blame. */
const BLAMES_FRAME = words("INVALID_MESSAGE UNSUPPORTED_TYPE");

export class TroupeError extends Error {
  constructor(code, message, more = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    const { retryable = RETRYABLE.has(code), retryAfter = 0, partial = "", config = "", env = "", origin = "", status = 0 } = more;
    const { retryAt = retryAfter > 0 ? Date.now() + retryAfter * 1000 : 0 } = more;
    const advice = FIX.test(code) ? "fix" : WAIT.has(code) ? "wait" : retryable ? "retry" : "tell";
    Object.assign(this, { code, retryable, retryAfter, retryAt, partial, advice, config, env, origin, status });
  }

  get name() { return "TroupeError"; }
}

function errorOf(frame, { status, headers } = {}) {
  const { code = "INTERNAL", message = code, retryable, config, env, origin } = frame;
  const wait = frame.retry_after ?? Number(headers?.get("Retry-After"));
  const retryAfter = isCount(wait) ? wait : 0;
  return new TroupeError(code, message, { retryable, retryAfter, config, env, origin, status });
}

const isHealth = (body) => typeof body?.status === "string";
const isError = (body) => body?.type === "error" && body.code !== undefined;

const invalid = (message) => new TroupeError("INVALID_OPTION", message);
const closed = () => new TroupeError("CLOSED", "The client was closed.");
const goingAway = (retryAfter) => new TroupeError("SHUTTING_DOWN", "The server is going away.", { retryAfter });
const tooBig = () => new TroupeError("MESSAGE_TOO_BIG", "The question is larger than the server takes. Shorten it.");

function notReachable(status, cause) {
  const how = status ? `something else answers there (HTTP ${status})` : "nothing answers";
  return new TroupeError("NOT_REACHABLE", `The server cannot be reached: ${how}.`, { status, cause });
}

function blocked(status, opens) {
  const how = opens ? "The WebSocket opens and is cut at once" : "The WebSocket does not open";
  const plain = status ? `a plain request got HTTP ${status}` : "a plain request got no answer";
  return new TroupeError("WEBSOCKET_BLOCKED", `${how}, though the server answers (${plain}). Usually a proxy in between is the cause.`, { status });
}

// --- helpers

const LABEL = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;
const CLIENT_KEY = /^\S{22,}$/;

function random(length) {
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => (byte & 31).toString(32)).join("");
}

/** Keeps a Node process alive only where it is awaited. */
function later(run, ms, awaited = false) {
  const timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1));
  if (!awaited) timer.unref?.();
  return timer;
}

/** Exponential, with full jitter. */
const backoff = (attempt) => Math.random() * Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** (attempt - 1));

const encoder = new TextEncoder();
const bytes = (value) => encoder.encode(JSON.stringify(value)).length;

/** null where it throws. */
function attempt(run) {
  try {
    return run();
  } catch {
    return null;
  }
}

const TEXTS = words("code message config env origin run_id content full_response partial finish_reason provider model");
const COUNTS = words("seq from position after_ms retry_after attempts");
const isCount = (value) => Number.isInteger(value) && value >= 0 && value <= 1e9; // as seconds still a date

/** Takes away what is not as the protocol says. */
function shaped(frame) {
  for (const name of TEXTS) if (typeof frame[name] !== "string") delete frame[name];
  for (const name of COUNTS) if (!isCount(frame[name])) delete frame[name];
  if (!/^[!-~]{1,256}$/.test(frame.run_id)) delete frame.run_id; // a header could not hold it
  if (!isCount(frame.usage?.input_tokens) || !isCount(frame.usage.output_tokens)) delete frame.usage;
  return frame;
}

const parse = (text) => attempt(() => shaped(JSON.parse(text)));

const browserStorage = () => attempt(() => (typeof document === "object" ? globalThis.localStorage : null));

/** The storage may be closed to us. */
function kept(storage, key, valid, make) {
  const found = attempt(() => storage?.getItem(key));
  if (typeof found === "string" && valid.test(found)) return found;
  const made = make();
  attempt(() => storage?.setItem(key, made));
  return made;
}

class Events {
  #listeners = new Map();
  #untold = [];

  on(name, listener) {
    const list = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, list.add(listener));
    return () => void list.delete(listener);
  }

  /** What a listener sets off is told after what it was told. */
  emit(...event) {
    if (this.#untold.push(event) > 1) return;
    for (; this.#untold.length > 0; this.#untold.shift()) this.#tell(...this.#untold[0]);
  }

  #tell(name, ...args) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // for the platform, not for us
        });
      }
    }
  }
}

/** The data of the events in a text/event-stream. */
class EventStream {
  #decoder = new TextDecoder(); // takes a byte order mark away
  #line = "";
  #data = [];
  #afterReturn = false;

  push(chunk) {
    let text = this.#decoder.decode(chunk, { stream: true });
    if (!text) return [];
    if (this.#afterReturn && text[0] === "\n") text = text.slice(1);
    this.#afterReturn = text ? text.endsWith("\r") : false;
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop();
    const events = [];
    for (const line of lines) {
      if (line.startsWith("data:")) this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      if (line === "" && this.#data.length > 0) events.push(this.#data.splice(0).join("\n"));
    }
    return events;
  }
}

// --- questions

export function trimMessages(messages, { maxMessages, maxBytes }) {
  const sizes = messages.map((message) => bytes(message) + 1);
  let room = maxBytes - 1; // brackets and commas
  let start = messages.length;
  for (let end = start; end > 0; end = start) {
    let begin = end - 1;
    while (begin > 0 && messages[begin].role !== "user") begin--;
    for (let i = begin; i < end; i++) room -= sizes[i];
    if (room < 0 || messages.length - begin > maxMessages) break;
    start = begin;
  }
  return messages.slice(start);
}

const FIELDS = words("provider model system temperature maxTokens reasoning apiKeys onDisconnect");

function pick(options) {
  const picked = {};
  for (const name of FIELDS) {
    if (options[name] != null) picked[name.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)] = options[name];
  }
  return picked;
}

// --- answers

const ENDS = words("complete cancelled failed");
const FRAME_STATES = words("queued waiting streaming");

class Answer {
  runId = "";
  seq = 0;
  text = "";
  reasoning = "";
  state = "unsent";
  position = undefined;
  via = undefined;
  result;

  // For the ways that carry it.
  way = null;
  tried = false; // it may have been asked already
  failures = 0; // since it last got on
  timer;

  #events = new Events();
  #runs = 0;
  #pieces = [];
  #readers = []; // iterators that wait for the next piece
  #question; // the chat frame, kept until it is accepted: it may hold keys
  #end;
  #settle;
  #ended; // tells the client

  constructor(id, content, question, ended) {
    this.id = id;
    this.content = content;
    this.#question = question;
    this.#ended = ended;
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.result.catch(() => {}); // who does not ask need not handle
  }

  on(event, listener) { return this.#events.on(event, listener); }

  async *[Symbol.asyncIterator]() {
    for (let next = 0; ; ) {
      while (next < this.#pieces.length) yield this.#pieces[next++];
      if (this.#end) break;
      await new Promise((resolve) => this.#readers.push(resolve));
    }
    if (this.#end instanceof TroupeError) throw this.#end;
  }

  stop() {
    if (!this.#end && this.state !== "stopping") {
      if (!this.tried) this.cancelled();
      else this.#become("stopping");
      this.way?.stop(this);
    }
    return this.result;
  }

  saved() {
    return { id: this.id, runId: this.runId, seq: this.seq, text: this.text, content: this.content };
  }

  get over() { return this.#end !== undefined; }

  get stopping() { return this.state === "stopping"; }

  restore(saved) {
    const { run_id, seq = 0, content = "" } = shaped({ run_id: saved.runId, seq: saved.seq, content: saved.text });
    if (!run_id) return;
    this.runId = run_id;
    this.seq = seq;
    this.text = content;
    if (content) this.#pieces.push(this.text);
  }

  /** The chat frame. As a repeat it asks for what an earlier one may have started. */
  question(repeat, client) {
    this.#question = client.fit(this.#question);
    return { ...this.#question, repeat };
  }

  /** Its frame holds earlier turns. */
  get carries() { return this.#question?.messages.length > 0; }

  taken(way, via) {
    clearTimeout(this.timer);
    this.way = way;
    this.via = via;
    this.tried = true;
    if (this.state === "unsent") this.#become("sent");
  }

  released() {
    this.way = null;
    if (!this.runId && !this.over) this.#become("unsent");
  }

  hear(frame) {
    if (this.#end) return;
    switch (frame.type) {
      case "accepted":
        return this.#accepted(frame.run_id);
      case "status":
        if (FRAME_STATES.has(frame.state)) this.#become(frame.state, frame.position);
        return;
      case "reasoning":
        return this.#thinks(frame.content);
      case "chunk": // what does not continue the text is old; a gap is filled at the end
        if ((frame.from ?? frame.seq) === this.seq + 1) this.#more(frame);
        return;
      case "snapshot":
        this.#accepted(frame.run_id);
        this.#more(frame);
        return;
      case "complete":
      case "cancelled":
        return this.#complete(frame);
      case "error":
        return this.fail(errorOf(frame), frame.partial);
    }
  }

  fail(error, partial) {
    if (this.#end) return;
    this.#whole(partial);
    const { code, message, cause } = error;
    this.#finish("failed", new TroupeError(code, message, { ...error, cause, partial: this.text }));
  }

  /** What breaks every way is not sent for ever. */
  giveUp() {
    if (this.stopping) this.cancelled();
    else this.fail(new TroupeError("CONNECTION_LOST", "The connection was lost each time the question was sent. Ask again."));
  }

  /** Where the server need not, or cannot, be asked. */
  cancelled() {
    this.#complete({ type: "cancelled" });
  }

  #accepted(runId) {
    const news = runId !== this.runId;
    if (!runId || (news && ++this.#runs > RUNS)) return;
    this.runId = runId;
    if (news) this.failures = 0;
    this.#question = null;
    if (this.state !== "streaming") this.#become(this.seq > 0 ? "streaming" : "waiting");
    if (news && !this.#end) this.#events.emit("accepted", runId, this);
  }

  #thinks(piece) {
    if (!piece) return;
    this.reasoning += piece;
    this.failures = 0;
    this.#events.emit("reasoning", piece, this);
  }

  #more({ seq, content }) {
    if (this.#end || !(seq > this.seq)) return;
    this.seq = seq;
    this.failures = 0;
    this.#become("streaming");
    this.#say(content);
  }

  #say(piece) {
    if (this.#end || !piece) return;
    this.text += piece;
    this.#pieces.push(piece);
    this.#wakeReaders();
    this.#events.emit("text", piece, this);
  }

  /** The server's whole text wins, though nothing is said twice. */
  #whole(text) {
    if (text === undefined) return;
    if (text.startsWith(this.text)) this.#say(text.slice(this.text.length));
    else this.text = text;
  }

  #complete(frame) {
    this.#whole(frame.full_response);
    if (frame.run_id) this.runId = frame.run_id;
    const { provider, model, attempts, usage, finish_reason: finishReason } = frame;
    const told = { finishReason, provider, model, attempts, usage, runId: this.runId || undefined };
    for (const name in told) if (told[name] === undefined) delete told[name];
    this.#finish(frame.type, { cancelled: frame.type === "cancelled", text: this.text, ...told });
  }

  #finish(state, end) {
    if (this.#end) return; // by a listener of the last piece
    this.#end = end;
    this.#question = null;
    clearTimeout(this.timer);
    const way = this.way;
    this.way = null;
    this.#ended(this);
    this.#become(state);
    this.#events.emit("end", end, this);
    if (state === "failed") this.#settle.reject(end);
    else this.#settle.resolve(end);
    this.#wakeReaders();
    way?.drop(this);
  }

  #become(state, position) {
    if ((this.stopping || this.#end) && !ENDS.has(state)) return; // until and after its end
    if (state === this.state && position === this.position) return;
    this.state = state;
    this.position = position;
    this.#events.emit("state", state, this);
  }

  #wakeReaders() {
    for (const wake of this.#readers.splice(0)) wake();
  }
}

// --- the socket way

class Socket {
  opened = false;
  heard = false;
  admitted = false; // questions may be sent
  reason = null; // the last error frame, where nothing followed it

  #client;
  #ws;
  #answers = new Map();
  #sought = new Set(); // to be stopped, asked elsewhere: one after the other, since a refused stop says not whose
  #asked = new Map(); // nothing heard of them; their bytes
  #proven = Infinity; // when it was worth its opening
  #spoke = 0;
  #pinged = false;
  #leaving = false;
  #gone = false;
  #clock;
  #admission;

  constructor(client, WebSocket, url) {
    this.#client = client;
    const ws = new WebSocket(url);
    this.#ws = ws;
    ws.onopen = () => this.#open();
    ws.onmessage = (event) => this.#message(parse(event.data));
    ws.onclose = (event) => this.#lost(event.code);
    ws.onerror = () => {
      if (!this.opened) this.#lost(1006);
    };
    this.#clock = later(() => this.#lost(1006), OPEN_PATIENCE, true);
  }

  take(answer) {
    this.#answers.set(answer.id, answer);
    const asked = answer.tried;
    answer.taken(this, "websocket");
    if (answer.over) return;
    const { id, runId, seq } = answer;
    if (runId) {
      this.#send({ type: "resume", run_id: runId, after: seq, id, client_key: this.#client.key });
    } else if (answer.stopping && asked) {
      this.#sought.add(answer);
      if (this.#sought.size === 1) this.#seek();
      return;
    } else {
      const question = answer.question(asked, this.#client);
      this.#asked.set(answer, bytes(question));
      this.#send(question);
    }
    if (answer.stopping) this.stop(answer);
  }

  stop(answer) {
    this.#send({ type: "cancel", id: answer.id });
  }

  drop(answer) {
    this.#answers.delete(answer.id);
    this.#asked.delete(answer);
    this.#found(answer);
    if (this.#leaving) this.leave();
  }

  /** The next one need not wait longer. */
  get proven() { return Date.now() >= this.#proven; }

  /** Another one takes new questions. */
  leave() {
    this.#leaving = true;
    if (this.#answers.size === 0) this.close();
  }

  probe() {
    if (this.#pinged || this.#gone || !this.opened) return;
    this.#pinged = true;
    this.#send({ type: "ping" });
    this.#watch(PONG_PATIENCE);
  }

  close() {
    if (this.#detach()) this.#ws.close(1000);
    this.#client.left(this);
  }

  #open() {
    this.opened = true;
    if (!this.#client.wary) this.#admission = later(() => this.#admit(), ADMITTED_AFTER, true);
    this.probe(); // its pong lets us in
  }

  #admit() {
    clearTimeout(this.#admission);
    if (this.admitted || this.#gone) return;
    this.admitted = true;
    this.#proven = Date.now() + STEADY;
    this.#client.admitted(this);
  }

  #message(frame) {
    if (!frame) return;
    this.#spoke = Date.now();
    this.#pinged = false;
    this.heard = true;
    const answer = this.#answers.get(frame.id);
    if (frame.type === "error" && frame.id == null) return this.#complaint(frame);
    this.reason = null;
    if (frame.type === "reconnect") return this.#client.leave(this, frame.after_ms);
    this.#admit();
    this.#asked.delete(answer);
    if (!answer) return;
    this.#found(answer);
    if (frame.type === "error" && LATER.has(frame.code) && !frame.run_id) return this.#moveOn(answer, frame);
    const { seq } = answer;
    answer.hear(frame);
    if (answer.over || answer.seq > seq) this.#proven = 0;
  }

  /** It names no turn. */
  #complaint(frame) {
    if (frame.for === "resume") return this.#noResume(frame);
    if (frame.for === "cancel") return this.#noCancel(frame);
    const error = errorOf(frame);
    this.reason = error;
    if (error.code === "MESSAGE_TOO_BIG") this.#lost(1009, error); // nothing is read any more
    else if (BLAMES_FRAME.has(error.code)) this.#blame(error);
    else this.#client.complain(error);
  }

  /** Which question it was is not said. */
  #blame(error) {
    const big = error.code === "MESSAGE_TOO_BIG";
    const asked = [...this.#asked]; // the last one, or the largest
    if (big) asked.sort((a, b) => a[1] - b[1]);
    const [answer, size] = asked.at(-1) ?? [];
    this.#asked.delete(answer);
    if (!answer) this.#client.complain(error);
    else if (big && this.#client.shorten(answer, size)) this.#proven = 0;
    else if (answer.stopping) answer.cancelled();
    else answer.fail(error);
  }

  #noResume(frame) {
    const answer = [...this.#answers.values()].find((a) => a.runId === frame.run_id);
    if (!answer) return;
    if (LATER.has(frame.code)) this.#moveOn(answer, frame);
    else if (frame.retryable) this.#again(answer, frame, () => this.take(answer));
    else answer.hear(frame);
  }

  #noCancel(frame) {
    const [sought] = this.#sought;
    if (!frame.retryable) return sought?.cancelled(); // nobody has it
    if (sought) this.#again(sought, frame, () => this.#seek());
    for (const answer of this.#answers.values()) {
      if (answer.stopping && !this.#sought.has(answer)) this.#again(answer, frame, () => this.stop(answer));
    }
  }

  #seek() {
    const [answer] = this.#sought;
    if (answer) this.#send({ type: "cancel", id: answer.id, client_key: this.#client.key });
  }

  /** Or given up: the next one's turn. */
  #found(answer) {
    const [first] = this.#sought;
    if (this.#sought.delete(answer) && answer === first) this.#seek();
  }

  #again(answer, frame, run) {
    clearTimeout(answer.timer);
    answer.timer = later(() => answer.way === this && run(), (errorOf(frame).retryAfter || 1) * 1000);
  }

  /** This server takes it no more, the next one may. */
  #moveOn(answer, frame) {
    this.#answers.delete(answer.id);
    answer.released();
    this.#client.leave(this, (errorOf(frame).retryAfter || 1) * 1000);
    this.#client.place(answer);
  }

  #send(frame) {
    attempt(() => this.#ws.send(JSON.stringify(frame))); // it may be closing
  }

  #watch(ms) {
    clearTimeout(this.#clock);
    this.#clock = later(() => this.#check(), ms);
  }

  #check() {
    const quiet = Date.now() - this.#spoke;
    if (this.#pinged) this.#lost(1006);
    else if (quiet >= QUIET || quiet < 0) this.probe(); // below 0: the clock was set back
    else this.#watch(QUIET - quiet);
  }

  #lost(code, why = tooBig()) {
    if (!this.#detach()) return;
    if (this.#ws.terminate) this.#ws.terminate();
    else this.#ws.close();
    if (code === 1009) this.#blame(why);
    for (const answer of this.#answers.values()) {
      if (this.#asked.has(answer) && ++answer.failures > TRIES) answer.giveUp();
      else answer.released();
    }
    this.#answers.clear();
    this.#client.lost(this);
  }

  #detach() {
    if (this.#gone) return false;
    this.#gone = true;
    clearTimeout(this.#clock);
    clearTimeout(this.#admission);
    const ws = this.#ws;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.onerror = () => {}; // ws throws what nobody hears
    return true;
  }
}

// --- the HTTP way

class Call {
  heard = false;
  silent = false;
  #abort = new AbortController();
  #timer;

  get signal() { return this.#abort.signal; }

  within(ms) {
    clearTimeout(this.#timer);
    this.#timer = later(() => {
      this.silent = true;
      this.end();
    }, ms);
  }

  end() {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }
}

class Http {
  plain = false; // no stream gets through
  #client;
  #calls = new Map();

  constructor(client) { this.#client = client; }

  take(answer) {
    if (answer.stopping && !answer.runId) return answer.cancelled();
    const call = new Call();
    this.#calls.set(answer, call);
    void this.#carry(answer, call);
    if (answer.stopping) this.stop(answer);
  }

  stop(answer) {
    if (answer.runId) return void this.#cancel(answer, TRIES);
    clearTimeout(answer.timer);
    answer.timer = later(() => answer.runId || answer.cancelled(), ACCEPT_PATIENCE, true);
  }

  drop(answer) {
    this.#calls.get(answer)?.end();
    this.#calls.delete(answer);
  }

  /** One try; without an end it is placed again. */
  async #carry(answer, call) {
    const plain = this.plain;
    const again = {}; // when, and what went wrong
    try {
      await this.#exchange(answer, call, plain, again);
    } catch (cause) {
      again.cause = cause;
    }
    call.end();
    if (answer.over || this.#calls.get(answer) !== call) return;
    this.#calls.delete(answer);
    if (!plain && call.silent && !call.heard) {
      this.plain = true;
      again.wait = 0;
    }
    answer.released();
    if (again.wait === undefined && ++answer.failures > TRIES) {
      return answer.fail(new TroupeError("CONNECTION_LOST", "The connection was lost. Ask again.", again));
    }
    if (again.wait === undefined && again.cause) this.#client.troubled();
    answer.timer = later(() => this.#client.place(answer), again.wait ?? backoff(answer.failures), true);
  }

  async #exchange(answer, call, plain, again) {
    const asked = answer.tried;
    answer.taken(this, plain ? "json" : "sse");
    call.within(plain ? PLAIN_PATIENCE : FIRST_BYTE);
    const { id, runId, seq } = answer;
    const headers = { Accept: plain ? "application/json" : "text/event-stream" };
    if (runId) headers["Last-Event-ID"] = `${runId}:${seq}`;
    const body = runId ? { id, client_key: this.#client.key } : answer.question(asked, this.#client);
    const response = await this.#client.request("/api/chat", { body, headers, signal: call.signal });
    again.status = response.status;
    if (response.ok && /^text\/event-stream/i.test(response.headers.get("Content-Type") ?? "")) {
      await this.#listen(answer, call, response.body.getReader(), again);
      return;
    }
    const frame = parse(await response.text());
    const ends = frame?.type === "complete" || frame?.type === "cancelled";
    if (response.status === 413 && this.#client.shorten(answer, bytes(body))) again.wait = 0;
    else if (ends || isError(frame)) this.#hear(answer, frame, again, response);
    else if (response.status === 413) answer.fail(tooBig());
    else if (response.ok && !plain) {
      this.plain = true;
      again.wait = 0;
    }
  }

  async #listen(answer, call, reader, again) {
    const events = new EventStream();
    while (!answer.over && again.wait === undefined) {
      const { done, value } = await reader.read();
      if (done) return;
      call.heard = true;
      call.within(STREAM_QUIET);
      for (const data of events.push(value)) {
        const frame = parse(data);
        if (frame) this.#hear(answer, frame, again);
      }
    }
  }

  #hear(answer, frame, again, response) {
    if (!isError(frame)) {
      const known = answer.runId;
      answer.hear(frame);
      if (answer.stopping && answer.runId !== known) void this.#cancel(answer, TRIES);
      return;
    }
    const error = errorOf(frame, response);
    if (REFUSED.has(error.code)) {
      this.#client.refuse(error);
    } else if (LATER.has(error.code) && !frame.run_id) {
      again.wait = (error.retryAfter || 1) * 1000;
      this.#client.pause(error);
    } else if (error.code !== "SLOW_CONSUMER") {
      answer.fail(error, frame.partial);
    }
  }

  async #cancel(answer, tries) {
    const path = `/api/chat/${encodeURIComponent(answer.runId)}/cancel`;
    const seen = await this.#client.look(path, { client_key: this.#client.key });
    if (seen.body?.type === "cancelled") answer.hear(seen.body);
    if (answer.over || seen.status === 404 || tries < 2) return; // over: its stream says how
    answer.timer = later(() => void this.#cancel(answer, tries - 1), 1000, true);
  }
}

// --- the client

function baseOf(given) {
  const url = attempt(() => new URL(given ?? globalThis.location.origin));
  if (/^(http|ws)s?:$/.test(url?.protocol)) return `${url.protocol.replace("ws", "http")}//${url.host}${url.pathname.replace(/\/+$/, "")}`;
  throw invalid('url must be the address of the server, as in "https://chat.example.com".');
}

export class Troupe {
  session;
  url;
  product;

  #options;
  #defaults;
  #frameBytes; // that the server takes
  #key;
  #path;
  #WebSocket;
  #noSocket; // why there is none to be had, ever
  #fetch;
  #events = new Events();
  #state = { is: "idle" };
  #answers = new Set();
  #http;
  #socket = null; // for new questions
  #leaving = new Set(); // they bring to an end what they carry
  #agreeing = false;
  #examination = null;
  #wake; // the next attempt
  #attempt = 0; // in vain, in a row
  #mute = 0;
  #blocked = 0; // handshakes in a row, though the server answers
  #httpWait = 0;
  #unlisten = () => {};

  constructor(options = {}) {
    this.#options = { maxMessages: 256, maxFrameBytes: 200_000, ...options };
    this.#frameBytes = this.#options.maxFrameBytes;
    this.#defaults = { on_disconnect: "continue", ...pick(options) };
    this.url = baseOf(options.url);
    this.product = options.product ?? undefined;
    const storage = options.storage === undefined ? browserStorage() : options.storage;
    const first = options.storage === undefined && storage && !attempt(() => storage.getItem("troupe.session"));
    this.#identify(storage);
    this.#fetch = options.fetch ?? ((...args) => globalThis.fetch(...args));
    this.#http = new Http(this);
    this.#chooseTransport(options.transport ?? "auto");
    this.#listen();
    if (first) this.#agree(storage, options.connect !== false);
    else if (options.connect !== false) this.connect();
  }

  #identify(storage) {
    const { session, clientKey } = this.#options;
    this.session = session ?? kept(storage, "troupe.session", LABEL, () => `s${random(21)}`);
    this.#key = clientKey ?? kept(storage, "troupe.client_key", CLIENT_KEY, () => random(32));
    if (this.#key.length < 22) throw invalid("clientKey must have at least 22 characters.");
    const labels = this.product === undefined ? [this.session] : ["customer", this.product, this.session];
    this.#path = `/ws/chat/${labels.map(encodeURIComponent).join("/")}`;
  }

  /** Two first tabs may open at once: what was stored last is who they both are. */
  #agree(storage, connect) {
    this.#agreeing = true;
    later(() => {
      this.#agreeing = false;
      this.#identify(storage);
      if (connect || this.#answers.size > 0) this.connect();
    }, AGREE, true);
  }

  get state() { return this.#state; }

  get answers() { return [...this.#answers]; }

  on(event, listener) { return this.#events.on(event, listener); }

  chat(content, options = {}) { return this.#begin(String(content), options); }

  follow(saved, options = {}) {
    return this.#begin(saved.content, { ...options, id: saved.id, repeat: true }, saved);
  }

  async providers() {
    return (await this.#get("/api/providers", (body) => Array.isArray(body?.providers))).providers;
  }

  async health() { return this.#get("/api/health", isHealth); }

  connect() {
    if (this.#state.is === "closed" || this.#socket || this.#examination || this.#agreeing) return;
    this.#open();
  }

  close() {
    if (this.#state.is === "closed") return;
    this.#unlisten();
    this.#shut({ is: "closed" }, closed());
  }

  // For the ways.

  get key() { return this.#key; }

  /** With a body it is a POST. */
  request(path, { body, headers, ...init }) {
    const who = { session_id: this.session, product_id: this.product };
    if (body) {
      init.method = "POST";
      init.headers = { "Content-Type": "application/json", ...headers };
      init.body = JSON.stringify({ ...body, ...who });
    }
    return this.#fetch(this.url + path, { cache: "no-store", ...init });
  }

  /** A short request; status 0 where nobody answers. */
  async look(path, body, credentials = "same-origin") {
    const call = new Call();
    call.within(OPEN_PATIENCE);
    try {
      const response = await this.request(path, { body, credentials, signal: call.signal });
      return { status: response.status, headers: response.headers, body: parse(await response.text()) };
    } catch (cause) {
      return { status: 0, body: null, cause };
    } finally {
      call.end();
    }
  }

  /** To the open way; else it waits for one. */
  place(answer) {
    if (answer.over || answer.way) return;
    const { is, why } = this.#state;
    if (is === "closed") answer.fail(closed());
    else if (is === "refused") answer.fail(why);
    else if (this.#socket?.admitted) this.#socket.take(answer);
    else if (is === "http") this.#http.take(answer);
    else if (is === "idle") this.connect();
    else this.#wake?.ref?.();
  }

  /** Sockets ended without a word: only a word counts. */
  get wary() { return this.#mute > 0; }

  admitted(socket) {
    if (socket !== this.#socket) return;
    this.#blocked = this.#httpWait = 0;
    if (socket.heard) this.#mute = 0;
    this.#http.plain = false;
    this.#become({ is: "connected" });
    this.#placeAll();
  }

  /** What streams is heard to its end. */
  leave(socket, ms) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.#leaving.add(socket);
    socket.leave();
    if (socket.proven) this.#attempt = 0;
    const least = this.#attempt++ && backoff(this.#attempt); // another one just did
    this.#sleep(Math.max(least, ms ?? 0), goingAway());
  }

  left(socket) { this.#leaving.delete(socket); }

  lost(socket) {
    this.#leaving.delete(socket);
    if (socket === this.#socket) {
      this.#socket = null;
      this.#next(socket);
    }
    this.#placeAll();
  }

  complain(error) { this.#events.emit("error", error); }

  refuse(error) {
    if (this.#state.is !== "closed") this.#shut({ is: "refused", why: error }, error);
  }

  pause(error) {
    if (this.#state.is === "http" && !this.#socket && !this.#examination) this.#wait(error);
  }

  /** Without the earlier turns that make it too big. */
  fit(question) {
    const maxBytes = this.#frameBytes - bytes({ ...question, messages: [] }) + 2;
    return { ...question, messages: trimMessages(question.messages, { ...this.#options, maxBytes }) };
  }

  /** It was too big. False where nothing can be left out. */
  shorten(answer, size) {
    if (answer.carries) this.#frameBytes = Math.min(this.#frameBytes, size >> 1);
    return answer.carries;
  }

  /** A request failed: is there still a server? */
  troubled() {
    if (this.#state.is === "http" && !this.#noSocket) this.connect();
  }

  // Questions.

  #begin(content, options, saved) {
    const id = options.id ?? random(16);
    const running = this.answers.find((answer) => answer.id === id);
    if (running?.content === content) return running;
    const { frame, problem } = this.#frame(id, content, options);
    const answer = new Answer(id, content, frame, (ended) => {
      this.#answers.delete(ended);
      options.signal?.removeEventListener("abort", stop);
    });
    const stop = () => void answer.stop();
    if (saved) answer.restore(saved);
    answer.tried = options.repeat === true;
    queueMicrotask(() => {
      const refusal = running ? invalid("An answer of this id is running with another question.") : problem;
      if (refusal && !answer.runId) answer.fail(refusal);
      else if (options.signal?.aborted && !answer.over) void answer.stop();
      this.place(answer);
    });
    options.signal?.addEventListener("abort", stop);
    if (!running) this.#answers.add(answer);
    return answer;
  }

  #frame(id, content, options) {
    const messages = (options.messages ?? []).map(({ role, content }) => ({ role, content }));
    const alone = { type: "chat", id, content, messages: [], repeat: false, client_key: this.#key, ...this.#defaults, ...pick(options) };
    if (typeof id !== "string" || id === "" || [...id].length > 64) return { problem: invalid("id must have 1 to 64 characters.") };
    if (bytes(alone) > this.#options.maxFrameBytes) return { problem: tooBig() };
    return { frame: this.fit({ ...alone, messages }) };
  }

  #placeAll() {
    for (const answer of this.answers) this.place(answer);
  }

  // The connection.

  #chooseTransport(transport) {
    if (!["auto", "websocket", "http"].includes(transport)) throw invalid('transport must be "auto", "websocket" or "http".');
    this.#WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    if (transport !== "http" && this.#WebSocket) return;
    if (transport === "websocket") throw invalid("There is no WebSocket here: pass one as options.WebSocket.");
    const why = transport === "http" ? "This client was told to use HTTP." : "There is no WebSocket here, so answers come over HTTP.";
    this.#noSocket = new TroupeError("WEBSOCKET_BLOCKED", why, { retryable: false });
  }

  #listen() {
    const page = typeof document === "object" ? document : null;
    const nudge = () => this.#nudge();
    const seen = () => page.visibilityState === "visible" && this.#nudge();
    globalThis.addEventListener?.("online", nudge);
    page?.addEventListener("visibilitychange", seen);
    this.#unlisten = () => {
      globalThis.removeEventListener?.("online", nudge);
      page?.removeEventListener("visibilitychange", seen);
    };
  }

  /** A time that the server named is kept. */
  #nudge() {
    const { is, why } = this.#state;
    if (this.#socket) this.#socket.probe();
    else if ((is === "waiting" && !why.retryAfter) || (is === "http" && !this.#noSocket)) this.connect();
  }

  #open() {
    clearTimeout(this.#wake);
    if (this.#noSocket) {
      this.#become({ is: "http", until: Infinity, why: this.#noSocket });
      this.#placeAll();
      return;
    }
    this.#connecting();
    try {
      this.#socket = new Socket(this, this.#WebSocket, this.url.replace(/^http/, "ws") + this.#path);
    } catch {
      void this.#examine();
    }
  }

  #connecting() {
    const { is } = this.#state;
    if (is !== "http" && is !== "connecting") this.#become({ is: "connecting", attempt: this.#attempt + 1 });
  }

  #next({ opened, heard, reason, proven }) {
    if (proven) this.#attempt = 0;
    this.#mute = heard || !opened ? 0 : this.#mute + 1;
    if (reason && REFUSED.has(reason.code)) this.refuse(reason);
    else if (!opened || this.#mute >= MUTE) void this.#examine(opened);
    else if (reason?.code === "IDLE_TIMEOUT" && this.#answers.size === 0) this.#become({ is: "idle", why: reason });
    else this.#wait(reason ?? new TroupeError("CONNECTION_LOST", "The connection was lost."));
  }

  /** A page cannot see why a socket does not open. */
  async #examine(opens = false) {
    const mine = {};
    this.#examination = mine;
    this.#connecting();
    // A browser tells a page's own origin only with a POST.
    const body = globalThis.location?.origin === new URL(this.url).origin ? {} : undefined;
    const [plain, health] = await Promise.all([this.look(this.#path, body, "omit"), this.look("/api/health", undefined, "omit")]);
    if (this.#examination !== mine) return;
    this.#examination = null;
    const said = isError(plain.body) ? errorOf(plain.body, plain) : null;
    if (said && REFUSED.has(said.code)) return this.refuse(said);
    if (said && (plain.status === 429 || plain.status === 503)) return this.#wait(said);
    if (health.body?.status === "draining") return this.#wait(goingAway(1));
    if (!isHealth(health.body)) {
      this.#blocked = 0;
      return this.#wait(notReachable(plain.status || health.status));
    }
    // Once may be a server that was just starting.
    if (!opens && ++this.#blocked < 2) this.#wake = later(() => this.connect(), backoff(1), true);
    else this.#useHttp(blocked(plain.status, opens));
  }

  #useHttp(why) {
    if (this.#options.transport === "websocket") return this.#wait(why);
    this.#httpWait = Math.min(this.#httpWait * 2 || HTTP_FIRST, HTTP_LAST);
    this.#become({ is: "http", until: Date.now() + this.#httpWait, why });
    this.#wake = later(() => this.connect(), this.#httpWait);
    this.#placeAll();
  }

  #wait(why) {
    this.#attempt++;
    this.#sleep(why.retryAfter ? why.retryAfter * 1000 + Math.random() * BACKOFF_BASE : backoff(this.#attempt), why);
  }

  #sleep(ms, why) {
    clearTimeout(this.#wake);
    this.#wake = later(() => this.connect(), ms, this.#answers.size > 0);
    this.#become({ is: "waiting", until: Math.ceil(Date.now() + ms), attempt: this.#attempt, why });
  }

  #shut(state, error) {
    clearTimeout(this.#wake);
    this.#examination = null;
    const sockets = [...this.#leaving, ...(this.#socket ? [this.#socket] : [])];
    this.#socket = null;
    this.#become(state);
    for (const answer of this.answers) answer.fail(error);
    for (const socket of sockets) socket.close();
  }

  #become(state) {
    this.#state = state;
    this.#events.emit("state", state);
  }

  async #get(path, wanted) {
    const seen = await this.look(path);
    if (wanted(seen.body)) return seen.body;
    throw isError(seen.body) ? errorOf(seen.body, seen) : notReachable(seen.status, seen.cause);
  }
}
