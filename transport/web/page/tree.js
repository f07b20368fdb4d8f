// A conversation is a tree: every turn has a parent, the first ones have "". Asking again or asking something else in
// place of a question makes a sibling, and `shown` remembers, per parent, which of the siblings is looked at. Pure.

/** @typedef {{id: string, parent: string, created: number, question: string, answer: string, state: string}} Turn */

/** The turns below a parent, oldest first. */
export function children(turns, parent) {
  return turns.filter(turn => turn.parent === parent).sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

/** The turns from the first one to the last one that is looked at. Of versions that nobody chose among, the newest. */
export function shownPath(turns, shown = {}) {
  const path = [], below = new Map();
  for (const turn of turns) below.set(turn.parent, [...below.get(turn.parent) ?? [], turn]);
  for (let parent = ""; below.has(parent);) {
    const versions = children(below.get(parent), parent);
    const turn = versions.find(version => version.id === shown[parent]) ?? versions.at(-1);
    path.push(turn);
    below.delete(parent); // so that not even a damaged record leads in a circle
    parent = turn.id;
  }
  return path;
}

/** Which version of how many a turn is, from 1, and the ids beside it. */
export function versionsOf(turns, turn) {
  const versions = children(turns, turn.parent);
  const at = versions.findIndex(version => version.id === turn.id);
  return { at: at + 1, of: versions.length, previous: versions[at - 1]?.id, next: versions[at + 1]?.id };
}

/**
 * Earlier turns as the messages that go along with a question. What has an answer, whole or not, goes along as it is read
 * on the page; a question without one is left out, for roles take turns.
 */
export function messagesOf(path) {
  return path.filter(turn => turn.answer).flatMap(turn => [
    { role: "user", content: turn.question },
    { role: "assistant", content: turn.answer },
  ]);
}

/** The turns from the first one to this one's parent. */
export function pathTo(turns, parent) {
  const byId = new Map(turns.map(turn => [turn.id, turn]));
  const path = [];
  for (let turn = byId.get(parent); turn; turn = byId.get(turn.parent)) {
    path.unshift(turn);
    byId.delete(turn.id);
  }
  return path;
}

/** Turns whose parent is lost come after the newest one that was there before them, so that they can be read still. */
export function adopted(turns) {
  const known = new Set(["", ...turns.map(turn => turn.id)]);
  return turns.map(turn => {
    if (known.has(turn.parent)) return turn;
    const before = turns.filter(one => one.created < turn.created).reduce((newest, one) => one.created > (newest?.created ?? -1) ? one : newest, undefined);
    return { ...turn, parent: before?.id ?? "" };
  });
}
