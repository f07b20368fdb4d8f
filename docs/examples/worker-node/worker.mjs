// A Troupe worker in JavaScript. It serves the provider node-echo, which streams a
// question's last message back word by word; put a model's stream into `generate`
// and the rest may stay. The contract it keeps is ../../bus.md.
//
// Settings, all by environment: NATS_URL, NATS_USER, NATS_PASSWORD, TROUPE_PREFIX,
// MAX_RUNS, PACE_MS, GRACE_MS, KEEP_MS, KEEP_RUNS, DRAIN_MS.
import { randomBytes } from "node:crypto";
import { connect } from "@nats-io/transport-node";
import { escaped, parts, pieces } from "./text.mjs";

const env = process.env;
const number = (name, otherwise) => (env[name] ? Number(env[name]) : otherwise);
const PROVIDER = "node-echo";
const MAX_RUNS = number("MAX_RUNS", 100);
const PACE_MS = number("PACE_MS", 50); // between two words; a model node-echo-<n>ms has its own
const GRACE_MS = number("GRACE_MS", 30_000); // what `grace` waits for somebody to come back
const KEEP_MS = number("KEEP_MS", 900_000); // how long an ended run can be resumed
const KEEP_RUNS = number("KEEP_RUNS", 1000); // and how many of them, oldest out: the bound of our memory
const DRAIN_MS = number("DRAIN_MS", 25_000);
const BEAT_MS = 500;

const id = randomBytes(8).toString("hex"); // new at every start
const root = `${env.TROUPE_PREFIX ?? "troupe"}.v1.`;
const group = `${env.TROUPE_PREFIX ?? "troupe"}-worker`;
const nc = await connect({
  servers: env.NATS_URL ?? "nats://127.0.0.1:4222", user: env.NATS_USER, pass: env.NATS_PASSWORD, name: PROVIDER,
  waitOnFirstConnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 50, ignoreAuthErrorAbort: true,
  pingInterval: 1500, maxPingOut: 2, // a server that hangs is noticed within seconds
});

const runs = new Map(); // by run_id; the ended ones among them in the order of their end
const jobs = new Map(); // job id → {came, run}: what the bus repeats, or was given back, is dropped
const gateways = new Map(); // id → {heard, skew}
let active = 0, queue = null, draining = false, ownHeard = Date.now(), ticked = Date.now();

// The client drops what it cannot send now, which is what the contract wants: a
// follower that misses something asks with resume.
function publish(subject, message) {
  try { nc.publish(subject, JSON.stringify(message)); } catch (err) { console.error("publish:", err.message); }
}
const event = (follower, e) => publish(`${root}gateway.${follower.gateway}.events`, e);
const listen = (subject, handle, queue) => nc.subscribe(subject, {
  queue, callback: (err, msg) => { if (err) console.error(subject, err.message); else handle(msg); },
});
const tell = (run, e) => run.followers.forEach((f) => event(f, { ...e, to: f.to }));

// read parses a job or control. The reply subject must be the one of the asker
// that the message names, else a message could make us speak anywhere.
function read(msg) {
  try {
    const m = msg.json();
    if (/^[\w-]{1,64}$/.test(m.gateway) && msg.reply === `${root}gateway.${m.gateway}.r.${m.to}`) return m;
  } catch { /* not JSON */ }
  console.error("skipped a malformed message on", msg.subject);
}

// balance leaves the queue group when there is no room and comes back at 90 %.
// Draining, not unsubscribing: jobs that were delivered already are still handled.
function balance() {
  if (queue && (draining || active >= MAX_RUNS)) {
    queue.drain().catch(() => {});
    queue = null;
  } else if (!queue && !draining && active <= MAX_RUNS * 0.9) {
    queue = listen(`${root}chat.${PROVIDER}`, onJob, group);
  }
}

function onJob(msg) {
  const job = read(msg), now = Date.now();
  if (!job || typeof job.job !== "string") return;
  const repeated = jobs.has(job.job), gateway = gateways.get(job.gateway);
  if (!repeated) jobs.set(job.job, { came: now });
  if (repeated || (gateway && now > job.deadline + gateway.skew + 250)) return; // offered elsewhere by now
  if (draining || active >= MAX_RUNS) return publish(msg.reply, { type: "busy", worker: id });
  const question = job.messages?.at?.(-1)?.content;
  if (job.needs_key || typeof question !== "string") {
    const message = job.needs_key ? `${PROVIDER} takes no keys. Ask without api_keys.` : "The last message has no content.";
    return publish(msg.reply, { type: "refused", worker: id, code: "INVALID_MESSAGE", message });
  }
  const run = {
    id: `${id}-${randomBytes(16).toString("hex")}`, job, since: now, said: now, chunks: [], sizes: [], tokens: Math.ceil(question.length / 4),
    followers: new Map(), end: null, keep: Boolean(job.name), // nobody can come back for a turn without a name
  };
  job.messages = null; // the ended run keeps the answer alone
  runs.set(run.id, run);
  jobs.set(job.job, { came: now, run: run.id });
  active++;
  follow(run, job);
  publish(msg.reply, { type: "accepted", run: run.id, worker: id }); // before any event
  balance();
  generate(run, pieces(Buffer.from(question).toString(), room())); // the round trip makes halves of surrogate pairs whole
}

