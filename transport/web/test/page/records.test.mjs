// A database that the browser closes, in as little of IndexedDB as that takes.
import assert from "node:assert/strict";
import test from "node:test";
import { openDatabase } from "../../page/records.js";

class Factory {
  opened = [];
  records = new Map();

  open() {
    const request = {};
    const db = { closed: false, close() { this.closed = true; } };
    db.transaction = () => {
      if (db.closed) throw Object.assign(new Error("closing"), { name: "InvalidStateError" });
      const transaction = {};
      setTimeout(() => transaction.oncomplete?.());
      transaction.objectStore = () => ({
        get: key => answered(this.records.get(key)),
        put: record => this.records.set(record.id, record),
      });
      return transaction;
    };
    queueMicrotask(() => {
      this.opened.push(db);
      request.result = db;
      request.onsuccess();
    });
    return request;
  }
}

function answered(result) {
  const request = { result };
  queueMicrotask(() => request.onsuccess?.());
  return request;
}

for (const [how, shut] of Object.entries({
  "and says so": db => { db.closed = true; db.onclose(); },
  "and does not say so": db => { db.closed = true; },
})) {
  test(`a database that the browser closes, ${how}, is opened again`, async () => {
    const factory = new Factory();
    const database = await openDatabase(factory);
    await database.change([{ table: "turns", key: "t", with: () => ({ id: "t", answer: "one" }) }]);
    shut(factory.opened[0]);
    const [read] = await Promise.all([database.get("turns", "t"), database.get("turns", "t"), database.get("turns", "t")]);
    assert.equal(read.answer, "one");
    assert.equal(factory.opened.length, 2, "once for all who wait");
    await database.change([{ table: "turns", key: "t", with: old => ({ ...old, answer: "two" }) }]);
    assert.equal((await database.get("turns", "t")).answer, "two");
  });
}

test("a page that is older than another tab's leaves the database closed", async () => {
  const factory = new Factory();
  const database = await openDatabase(factory);
  factory.opened[0].onversionchange();
  await assert.rejects(database.get("turns", "t"), { name: "InvalidStateError" });
  assert.equal(factory.opened.length, 1);
});
