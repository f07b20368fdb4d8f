// What is kept where: session and client key in the storage, keys of users nowhere.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import test from "node:test";
import { Troupe, TroupeError } from "../../client/troupe.js";
import { fakeClient, settle } from "./fakes.mjs";
import { client, failure, next, server, Storage } from "./support.mjs";

const key = "sk-canary-4711";

test("a user's key goes to the server with its question, and nowhere else", async (t) => {
  const troupe = await server({ providers: { echo: { type: "echo", user_keys: "allow" } } });
  const storage = new Storage();
  const logged = [];
  for (const name of ["log", "info", "warn", "error", "debug"]) t.mock.method(console, name, (...args) => logged.push(args));
  const chat = client(t, troupe, { storage, apiKeys: { openai: key } });
  const seen = [];
  const answers = [
    chat.chat("one", { model: "echo-5ms" }),
    chat.chat("two", { apiKeys: { echo: key } }),
    chat.chat("three", { provider: "nobody", apiKeys: { nobody: key } }),
    client(t, troupe, { storage, transport: "http" }).chat("four", { provider: "nobody", apiKeys: { nobody: key } }),
  ];
  for (const answer of answers) {
    seen.push(JSON.stringify(answer.saved()), inspect(answer, { depth: 9, showHidden: true }), JSON.stringify(answer.state));
    answer.on("end", (end) => seen.push(inspect(end, { depth: 9, showHidden: true }), end instanceof Error ? end.stack : ""));
    await answer.result.catch(() => {});
    seen.push(JSON.stringify(answer.saved()), inspect(answer, { depth: 9 }));
  }
  seen.push(inspect(chat, { depth: 9, showHidden: true }), JSON.stringify([...storage.entries]), troupe.log, inspect(logged));
  assert.deepEqual(seen.filter((text) => text.includes(key)), []);
  assert.deepEqual(logged, []);
  assert.deepEqual([...storage.entries.keys()].sort(), ["troupe.client_key", "troupe.session"]);
});

test("session and client key are made once, and made anew where they are damaged", (t) => {
  const storage = new Storage();
  const first = fakeClient(t, { storage, session: undefined }).troupe;
  const second = fakeClient(t, { storage, session: undefined }).troupe;
  assert.equal(first.session, second.session);
  assert.match(first.session, /^[A-Za-z0-9][\w-]{16,127}$/);
  assert.match(storage.getItem("troupe.client_key"), /^[\w-]{22,}$/);
  storage.setItem("troupe.session", "not a label");
  storage.setItem("troupe.client_key", "short");
  const third = fakeClient(t, { storage, session: undefined }).troupe;
  assert.notEqual(third.session, "not a label");
  assert.notEqual(storage.getItem("troupe.client_key"), "short");
  assert.notEqual(third.session, first.session);
});

test("a storage that throws is done without", async (t) => {
  const closed = () => {
    throw new Error("SecurityError");
  };
  const { troupe, last } = fakeClient(t, { storage: { getItem: closed, setItem: closed }, session: undefined });
  last().admit();
  troupe.chat("hello");
  await settle();
  assert.match(last().of("chat")[0].client_key, /^[\w-]{22,}$/);
});

test("options that cannot work are told at once", () => {
  for (const options of [{}, { url: "ftp://x" }, { url: "nonsense" }, { url: "http://x", transport: "pigeon" }, { url: "http://x", clientKey: "short", connect: false }]) {
    assert.throws(() => new Troupe({ storage: null, ...options }).close(), { name: "TroupeError", code: "INVALID_OPTION", advice: "fix" });
  }
});

test("addresses in any spelling, and labels that need escaping", (t) => {
  for (const [url, socket] of [
    ["https://chat.example", "wss://chat.example/ws/chat/s"],
    ["ws://chat.example:8000/", "ws://chat.example:8000/ws/chat/s"],
    ["http://chat.example/base//", "ws://chat.example/base/ws/chat/s"],
  ]) {
    assert.equal(fakeClient(t, { url }).last().url, socket);
  }
  assert.equal(fakeClient(t, { session: "a/b?c", product: "1 2" }).last().url, "ws://chat.test/ws/chat/customer/1%202/a%2Fb%3Fc");
});

test("an id that the server would not take is not sent", async (t) => {
  const { troupe, last } = fakeClient(t);
  last().admit();
  for (const id of ["", "x".repeat(65), 5]) assert.equal((await failure(troupe.chat("hi", { id }))).code, "INVALID_OPTION");
  assert.equal(last().of("chat").length, 0);
});

test("a failed answer that nobody looks at is no unhandled rejection", async (t) => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  const { troupe, last } = fakeClient(t);
  last().admit();
  const answer = troupe.chat("hi", { id: "q" });
  await settle();
  void answer.stop();
  const ended = next(answer, "end");
  last().say({ type: "error", id: "q", code: "INTERNAL", message: "No." });
  const [end] = await ended;
  assert.ok(end instanceof TroupeError);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("two first tabs that open at once agree on one session", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const values = new Map();
  const storage = { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => void values.set(key, value) };
  const blind = { getItem: () => null, setItem: storage.setItem }; // neither sees yet what the other has stored
  const opened = [];
  class Socket {
    constructor(url) {
      opened.push(url);
    }
    close() {}
  }
  let seen = blind;
  globalThis.document = new EventTarget();
  Object.defineProperty(globalThis, "localStorage", { configurable: true, get: () => ({ getItem: (key) => seen.getItem(key), setItem: (key, value) => seen.setItem(key, value) }) });
  t.after(() => {
    delete globalThis.document;
    delete globalThis.localStorage;
  });
  const tabs = [1, 2].map(() => new Troupe({ url: "http://troupe.test", WebSocket: Socket, fetch: async () => new Response() }));
  const answers = tabs.map((tab) => tab.chat("early"));
  assert.notEqual(tabs[0].session, tabs[1].session);
  assert.equal(opened.length, 0);
  seen = storage;
  t.mock.timers.tick(100);
  assert.equal(tabs[0].session, tabs[1].session);
  assert.equal(tabs[0].session, values.get("troupe.session"));
  assert.deepEqual(opened, Array(2).fill(`ws://troupe.test/ws/chat/${tabs[0].session}`));
  for (const tab of tabs) tab.close();
  for (const answer of answers) await answer.result.catch(() => {});
});
