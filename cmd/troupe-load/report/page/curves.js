// What there is to draw of a run.
const seconds = {
  label: "time",
  sync: "run",
  show: (v) => span(v),
  axis: { values: (_, splits) => splits.map((v) => (v < 120 ? `${v} s` : `${Math.floor(v / 60)}:${String(Math.round(v % 60)).padStart(2, "0")}`)) },
};

function overTime(r, title, ticks, show, rows, more = {}) {
  return chart({
    title, ticks, show, x: seconds,
    lines: rows.map(([label, stroke, , extra]) => line(label, stroke, show, extra)),
    columns: [r.series.map((p) => p.t), ...rows.map(([, , value]) => r.series.map((p) => value(p) ?? null))],
    ...more,
  });
}

// Bytes are drawn in MiB, so that axes are divided where they read well.
const mebi = (v) => `${shortCount(v)} MiB`;
const ofMebi = (v) => size(v * 2 ** 20);

function traffic(r) {
  return [
    overTime(r, "Frames per second", shortCount, rate, [["frames", "--c1", (p) => p.frames]]),
    overTime(r, "Questions per second", shortCount, rate, [
      ["asked", "--c1", (p) => p.questions],
      ["completed", "--c3", (p) => p.completed, { dash: [6, 3] }],
    ]),
    overTime(r, "Connections and answers under way", shortCount, count, [
      ["connections open", "--c1", (p) => p.open],
      ["answers under way", "--c2", (p) => p.active, { dash: [6, 3] }],
    ]),
    overTime(r, "New connections per second", shortCount, rate, [["connects", "--c4", (p) => p.connects]]),
    overTime(r, "Bytes read per second", mebi, ofMebi, [["bytes", "--c3", (p) => p.bytes / 2 ** 20]]),
    overTime(r, "Errors per second", shortCount, rate, [["errors", "--c7", (p) => p.errors]]),
  ];
}

function latenciesOverTime(r) {
  return measured(r.latencies)
    .filter((name) => r.series.some((p) => p.p50?.[name] != null || p.p99?.[name] != null))
    .map((name) => overTime(r, `${titled(name)}, each second`, tick, latency, [
      ["p50", "--c1", (p) => p.p50?.[name], { spanGaps: true }],
      ["p99", "--c2", (p) => p.p99?.[name], { dash: [6, 3], spanGaps: true }],
    ]));
}

function costs(r) {
  const drawn = [overTime(r, "CPU, in cores", shortCount, three, [
    ...(r.series.some((p) => p.server_cpu > 0) ? [["server", "--c1", (p) => p.server_cpu ?? null]] : []),
    ["load tool", "--c2", (p) => p.load_cpu, { dash: [6, 3] }],
  ])];
  if (r.series.some((p) => p.server_bytes > 0)) {
    drawn.push(overTime(r, "Server memory, resident", mebi, ofMebi,
      [["server", "--c1", (p) => (p.server_bytes > 0 ? p.server_bytes / 2 ** 20 : null)]]));
  }
  return drawn;
}

/** How many of a hundred were faster: the further right, the rarer. */
function distribution(r) {
  const names = measured(r.latencies);
  if (names.length === 0) return [];
  const curves = names.map((name) => points(r.latencies[name]));
  const all = [...new Set(curves.flatMap((c) => c.map(([x]) => x)))].sort((a, b) => a - b);
  const columns = curves.map((c) => {
    const at = new Map(c);
    return all.map((x) => at.get(x));
  });
  const most = Math.max(10, all.at(-1) ?? 10);
  const nines = [1, 2, 4, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter((x) => x <= most);
  const flat = columns.flat().filter((v) => v > 0);
  const [low, high] = [flat.reduce((a, b) => Math.min(a, b), 1), flat.reduce((a, b) => Math.max(a, b), 1e-6)];
  const floor = 10 ** Math.floor(Math.log10(low));
  const ceiling = 10 ** Math.max(Math.ceil(Math.log10(high)), Math.log10(floor) + 1);
  const shares = ["--c1", "--c2", "--c3", "--c4", "--c6", "--c7", "--c5"];
  const dashes = [[], [6, 3], [2, 3], [10, 3, 2, 3]];
  const powers = (_, __, from, to) => {
    const out = [];
    for (let v = from; v <= to * 1.001; v *= 10) out.push(v);
    return out;
  };
  return [chart({
    title: "Distribution: what share of answers, chunks … was at least this fast",
    wide: true, height: 320, show: latency, ticks: tick,
    lines: names.map((name, i) => line(titled(name), shares[i % shares.length], latency, { spanGaps: true, dash: dashes[i % dashes.length] })),
    columns: [all, ...columns],
    scales: { y: { distr: 3, log: 10, range: () => [floor, ceiling] } },
    x: {
      label: "share",
      show: share,
      scale: { distr: 3, log: 10, range: () => [1, most] },
      axis: { splits: () => nines, filter: (_, splits) => splits, values: (_, splits) => splits.map(share), space: 30 },
    },
    y: { splits: powers, filter: (_, splits) => splits },
  })];
}

const share = (x) => `${Number((100 - 100 / x).toPrecision(x < 100 ? 3 : 2 + Math.floor(Math.log10(x))))} %`;

/** A histogram as [1/(1 − share), seconds], rising. */
function points({ count: n, buckets, p50, p90, p99, p999, max }) {
  if (!buckets?.length) {
    return [[2, p50], [10, p90], [100, p99], [1000, p999]].filter(([x]) => x <= n).concat([[Math.max(n, 1), max]]);
  }
  const sum = buckets.reduce((a, b) => a + b.n, 0);
  const out = [];
  let below = 0;
  for (const b of [...buckets].sort((a, b) => a.le - b.le)) {
    if (b.n === 0) continue;
    below += b.n;
    out.push([below < sum ? sum / (sum - below) : sum, Math.max(b.le, 1e-9)]);
  }
  return out;
}
