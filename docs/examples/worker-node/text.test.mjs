import assert from "node:assert/strict";
import test from "node:test";
import { escaped, parts, pieces } from "./text.mjs";

test("a text is cut at its words, and nothing of it is lost", () => {
  for (const text of ["", " ", "one", "one two", "  two  spaces ", "line\nline\n", "tab\tand\u00a0more", "e\u0301 👩‍🚀 café"]) {
    assert.equal(pieces(text, 100).join(""), text);
  }
  assert.deepEqual(pieces("one  two\nthree", 100), ["one  ", "two\n", "three"]);
});

test("a word that is too long is cut between characters, and counted as it is escaped", () => {
  for (const word of ["x".repeat(1000), "\n".repeat(1000), "\"\\".repeat(500), "👩🏽".repeat(300), `a${"é".repeat(777)}`]) {
    for (const room of [12, 40, 100]) {
      const cut = pieces(word, room);
      assert.equal(cut.join(""), word);
      for (const piece of cut) {
        assert.ok(escaped(piece) <= room, `${escaped(piece)} of ${room}`);
        assert.ok(piece.isWellFormed?.() ?? !/^[\udc00-\udfff]/u.test(piece), "no half of a character");
      }
    }
  }
  assert.deepEqual(pieces("👩", 1), ["👩"], "one character is whole, however little room there is");
});

test("a snapshot is cut where the client's last chunk ended, and says what it holds", () => {
  const chunks = ["a", "bb", "ccc", "dddd"];
  const run = { chunks, sizes: chunks.map(escaped) };
  const told = (after, cut, room) => [...parts(run, after, cut, room)];
  assert.deepEqual(told(0, 0, 100), [{ seq: 4, text: "abbcccdddd", from: 1, more: false }]);
  assert.deepEqual(told(2, 0, 100), [{ seq: 4, text: "cccdddd", from: 3, more: false }]);
  assert.deepEqual(told(0, 3, 100), [{ seq: 3, text: "abbccc", from: 1, more: true }, { seq: 4, text: "dddd", from: 4, more: false }]);
  assert.deepEqual(told(0, 0, 3).map(({ seq, more }) => [seq, more]), [[2, true], [3, true], [4, false]], "at least one chunk a part");
  assert.deepEqual(told(4, 0, 100), [{ seq: 4, text: "", from: 5, more: false }], "there is always a part");
  assert.deepEqual(told(99, 2, 100), [{ seq: 4, text: "", from: 5, more: false }]);
});
