import assert from "node:assert/strict";
import { test } from "node:test";
import { Poller } from "../../status/poller.js";

// A poller whose clock and answers the test holds in its hands.
function rig() {
  const r = { now: 0, timers: [], asked: [], answers: [], states: [], faults: [], broken: null };
  r.poller = new Poller({
    ask: signal => new Promise((answer, fail) => r.asked.push({ answer, fail, signal })),
    onAnswer: answer => { r.answers.push(answer); if (r.broken) throw r.broken; },
    onState: state => r.states.push(state.is),
    now: () => r.now,
    setTimer: (run, ms) => { const timer = { run, ms }; r.timers.push(timer); return timer; },
    report: fault => r.faults.push(fault),
    clearTimer: timer => { r.timers = r.timers.filter(other => other !== timer); },
  });
  r.settled = () => new Promise(setImmediate);
  r.fire = () => { const timer = r.timers.shift(); r.now += timer.ms; timer.run(); };
  return r;
}

test("asks again two seconds after it asked", async () => {
  const r = rig();
  r.poller.start();
  r.now += 300;
  r.asked[0].answer("a");
  await r.settled();
  assert.deepEqual(r.answers, ["a"]);
  assert.deepEqual(r.states, ["live"]);
  assert.equal(r.timers[0].ms, 1700);
  r.fire();
  assert.equal(r.asked.length, 2);
});

test("backs off while the server is away, up to its bound, and says when and why", async () => {
  const r = rig();
  r.poller.start();
  const waits = [];
  for (let i = 0; i < 6; i++) {
    r.asked[i].fail(new Error("The server does not answer."));
    await r.settled();
    waits.push(r.timers[0].ms);
    assert.deepEqual(r.poller.state, { is: "away", why: "The server does not answer.", nextAt: r.now + r.timers[0].ms });
    r.fire();
  }
  assert.deepEqual(waits, [2000, 4000, 8000, 16_000, 30_000, 30_000]);
  r.asked[6].answer("back");
  await r.settled();
  assert.equal(r.poller.state.is, "live");
  r.fire();
  r.asked[7].fail(new Error("gone"));
  await r.settled();
  assert.equal(r.timers[0].ms, 2000, "from the beginning");
});

test("a pause ends the question that is under way and keeps its answer out", async () => {
  const r = rig();
  r.poller.start();
  r.poller.pause();
  assert.equal(r.asked[0].signal.aborted, true);
  r.asked[0].answer("late");
  await r.settled();
  assert.deepEqual([r.answers, r.timers, r.states], [[], [], ["paused"]]);
  r.poller.start();
  r.asked[1].answer("new");
  await r.settled();
  assert.deepEqual([r.answers, r.states], [["new"], ["paused", "asking", "live"]]);
});

test("a halt says nothing, and starting twice asks once", async () => {
  const r = rig();
  r.poller.start();
  r.asked[0].answer("a");
  await r.settled();
  r.poller.halt();
  assert.deepEqual([r.timers, r.states], [[], ["live"]]);
  r.poller.start();
  r.poller.start();
  assert.equal(r.asked[1].signal.aborted, true);
  r.asked[1].fail(new Error("aborted"));
  r.asked[2].answer("b");
  await r.settled();
  assert.deepEqual([r.answers, r.timers.length, r.poller.state.is], [["a", "b"], 1, "live"]);
});

test("a fault in showing an answer is not taken for silence", async () => {
  const r = rig();
  r.broken = new Error("cannot show");
  r.poller.start();
  r.asked[0].answer("a");
  await r.settled();
  assert.deepEqual(r.faults, [r.broken]);
  assert.equal(r.poller.state.is, "live");
  assert.equal(r.timers.length, 1, "it goes on");
});
