import assert from "node:assert/strict";
import { test } from "node:test";
import { Memory, messagesOf } from "../../product/memory.js";

function storage(entries = {}) {
  const kept = new Map(Object.entries(entries));
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => { kept.set(key, value); }, kept };
}

const memoryOf = (value) => new Memory(() => storage({ k: typeof value === "string" ? value : JSON.stringify(value) }), "k");

const saved = { id: "a", runId: "r", seq: 3, text: "so fa", content: "why?" };

test("what is saved is there again on the next page", () => {
  const tab = storage();
  const first = new Memory(() => tab, "k");
  assert.deepEqual([first.open, first.draft, first.turns], [undefined, "", []]);
  Object.assign(first, { open: true, draft: "and", turns: [
    { question: "one", text: "1", end: "complete", cut: true },
    { question: "two", text: "", end: "failed", error: { code: "OVERLOADED", message: "Full.", retryable: true, retryAt: 5 } },
    { question: "why?", text: "so fa", end: "", saved },
  ] });
  first.save();
  const next = new Memory(() => tab, "k");
  assert.deepEqual({ ...next }, { ...first });
  assert.deepEqual(next.running, first.turns[2]);
  assert.deepEqual(new Memory(() => tab, "other").turns, []);
});

test("a blocked or full storage costs nothing but the memory", () => {
  const blocked = new Memory(() => { throw new DOMException("denied", "SecurityError"); }, "k");
  blocked.turns.push({ question: "q", text: "a", end: "complete" });
  blocked.save();
  assert.equal(blocked.turns.length, 1);
  const full = new Memory(() => ({ getItem: () => null, setItem() { throw new DOMException("full", "QuotaExceededError"); } }), "k");
  full.save();
});

test("nothing in the page's storage is taken on trust", () => {
  for (const odd of ["", "{", "null", "[]", "1", '"x"', '{"turns":{"length":3}}', '{"turns":[null,1,"x",{}],"open":"yes","draft":7}', '{"turns":[{"question":{},"text":"a","end":"complete"}]}']) {
    const { open, draft, turns } = memoryOf(odd);
    assert.deepEqual({ open, draft, turns }, { open: undefined, draft: "", turns: [] }, odd);
  }
  const { turns } = memoryOf({ turns: [{ question: "q", text: "a", end: "complete", cut: "yes", saved, html: "<b>" }, { question: "q", text: "", end: "failed", error: { code: 1 } }, { question: "q", text: "a", end: "over" }] });
  assert.deepEqual(turns[0], { question: "q", text: "a", end: "complete" });
  for (const turn of turns.slice(1)) assert.deepEqual([turn.end, turn.error.retryable], ["failed", true], "a failed turn has an error to show in any case");
});

test("only the last turn can still run, and only where it can be followed", () => {
  const running = { question: "why?", text: "so", end: "" };
  const early = memoryOf({ turns: [{ ...running, saved }, { ...running, saved }] });
  assert.deepEqual(early.turns.map((t) => t.end), ["failed", ""]);
  for (const broken of [undefined, { ...saved, id: "" }, { ...saved, seq: "3" }, { ...saved, text: undefined }]) {
    const memory = memoryOf({ turns: [{ ...running, saved: broken }] });
    assert.equal(memory.running, undefined);
    assert.equal(memory.turns[0].end, "failed");
    assert.equal(memory.turns[0].text, "so", "what had come is kept");
  }
});

test("what is kept is bounded, oldest out", () => {
  const tab = storage();
  const memory = new Memory(() => tab, "k");
  memory.turns = Array.from({ length: 60 }, (_, i) => ({ question: `q${i}`, text: "a", end: "complete" }));
  memory.save();
  assert.deepEqual(new Memory(() => tab, "k").turns.map((t) => t.question), memory.turns.slice(10).map((t) => t.question));
  memory.turns = Array.from({ length: 9 }, (_, i) => ({ question: `q${i}`, text: "x".repeat(100_000), end: "complete" }));
  memory.save();
  assert.deepEqual(new Memory(() => tab, "k").turns.map((t) => t.question), ["q6", "q7", "q8"]);
  memory.turns = [{ question: "q", text: "x".repeat(600_000), end: "complete" }];
  memory.save();
  assert.equal(new Memory(() => tab, "k").turns.length, 1, "the newest is tried however long it is");
});

test("a further question brings along what was answered", () => {
  assert.deepEqual(messagesOf([
    { question: "one", text: "1", end: "complete" },
    { question: "two", text: "2, par", end: "failed" },
    { question: "three", text: "3 stopp", end: "cancelled" },
    { question: "four", text: "", end: "cancelled" },
    { question: "five", text: "5", end: "" },
  ]), [
    { role: "user", content: "one" }, { role: "assistant", content: "1" },
    { role: "user", content: "three" }, { role: "assistant", content: "3 stopp" },
  ]);
});

test("saving costs one writing of what is kept, however much there is", () => {
  const tab = storage();
  const memory = new Memory(() => tab, "k");
  memory.turns = Array.from({ length: 50 }, () => ({ question: "q", text: "word ".repeat(20_000), end: "complete" }));
  let written = 0;
  for (const turn of memory.turns) turn.toJSON = function () { return written++, { ...this, toJSON: undefined }; };
  memory.save();
  assert.equal(written, 3, "turns made into JSON");
  assert.equal(new Memory(() => tab, "k").turns.length, 3);
});

test("a running answer counts twice: its text is with what follows it too", () => {
  const tab = storage();
  const memory = new Memory(() => tab, "k");
  const long = "x".repeat(150_000);
  memory.turns = [{ question: "q", text: long, end: "complete" }, { question: "why?", text: long, end: "", saved: { ...saved, text: long } }];
  memory.save();
  assert.deepEqual(new Memory(() => tab, "k").turns.map((t) => t.question), ["why?"]);
});
