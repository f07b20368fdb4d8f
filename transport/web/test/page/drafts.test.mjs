import assert from "node:assert/strict";
import test from "node:test";

const stored = new Map();
globalThis.sessionStorage = new Proxy({
  getItem: key => stored.get(key) ?? null,
  removeItem: key => stored.delete(key),
  setItem(key, value) {
    if (value.length > 100) throw Object.assign(new Error("full"), { name: "QuotaExceededError" });
    stored.set(key, value);
  },
}, { ownKeys: () => [...stored.keys()], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) });

const { drafts, tabName } = await import("../../page/local.js");

test("what was typed last comes back, also where it did not fit", () => {
  drafts.set("a", "short");
  drafts.set("a", "long ".repeat(50));
  assert.equal(drafts.get("a"), "long ".repeat(50));
  assert.ok(![...stored.values()].includes("short"), "the older text is not what a reload finds");
});

test("what was typed in a conversation goes with it, and comes back with it", () => {
  const edited = drafts.edited({ conversation: "c", id: "t" });
  for (const name of ["", "c", edited, "other"]) drafts.set(name, `in ${name}`);
  const taken = drafts.take("c");
  assert.deepEqual([drafts.get("c"), drafts.get(edited), drafts.get("other"), drafts.get("")], ["", "", "in other", "in "]);
  drafts.put(taken);
  assert.deepEqual([drafts.get("c"), drafts.get(edited)], ["in c", `in ${edited}`]);
  drafts.set("big", "x".repeat(200)); // in memory alone
  drafts.take("");
  for (const name of ["c", edited, "other", "big"]) assert.equal(drafts.get(name), "");
  assert.equal(drafts.get(""), "in ", "what is typed for a new chat belongs to none of them");
  assert.equal([...stored.keys()].filter(key => key.startsWith("troupe.draft.")).length, 1);
});

test("a tab keeps its name over a reload, and one that is duplicated gets its own", () => {
  const page = new EventTarget();
  const on = page.addEventListener.bind(page);
  const name = tabName(() => "one", on);
  assert.equal(name, "one");
  assert.equal(tabName(() => "two", on), "two", "a copy of what is stored while it lives knows no name");
  page.dispatchEvent(new Event("pageshow"));
  assert.equal(stored.has("troupe.tab"), false);

  const reloaded = new EventTarget();
  tabName(() => "three", reloaded.addEventListener.bind(reloaded));
  reloaded.dispatchEvent(new Event("pagehide"));
  assert.equal(tabName(() => "four", on), "three");
});
