// The page of one fault run: verdict, timeline, faults, invariants, course.
function verdict(r) {
  const began = new Date(r.began);
  const when = Number.isNaN(began.getTime()) ? none : began.toISOString().replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
  const replay = foreign(r.replay, "code");
  const copy = make("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(clean(r.replay));
      copy.textContent = "Copied";
    } catch { // a page from a file may not
      getSelection().selectAllChildren(replay);
      copy.textContent = "Selected";
    }
  });
  const head = make("header", {},
    make("h1", {}, "Fault run: ", r.fault_id ? foreign(`${r.fault_id} `) : "", foreign(r.scenario)),
    make("p", {}, foreign(r.about)),
    make("p", { class: `verdict banner ${r.green ? "good" : "bad"}` }, r.green ? "✓ Green: everything held that must" : `✗ Red: ${count(r.breaches.length)} ${r.breaches.length === 1 ? "breach" : "breaches"}`),
    make("p", { class: "quiet" }, `Seed ${r.seed}, ${span(r.length_ms / 1000)}, ${r.quick ? "the short form, " : ""}began ${when}, on `, foreign(r.start), ", by ", foreign(r.tool)),
    make("p", { class: "replay" }, "Again: ", replay, copy));
  if (!r.green && r.breaches.length > 0) {
    head.append(make("p", { class: "warning", role: "note" }, "The first: ", foreign(`${r.breaches[0].rule}: ${r.breaches[0].what}`)));
  }
  for (const text of r.unseen) head.append(make("p", { class: "quiet" }, "– Not visible here: ", foreign(text)));
  return head;
}

function tiles(r) {
  const told = [
    ["questions", count(r.totals.asked)], ["touched", count(r.totals.touched)], ["untouched", count(r.totals.untouched)], ["resumed", count(r.totals.resumed)],
    ...(r.terminal.count > 0 ? [["told within p50", milliseconds(r.terminal.p50_ms)], ["told within p99", milliseconds(r.terminal.p99_ms)]] : []),
    ["controls red", `${r.controls.red} of ${r.controls.tried}`],
  ];
  return make("dl", { class: "tiles" }, ...told.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

const bySecond = { label: "time", sync: "run", show: (v) => secondsOf(v * 1000), axis: { values: (_, splits) => splits.map((v) => secondsOf(v * 1000)) } };

function course(r) {
  const over = (title, rows) => chart({
    title, show: count, ticks: shortCount, x: bySecond,
    lines: rows.map(([label, stroke, , more]) => line(label, stroke, count, more)),
    columns: [r.seconds.map((s) => s.at_ms / 1000), ...rows.map(([, , value]) => r.seconds.map((s) => value(s) ?? null))],
  });
  const dashed = { dash: [6, 3] };
  return [
    over("Chunks per second", [["chunks", "--c1", (s) => s.chunks]]),
    over("Under way", [["questions", "--c1", (s) => s.live], ["sockets", "--c3", (s) => s.sockets, dashed]]),
    over("Questions per second", [["asked", "--c1", (s) => s.asked], ["completed", "--c3", (s) => s.completed, dashed]]),
    over("Touched per second", [["first touched", "--c2", (s) => s.touched], ["ended by an error", "--c7", (s) => s.errors, dashed]]),
  ];
}

function page({ result: r, rows, lanes }) {
  return [
    verdict(r), tiles(r),
    section("Timeline", rows.length > 0 ? timeline(rows, lanes, r) : quiet("Nobody asked anything.")),
    section("Faults", faultTable(r)),
    section("Invariants", invariantTable(r)),
    section("Bounds", boundTable(r)),
    section("Breaches", breachTable(r)),
    r.seconds.length > 1 && section("Course", make("div", { class: "charts" }, ...course(r))),
    r.slopes.length > 0 && section("Slopes", slopeTable(r)),
    section("Totals", totalTable(r)),
    r.controls.problems.length > 0 && section("Controls", ...r.controls.problems.map((text) => make("p", { class: "bad" }, foreign(text)))),
    r.members.length > 0 && section("Processes", table("Processes", ["process", "starts"], r.members.map((m) => [foreign(m.name), count(m.starts)]), "short")),
  ].filter(Boolean);
}

/** What the page carries. Lists that a result has none of are null, and a seed may be too long for a number. */
function carried() {
  const text = document.getElementById("result").textContent;
  const all = JSON.parse(text);
  const r = all.result;
  for (const name of ["members", "streams", "seconds", "faults", "invariants", "bounds", "breaches", "unseen", "slopes"]) r[name] ??= [];
  r.controls.problems ??= [];
  r.seed = /[{,]"seed":(\d+)/.exec(text)?.[1] ?? none;
  return all;
}

document.getElementById("page").replaceChildren(...page(carried()));
drawAll();
