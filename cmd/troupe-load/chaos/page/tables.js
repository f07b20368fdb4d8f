// The tables of a fault run.
const milliseconds = (ms) => latency(isNumber(ms) ? ms / 1000 : undefined);
const mark = (ok, seen = true) => make("span", { class: !seen ? "warn" : ok ? "good" : "bad", role: "img", "aria-label": !seen ? "not visible here" : ok ? "held" : "broken" }, !seen ? "–" : ok ? "✓" : "✗");
const quiet = (text) => make("p", { class: "quiet" }, text);

function faultTable(r) {
  if (r.faults.length === 0) return quiet("Nothing was broken.");
  return table("Faults", ["", "fault", "from", "to", "hits", "who may be touched", "meant", "touched", "beyond", "told within p50", "p99", "max", "recovered after"], r.faults.map((f) => {
    const meant = f.expected < 0 ? "not visible" : count(f.expected);
    const missed = f.must && f.touched === 0;
    return [
      mark(f.beyond === 0 && !missed, f.expected >= 0), make("span", {}, foreign(f.label), f.note ? foreign(` (${f.note})`) : ""), secondsOf(f.from_ms), secondsOf(f.to_ms), count(f.hits), foreign(f.who), meant,
      missed ? make("span", { class: "bad" }, "0, and it had to") : count(f.touched), make("span", { class: f.beyond > 0 ? "bad" : "" }, count(f.beyond)),
      ...(f.terminal.count > 0 ? [f.terminal.p50_ms, f.terminal.p99_ms, f.terminal.max_ms].map(milliseconds) : [none, none, none]),
      f.recovery_ms == null ? none : milliseconds(f.recovery_ms),
    ];
  }), "faults");
}

function invariantTable(r) {
  return table("Invariants", ["held", "", "what must hold", "checked", "breaches", "first breach, or why it is not visible", "negative control"], r.invariants.map((i) => [
    mark(i.breaches === 0, i.visible), make("span", { class: "key" }, foreign(i.id)), foreign(i.about), i.visible ? count(i.checked) : "not visible here",
    make("span", { class: i.breaches > 0 ? "bad" : "" }, count(i.breaches)), foreign(i.example || i.why || none), foreign(i.control || none),
  ]), "words");
}

function boundTable(r) {
  if (r.bounds.length === 0) return quiet("The scenario asks for no bounds besides.");
  return table("Bounds", ["held", "bound", "wanted", "got"], r.bounds.map((b) => [mark(b.ok, b.visible), foreign(b.name), foreign(b.want), foreign(b.got)]), "words");
}

function breachTable(r) {
  if (r.breaches.length === 0) return make("p", { class: "good" }, "✓ None.");
  const most = 200;
  const t = table("Breaches", ["rule", "question", "at", "what"], r.breaches.slice(0, most).map((b) => [
    foreign(b.rule), b.stream ? count(b.stream) : none, b.at_ms > 0 ? secondsOf(b.at_ms) : none, foreign(b.what),
  ]), "words");
  return r.breaches.length > most ? make("div", {}, t, quiet(`And ${count(r.breaches.length - most)} more, in the result.`)) : t;
}

function totalTable(r) {
  const t = r.totals, codes = (of) => Object.entries(of ?? {}).map(([code, n]) => `${code} ×${n}`).join(", ");
  const each = (of) => Object.values(of ?? {}).reduce((a, b) => a + b, 0);
  return table("Totals", ["of what", "count", ""], [
    ["questions asked", count(t.asked), ""], ["complete", count(t.complete), ""], ["cancelled", count(t.cancelled), ""],
    ["ended by an error", count(each(t.errors)), foreign(codes(t.errors))], ["refused before they ran", count(each(t.refused)), foreign(codes(t.refused))],
    ["without an end and without a reason", count(t.lost), ""], ["unfinished when the run ended", count(t.unfinished), ""],
    ["touched", count(t.touched), ""], ["untouched", count(t.untouched), ""], ["sockets lost that found their run again", count(t.resumed), ""], ["chunks", count(t.chunks), ""],
    ["silence between chunks of untouched ones, p99", milliseconds(t.gap_p99_ms), ""],
  ], "short words");
}

function slopeTable(r) {
  return table("Slopes", ["held", "process", "figure", "growth an hour", "mean", "bound an hour", "samples"], r.slopes.map((s) => [
    mark(s.ok, s.bound > 0), foreign(s.member), foreign(s.figure), rate(Math.abs(s.per_hour)).replace(/^/, s.per_hour < 0 ? "−" : "+"), rate(s.mean), s.bound > 0 ? rate(s.bound) : "not judged", count(s.samples),
  ]));
}
