import assert from "node:assert/strict";
import { test } from "node:test";
import { troubles, values } from "../../status/numbers.js";
import { warnings } from "../../status/reading.js";
import { headline, note } from "../../status/state.js";
import { bytes, count, counted, duration, left, rate, pressed, rest, rule, share, state, time, took } from "../../status/words.js";
import { readingAt, startedAt } from "./make.js";

test("numbers", () => {
  assert.deepEqual([0, 1234567, null, undefined, NaN].map(count), ["0", "1,234,567", "–", "–", "–"]);
  assert.deepEqual([counted(1, "key"), counted(0, "key"), counted(4, "key")], ["1 key", "0 keys", "4 keys"]);
  assert.deepEqual([0, 0.456, 9.87, 12.3, 1234, null].map(rate), ["0/s", "0.46/s", "9.9/s", "12/s", "1,234/s", "–"]);
  assert.deepEqual([0, 1023, 1536, 50 * 2 ** 20, 2 ** 31, null].map(bytes), ["0 B", "1,023 B", "1.5 KiB", "50 MiB", "2 GiB", "–"]);
  assert.deepEqual([took(0.0051), took(1.23), took(42.4), took(null), took(100, 100), took(100)], ["5.1 ms", "1.2 s", "42 s", "–", "≥ 100 s", "100 s"]);
  assert.deepEqual([0, 59_000, 61_000, 3_600_000, 90_061_000, -5, null].map(duration), ["0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h", "0 s", "–"]);
});

test("states, limits and rests", () => {
  assert.equal(state("needs_key"), "needs the user's key");
  assert.equal(state("unheard-of"), "unheard-of");
  assert.deepEqual([rule("50 connections per 5 minutes", "connections"), rule("off", "messages"), rule(undefined, "messages")],
    ["50 connections per 5 minutes", "messages without a limit", "–"]);
  assert.equal(rest({ provider: "openai", key: "0f3a5bd1c2e49687", one_model: true, why: "limited" }), "openai, key 0f3a5bd1, for one model: limited by the vendor");
  assert.equal(rest({ provider: "openai", why: "failing" }), "openai: fails");
  assert.equal(rest({ provider: "openai", why: "constructor" }), "openai: constructor");
  assert.deepEqual([left(41, 0), left(41, 1500), left(3500, 0), left(1, 5000)], ["41 s left", "40 s left", "58 min 20 s left", "over any moment"]);
});

test("pressure, and how much of the limits holds", () => {
  assert.deepEqual([pressed({ stage: 0, why: "" }), pressed({ stage: 1, why: "memory" }), pressed({ stage: 2, why: "lag" }), pressed({ stage: 3, why: "" })],
    ["none", "stage 1, memory", "stage 2, CPU", "stage 3"]);
  assert.deepEqual([pressed({ stage: null, why: "" }), pressed({ stage: 1, why: "constructor" })], ["–", "stage 1, constructor"]);
  assert.deepEqual([share(1), share(0.7), share(undefined)], ["100 %", "70 %", "–"]);
  const r = readingAt(1000, { status: { pressure: { stage: 1, why: "memory" }, rate_limiter: { factor: 0.6, offenders: 2 } } });
  const all = values(r);
  assert.deepEqual([all.pressure, all.factor, all.offenders], ["stage 1, memory", "60 %", "2"]);
  assert.deepEqual(warnings(r), ["Under pressure (stage 1, memory): no new questions are taken. It goes on without help when the pressure is over."]);
});

test("the line on top is true at any time", () => {
  const at = startedAt, live = { is: "live", why: "", nextAt: 0 };
  assert.deepEqual(headline(live, at, at + 1000), { is: "live", fact: "Live.", since: `Updated ${time(at)}.` });
  assert.deepEqual(headline(live, at, at + 7000), { is: "asking", fact: "Asking the server…", since: `Values are from ${time(at)}, 7 s ago.` });
  assert.deepEqual(headline({ is: "asking", why: "", nextAt: 0 }, null, at), { is: "asking", fact: "Asking the server…", since: "No values yet." });
  const away = { is: "away", why: "The server does not answer.", nextAt: at + 10_000 };
  assert.deepEqual(headline(away, at, at + 6500), { is: "away", fact: "The server does not answer.", since: `Trying again in 4 s. Values are from ${time(at)}, 6 s ago.` });
  assert.match(headline(away, at, at + 11_000).since, /^Trying again… /);
  assert.deepEqual(headline({ is: "paused", why: "", nextAt: 0 }, at, at + 1000), { is: "paused", fact: "Paused.", since: `Values are from ${time(at)}, 1 s ago.` });
});

test("a restart is told, and so is another gateway", () => {
  assert.equal(note([]), "");
  assert.match(note([{ at: startedAt, what: "restarted" }]), /^Restarted at \d\d:\d\d:\d\d: /);
  assert.match(note([{ at: startedAt, what: "restarted" }, { at: startedAt, what: "other" }]), /^Another gateway answers since /);
});

test("warnings: what the numbers show, then what the server says", () => {
  assert.deepEqual(warnings(readingAt(1000)), []);
  const bad = readingAt(1000, {
    metrics: 'troupe_bus_connected{x="2"} -1',
    status: { workers: [], warnings: ["<b>no token</b>"], rate_limiter: { state: "fallback" }, connection_pool: { max_connections: 5, active: 5 },
      gateways: [{ id: "A", self: true, draining: true }] },
  });
  const found = warnings(bad);
  assert.deepEqual(found.map(text => text.split(" ").slice(0, 3).join(" ")),
    ["No connection to", "No worker is", "This gateway is", "The limiter is", "The connection pool", "<b>no token</b>"]);
  assert.match(warnings(readingAt(1000, { status: { workers: [{ draining: true }] } }))[0], /^Every worker is draining/);
});

test("every number of the page, and a dash for what the server does not say", () => {
  const all = values(readingAt(61_000));
  assert.deepEqual([all.connections, all.sockets, all.peak, all.limit, all.runs, all.up, all.limiter, all.messageRule],
    ["12", "11", "14", "1,000", "2", "1 min 1 s", "working", "messages without a limit"]);
  const none = values(readingAt(1000, { started: null, status: { rate_limiter: undefined, connection_pool: undefined, websocket_manager: undefined, runs: undefined } }));
  for (const name of ["connections", "peak", "runs", "completed", "allowed", "up", "resident", "slow", "limiter", "sessionRule", "idle", "pressure", "factor"]) assert.equal(none[name], "–", name);
});

test("troubles by kind of actor", () => {
  assert.deepEqual(troubles({ panics: new Map([["run", 2]]), restarts: new Map([["run", 1], ["pool", 3]]) }), [["pool", "3 restarts"], ["run", "2 panics, 1 restart"]]);
  assert.deepEqual(troubles({ panics: new Map(), restarts: new Map() }), []);
});
