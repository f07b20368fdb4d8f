// What the tests of the client share: clients that are closed in the end, and the
// state and events of a client as something to await.
import { after } from "node:test";
import WebSocket from "ws";
import { Troupe } from "../../client/troupe.js";
import { startProxy } from "../harness/proxy.mjs";
import { startTroupe } from "../harness/server.mjs";

/** A troupe that ends with the test file. */
export async function server(options) {
  const troupe = await startTroupe(options);
  after(() => troupe.stop());
  return troupe;
}

/** A proxy before it that ends with the test. */
export async function proxy(t, upstream) {
  const between = await startProxy(upstream);
  t.after(() => between.stop());
  return between;
}

/** A client that is closed with the test. Its states are collected in `states`. */
export function client(t, at, options = {}) {
  const troupe = new Troupe({ url: at.url, WebSocket, storage: null, ...options });
  troupe.states = [];
  troupe.on("state", (state) => troupe.states.push(state));
  t.after(() => troupe.close());
  return troupe;
}

/** Resolves when the client's state is `is`. */
export function reaches(troupe, is) {
  return new Promise((resolve) => {
    if (troupe.state.is === is) return resolve(troupe.state);
    const off = troupe.on("state", (state) => {
      if (state.is !== is) return;
      off();
      resolve(state);
    });
  });
}

/** Resolves with the arguments of the next event of an answer or a client. */
export function next(emitter, event, wanted = () => true) {
  return new Promise((resolve) => {
    const off = emitter.on(event, (...args) => {
      if (!wanted(...args)) return;
      off();
      resolve(args);
    });
  });
}

/** All pieces of an answer. */
export async function pieces(answer) {
  const all = [];
  for await (const piece of answer) all.push(piece);
  return all;
}

/** The TroupeError an answer fails with. */
export async function failure(answer) {
  try {
    const end = await answer.result;
    throw new Error(`it did not fail: ${JSON.stringify(end)}`);
  } catch (error) {
    if (error.name !== "TroupeError") throw error;
    return error;
  }
}

/** How many runs generate now: 0 once the vendor's connection is closed. */
export const running = async (troupe) => metric(troupe, "troupe_runs_active");

/** How many runs have ended as complete, cancelled or error, once there are that many. */
export async function ended(troupe, outcome, atLeast = 0) {
  for (;;) {
    const counted = await metric(troupe, "troupe_runs_total", `outcome="${outcome}"`);
    if (counted >= atLeast) return counted;
  }
}

/** How many frames were too big: a socket ends with one. */
export const tooBig = (troupe) => metric(troupe, "troupe_errors_total", 'code="MESSAGE_TOO_BIG"');

async function metric(troupe, family, label = "") {
  let sum = 0;
  for (const line of (await (await troupe.get("/metrics")).text()).split("\n")) {
    if (line.startsWith(family) && line.includes(label)) sum += Number(line.split(" ").at(-1));
  }
  return sum;
}

/** "word0 word1 …": the echo provider answers with the same. */
export const count = (n) => Array.from({ length: n }, (_, i) => `word${i}`).join(" ");

/** A storage as a page has it. */
export class Storage {
  entries = new Map();
  getItem = (key) => this.entries.get(key) ?? null;
  setItem = (key, value) => void this.entries.set(key, value);
}

/** A WebSocket that comes from this page. */
export function socketFrom(origin) {
  return class extends WebSocket {
    constructor(url) {
      super(url, { origin });
    }
  };
}

/** A fetch that comes from this page. */
export const fetchFrom = (origin) => (url, init = {}) => fetch(url, { ...init, headers: { ...init.headers, Origin: origin } });

/** Waits of the library above 4 s pass 20 times as fast, until the test ends. */
export function hurry(t) {
  const real = globalThis.setTimeout;
  t.mock.method(globalThis, "setTimeout", (run, ms, ...args) => real(run, ms > 4_000 ? ms / 20 : ms, ...args));
}