const room = () => Math.floor(nc.info.max_payload / 2); // for a text: its line must fit the server too
const key = (m) => `${m.gateway} ${m.to}`;
const follow = (run, m) => { clearTimeout(run.grace); run.followers.set(key(m), { gateway: m.gateway, to: m.to }); };

// generate is the provider: one timer that says the next word.
function generate(run, words) {
  const pace = Number(/-(\d{1,5})ms$/.exec(run.job.model)?.[1] ?? PACE_MS);
  run.provider = setInterval(() => {
    const text = words.shift();
    run.said = Date.now();
    run.sizes.push(escaped(text));
    tell(run, { type: "chunk", to: "", seq: run.chunks.push(text), text }); // in this order a gateway passes it on untouched
    if (words.length === 0) end(run, { type: "complete", finish_reason: "stop" });
  }, pace);
}

// end stops the provider, says the one terminal event, and says it again until
// every follower has it or the run is forgotten.
function end(run, e) {
  if (run.end) return;
  clearInterval(run.provider);
  clearTimeout(run.grace);
  const usage = { input_tokens: run.tokens, output_tokens: Math.ceil(run.chunks.join("").length / 4), estimated: true };
  run.end = { ...e, to: "", seq: run.chunks.length + 1, run: run.id, provider: PROVIDER, model: run.job.model || PROVIDER, usage };
  run.since_end = Date.now();
  runs.delete(run.id); // to the end of the order
  runs.set(run.id, run);
  active--;
  repeatEnd(run, 100);
  balance();
}
function repeatEnd(run, pause) {
  clearTimeout(run.again);
  if (!runs.has(run.id)) return;
  if (run.followers.size === 0) { if (!run.keep) runs.delete(run.id); return; }
  tell(run, run.end);
  run.again = setTimeout(repeatEnd, pause, run, Math.min(pause * 2, 30_000));
}

// recount sends a follower everything behind `after`.
function recount(run, m) {
  for (const part of parts(run, m.after ?? 0, m.cut ?? 0, room())) event(m, { type: "snapshot", to: m.to, ...part });
}

const found = (run) => ({ type: "found", run: run.id, worker: id, name: run.job.name });
function onControl(msg) {
  const m = read(msg);
  if (!m || m.type === "probe") return; // that the server does not say "no responders" is the answer
  if (m.type === "find") return onFind(m, msg.reply);
  if (m.type === "withdraw") return onWithdraw(m, msg.reply);
  const run = runs.get(m.run), mine = run?.followers.has(key(m));
  const asks = m.type === "resume" || m.type === "cancel"; // what must be answered
  // Unknown and another session's are answered alike. An ended run cannot be stopped any more.
  if (!run || (asks && !mine && (m.session !== run.job.session || (m.type === "cancel" && run.end)))) {
    if (asks) publish(msg.reply, { type: "missing", worker: id });
    return;
  }
  if (m.type === "resume" && Math.max(m.after ?? 0, m.cut ?? 0) > run.chunks.length) {
    return publish(msg.reply, { type: "refused", worker: id, code: "INVALID_MESSAGE", message: "`after` is beyond the last seq of this run." });
  }
  if (asks && !mine) {
    follow(run, m);
    publish(msg.reply, found(run));
  }
  if (m.type === "resume" || (asks && !mine)) recount(run, m);
  if (m.type === "resume" && !mine && run.end) repeatEnd(run, 100);
  if (m.type === "cancel") end(run, { type: "cancelled" });
  if (m.type === "ack" && run.end) { run.followers.delete(key(m)); if (run.followers.size === 0) repeatEnd(run, 0); }
  if (m.type === "release") { run.keep = false; leave(run, m, "cancel"); }
  if (m.type === "gone") leave(run, m, policyOf(run, m));
}

// policyOf is what the asker said, where whoever left says nothing or does not know it.
function policyOf(run, m) {
  const asked = run.job.on_disconnect, said = m.on_disconnect || asked;
  return said === "grace" && asked === "continue" ? asked : said;
}

// leave takes one follower out, or with no `to` all of a gateway. Of the last one
// the policy decides.
function leave(run, m, policy) {
  const before = run.followers.size;
  for (const [k, f] of run.followers) if (f.gateway === m.gateway && (!Number(m.to) || f.to === m.to)) run.followers.delete(k);
  if (run.followers.size > 0 || before === 0) return;
  if (run.end) repeatEnd(run, 0);
  else if (policy === "grace") run.grace = setTimeout(end, GRACE_MS, run, { type: "cancelled" });
  else if (policy !== "continue") end(run, { type: "cancelled" });
}

