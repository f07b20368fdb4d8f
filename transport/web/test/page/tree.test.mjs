import assert from "node:assert/strict";
import test from "node:test";
import { children, messagesOf, pathTo, shownPath, versionsOf } from "../../page/tree.js";

const turn = (id, parent, created, more = {}) => ({ id, parent, created, question: `${id}?`, answer: `${id}!`, state: "complete", ...more });
const ids = turns => turns.map(one => one.id);

const conversation = [turn("b2", "a1", 4), turn("a1", "", 1), turn("b1", "a1", 2), turn("c1", "b1", 3), turn("a2", "", 5), turn("d1", "a2", 6)];

test("the path follows the newest version where nobody chose, and the chosen one where somebody did", () => {
  assert.deepEqual(ids(shownPath(conversation)), ["a2", "d1"]);
  assert.deepEqual(ids(shownPath(conversation, { "": "a1" })), ["a1", "b2"]);
  assert.deepEqual(ids(shownPath(conversation, { "": "a1", a1: "b1" })), ["a1", "b1", "c1"]);
  assert.deepEqual(ids(shownPath(conversation, { "": "gone" })), ["a2", "d1"], "a version that is gone is no choice");
  assert.deepEqual(shownPath([]), []);
});

test("damaged records end the path instead of leading in a circle", () => {
  assert.deepEqual(ids(shownPath([turn("a", "", 1), turn("b", "b", 2)])), ["a"]);
  assert.deepEqual(ids(shownPath([turn("a", "", 1), turn("", "a", 2)])), ["a", ""]);
  assert.deepEqual(ids(pathTo([turn("x", "y", 1), turn("y", "x", 2)], "x")), ["y", "x"]);
});

test("versions are counted in the order in which they were asked", () => {
  assert.deepEqual(ids(children(conversation, "a1")), ["b1", "b2"]);
  assert.deepEqual(versionsOf(conversation, conversation[0]), { at: 2, of: 2, previous: "b1", next: undefined });
  assert.deepEqual(versionsOf(conversation, conversation[2]), { at: 1, of: 2, previous: undefined, next: "b2" });
  assert.deepEqual(versionsOf(conversation, conversation[5]), { at: 1, of: 1, previous: undefined, next: undefined });
  assert.deepEqual(ids(children([turn("q", "", 1), turn("p", "", 1)], "")), ["p", "q"], "of one moment, always in the same order");
});

test("what goes along is what is read: whole, stopped and broken answers, and no question without one", () => {
  const path = [
    turn("a", "", 1),
    turn("b", "a", 2, { state: "failed", answer: "" }),
    turn("c", "b", 3, { state: "stopped", answer: "half" }),
    turn("d", "c", 4, { state: "failed", answer: "part" }),
    turn("e", "d", 5, { state: "stopped", answer: "" }),
  ];
  assert.deepEqual(messagesOf(path), [
    { role: "user", content: "a?" }, { role: "assistant", content: "a!" },
    { role: "user", content: "c?" }, { role: "assistant", content: "half" },
    { role: "user", content: "d?" }, { role: "assistant", content: "part" },
  ]);
});

test("a version of a question sees what came before it and not what it replaces", () => {
  assert.deepEqual(ids(pathTo(conversation, conversation[0].parent)), ["a1"]);
  assert.deepEqual(ids(pathTo(conversation, "c1")), ["a1", "b1", "c1"]);
  assert.deepEqual(pathTo(conversation, ""), []);
});
