// The page of one run, in the order in which one reads it: verdict, figures, course, causes, conditions.
function header(r) {
  const failed = r.checks.filter((c) => !c.ok).length;
  const all = `${r.checks.length} ${r.checks.length === 1 ? "check" : "checks"}`;
  const said = failed > 0 ? `✗ Failed ${failed} of ${all}`
    : r.checks.length === 0 ? "Done, with no checks" : `✓ Passed ${all}`;
  const started = new Date(r.started);
  const when = Number.isNaN(started.getTime()) ? none : started.toISOString().replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
  const top = make("header", {},
    make("h1", {}, "Load run: ", foreign(r.scenario)),
    make("p", { class: `verdict ${failed > 0 ? "bad" : "good"}` }, said),
    make("p", { class: "quiet" }, foreign(r.target.url), `, measured for ${span(r.seconds)}, started ${when}`));
  if (r.load.saturated) {
    top.append(make("p", { class: "warning", role: "note" }, "The load tool itself was the bottleneck: ", foreign(r.load.why || "it was too busy"),
      ". The figures say little about the server."));
  } else if (r.totals.late > 0) {
    top.append(make("p", { class: "warning", role: "note" }, `${count(r.totals.late)} questions were begun more than 10 ms late by the load tool.`));
  }
  return top;
}

function tiles(r) {
  const each = (n) => (r.seconds > 0 ? rate(n / r.seconds) : none);
  const first = r.latencies.first_chunk;
  const chunks = r.totals.texts || r.totals.chunks;
  const told = [
    ["frames/s", each(r.totals.frames)],
    ["answers/s", each(r.totals.answered)],
    ["connections", count(r.totals.connections)],
    ...(first?.count > 0 ? [["first chunk p50", latency(first.p50)], ["first chunk p99", latency(first.p99)]] : []),
    ["errors", count(r.errors.reduce((n, e) => n + e.count, 0))],
    ...(r.server?.cpu_seconds > 0 && chunks > 0 ? [["server CPU a chunk", latency(r.server.cpu_seconds / chunks)]] : []),
    ...(r.server?.peak_bytes > 0 ? [["server memory", size(r.server.peak_bytes)]] : []),
  ];
  return make("dl", { class: "tiles" }, ...told.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function checks(r) {
  if (r.checks.length === 0) return make("p", { class: "quiet" }, "This run checked nothing.");
  return table("Checks", ["passed", "check", "what was seen"], r.checks.map((c) => [
    make("span", { class: c.ok ? "good" : "bad", role: "img", "aria-label": c.ok ? "passed" : "failed" }, c.ok ? "✓" : "✗"), foreign(c.name), foreign(c.detail),
  ]), "words");
}

function latencyTable(r) {
  return table("Latencies", ["latency", "p50", "p90", "p99", "p99.9", "max", "mean", "count"], measured(r.latencies).map((name) => {
    const l = r.latencies[name];
    return [foreign(titled(name)), latency(l.p50), latency(l.p90), latency(l.p99), latency(l.p999), latency(l.max), latency(l.mean), count(l.count)];
  }));
}

function errors(r) {
  if (r.errors.length === 0) return make("p", { class: "good" }, "✓ None.");
  return table("Errors", ["code", "count", "one of them"], r.errors.map((e) => [foreign(e.code), count(e.count), foreign(e.example)]), "words");
}

function totals(r) {
  const names = ["connections", "connected", "refused", "dropped", "resumed", "questions", "completed", "answered", "cancelled", "failed", "unfinished", "frames", "chunks", "texts", "late"];
  const long = {
    connected: "connections opened while it was measured", answered: "answers that ended while it was measured",
    texts: "chunks as the provider said them", late: "begun late by the load tool",
  };
  const rows = names.map((name) => [long[name] ?? name, count(r.totals[name])]);
  return table("Totals", ["of what", "count"], [...rows, ["bytes read", size(r.totals.bytes)]], "short");
}

function serverSeries(r) {
  const names = [...new Set([...Object.keys(r.server?.before ?? {}), ...Object.keys(r.server?.after ?? {})])].sort();
  if (names.length === 0) return undefined;
  const plain = (v) => (isNumber(v) ? String(Number(v.toPrecision(6))) : none);
  return folded(`What the server's metrics said before and after: ${names.length} series`, () => table("Server metrics", ["series", "before", "after", "change"],
    names.map((name) => {
      const [a, b] = [r.server.before?.[name], r.server.after?.[name]];
      return [foreign(name), plain(a), plain(b), plain(b - a)];
    })));
}

function conditions(r) {
  const m = r.machine;
  return table("Conditions", ["of what", "value"], [
    ["server", foreign(`${r.target.url}${r.target.version ? `, version ${r.target.version}` : ""}, mode ${r.target.mode}`)],
    ["load tool", foreign(`${r.tool}, ${r.seconds > 0 ? three(r.load.cpu_seconds / r.seconds) : none} cores used`)],
    ["machine of the load tool", foreign(`${m.os}/${m.arch}, ${m.cpu || "CPU unknown"}, ${m.cores} cores, ${m.go}`)],
    ["seed", r.seed],
  ], "words");
}

function plan(r) {
  const p = foreign(r.plan, "pre");
  p.tabIndex = 0; // so that keys can scroll it
  return p;
}

function page(r) {
  const latencies = measured(r.latencies);
  return [
    header(r),
    tiles(r),
    section("Checks", checks(r)),
    r.series.length > 0 && section("Course", make("div", { class: "charts" }, ...traffic(r))),
    latencies.length > 0 && section("Latencies", make("p", { class: "quiet" }, "Every one counts from the moment at which it was due."), latencyTable(r),
      make("div", { class: "charts" }, ...distribution(r), ...latenciesOverTime(r))),
    section("Errors", errors(r)),
    section("What it cost", r.series.length > 0 && make("div", { class: "charts" }, ...costs(r)),
      r.server ? r.server.note && make("p", { class: "quiet" }, foreign(r.server.note)) : make("p", { class: "quiet" }, "The server's metrics were not read."),
      serverSeries(r)),
    section("Totals", totals(r)),
    section("Conditions", conditions(r)),
    section("Plan", make("p", { class: "quiet" }, "The scenario with every default filled in."), plan(r)),
  ].filter(Boolean);
}

/** The result that the page carries. Lists and maps that it has none of are null, and a seed may be too long for a number. */
function carried() {
  const text = document.getElementById("result").textContent;
  const r = JSON.parse(text);
  const seed = /[{,]"seed":(\d+)/.exec(text)?.[1] ?? none;
  return { ...r, seed, checks: r.checks ?? [], errors: r.errors ?? [], series: r.series ?? [], latencies: r.latencies ?? {} };
}

document.getElementById("page").replaceChildren(...page(carried()));
drawAll();