// onWithdraw gives a job back that never became a run, so that it can be asked elsewhere.
function onWithdraw(m, reply) {
  const known = jobs.get(m.job);
  if (!known) jobs.set(m.job, { came: Date.now() });
  if (!known?.run) publish(reply, { type: "missing", worker: id });
  else if (runs.has(known.run)) publish(reply, { type: "accepted", run: known.run, worker: id });
}

// onFind answers which run was asked with a client's own secret and name: the newest,
// one that still generates before one that is over.
function onFind(m, reply) {
  const same = ({ job }) => m.client_key && job.client_key === m.client_key && job.session === m.session && (!m.name || job.name === m.name);
  const run = [...runs.values()].filter(same).sort((a, b) => Boolean(a.end) - Boolean(b.end) || b.since - a.since)[0];
  publish(reply, run ? { ...found(run), age: Date.now() - run.since, over: Boolean(run.end), content: run.job.content } : { type: "missing", worker: id });
}

// A gateway that falls silent cannot say `gone`. We judge only while our own beats
// come back and our clock runs: who was paused or lost the bus is the deaf one.
function onBeat(msg) {
  const [role, who] = msg.subject.slice(root.length).split(".").slice(1), now = Date.now();
  if (role === "worker") { if (who === id) ownHeard = now; return; }
  try {
    const b = msg.json();
    if (b.leaving) lost(who); else gateways.set(who, { heard: now, skew: offset(gateways.get(who), now - b.sent, now) });
  } catch { /* not a beat */ }
}
// offset is a gateway's clock against ours: the smallest seen has the least delay in
// it. A larger one counts, half, only in the beats' rhythm: beats that waited while
// we were paused say nothing about clocks, and jobs waited with them.
function offset(known, seen, now) {
  if (!known || seen < known.skew) return seen;
  const rhythm = now - known.heard;
  return rhythm > BEAT_MS / 2 && rhythm < 2 * BEAT_MS ? (known.skew + seen) / 2 : known.skew;
}
function lost(gateway) {
  gateways.delete(gateway);
  for (const run of runs.values()) leave(run, { gateway }, run.job.on_disconnect);
}
function beat(leaving = false) {
  publish(`${root}beat.worker.${id}`, {
    role: "worker", id, version: "1.0.0", sent: Date.now(), active, capacity: MAX_RUNS, draining, leaving,
    providers: [{ name: PROVIDER, type: "echo", state: "ready", models: [], default_model: PROVIDER }],
  });
}
function tick() {
  const now = Date.now(), deaf = now - ownHeard > 2 * BEAT_MS || now - ticked > 3 * BEAT_MS;
  ticked = now;
  beat();
  for (const [gateway, g] of gateways) { if (deaf) g.heard = now; else if (now - g.heard > 3 * BEAT_MS) lost(gateway); }
  for (const [job, { came, run }] of jobs) if (now - came > 10_000 && !runs.has(run)) jobs.delete(job);
  let spare = runs.size - active - KEEP_RUNS;
  for (const run of runs.values()) {
    if (run.end && (now - run.since_end > KEEP_MS || spare-- > 0)) { clearTimeout(run.again); runs.delete(run.id); }
    if (!run.end && (deaf || now - run.said >= 5000)) { // its last seq: a lost tail is noticed, and who forgot us says `gone`
      run.said = now;
      tell(run, { type: "status", to: "", seq: run.chunks.length, state: "streaming", run: run.id });
    }
  }
}

listen(`${root}worker.${id}.control`, onControl);
listen(`${root}beat.>`, onBeat);
balance();
setInterval(tick, BEAT_MS);
tick();
console.log(`${PROVIDER} worker ${id} on ${nc.getServer()}`);

// An orderly end: no new jobs, live runs to their end, the rest told why, then the
// last beat. Its followers would count as lost with it: first they get their ends.
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const until = async (done, ms) => { for (const stop = Date.now() + ms; !done() && Date.now() < stop;) await pause(20); };
async function drain() {
  if (draining) process.exit(1); // the second signal
  draining = true;
  balance();
  beat();
  await until(() => active === 0, DRAIN_MS);
  for (const run of runs.values()) end(run, { type: "error", code: "SHUTTING_DOWN", message: "This worker is shutting down. Ask again.", retry_after: 1 });
  await until(() => [...runs.values()].every((run) => run.followers.size === 0), 1000);
  beat(true);
  await nc.drain().catch(() => {}); // the bus may be gone by now
  process.exit(0);
}
process.on("SIGTERM", drain);
process.on("SIGINT", drain);
