// How the timeline is drawn, apart from the page around it.
const kinds = [
  { name: "waiting for the first chunk", colour: "--waiting" },
  { name: "streaming", colour: "--streaming" },
  { name: "streaming, resumed", colour: "--resumed" },
  { name: "socket lost", colour: "--away" },
  { name: "silent for too long", colour: "--silent" },
];
const ends = [
  { name: "complete", colour: "--done" },
  { name: "cancelled", colour: "--waiting" },
  { name: "told an error", colour: "--failed" },
  { name: "neither an end nor a reason", colour: "--failed" },
  { name: "asked again elsewhere", colour: "--away" },
];
const waiting = 0, streaming = 1, complete = 0, laneHeight = 18, axisHeight = 22, gutter = 6, between = 16;

/** Where everything is, in CSS pixels, for rows in their order: the touched ones first where `split`. */
function plan(rows, lanes, length, width, split) {
  const touched = split ? rows.findIndex((r) => !r.touched) : -1;
  const blocks = touched > 0 ? [touched, rows.length - touched] : [rows.length];
  const step = Math.max(0.4, Math.min(14, 720 / Math.max(rows.length, 1)));
  const top = lanes.length * laneHeight + 6;
  const gap = blocks.length > 1 || split ? between : 0;
  const place = (i) => top + gap + i * step + (touched > 0 && i >= touched ? gap : 0);
  const bottom = place(rows.length - 1) + step;
  return {
    width, step, top, place, bottom, touched, gap, height: Math.ceil(bottom + axisHeight),
    x: (ms) => gutter + (Math.max(0, Math.min(ms, length)) / length) * (width - gutter - 1),
    ms: (x) => ((x - gutter) / (width - gutter - 1)) * length,
    rowAt: (y) => {
      for (const guess of [Math.floor((y - top - gap) / step), Math.floor((y - top - 2 * gap) / step)]) {
        if (guess >= 0 && guess < rows.length && place(guess) <= y && y < place(guess) + step) return guess;
      }
      return -1;
    },
  };
}

/** Steps of the time axis that read well. */
function timeSteps(length, width) {
  const wanted = (length / 1000) / Math.max(width / 90, 1);
  const every = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600].find((s) => s >= wanted) ?? 86400;
  const at = [];
  for (let s = 0; s * 1000 <= length; s += every) at.push(Math.round(s * 1000));
  return at;
}

const secondsOf = (ms) => (ms < 120e3 ? `${Number((ms / 1000).toFixed(1))} s` : `${Math.floor(ms / 60e3)}:${String(Math.round(ms / 1000) % 60).padStart(2, "0")}`);

/** Draws the whole timeline. `chosen` is the row that is looked at, or -1. */
function drawTimeline(g, p, rows, lanes, length, chosen) {
  g.clearRect(0, 0, p.width, p.height);
  g.font = "12px system-ui, sans-serif";
  drawAxis(g, p, length);
  drawBands(g, p, lanes);
  drawRows(g, p, rows);
  drawLanes(g, p, lanes);
  drawHeadings(g, p, rows);
  if (chosen >= 0) {
    g.strokeStyle = colour("--text");
    g.lineWidth = 1;
    g.strokeRect(0.5, p.place(chosen) - 1.5, p.width - 1, Math.max(p.step, 1) + 3);
  }
}

function drawAxis(g, p, length) {
  g.fillStyle = colour("--quiet");
  g.strokeStyle = colour("--line");
  g.lineWidth = 1;
  g.textAlign = "center";
  for (const ms of timeSteps(length, p.width)) {
    const x = Math.round(p.x(ms)) + 0.5;
    g.beginPath();
    g.moveTo(x, p.top);
    g.lineTo(x, p.bottom + 4);
    g.stroke();
    g.fillText(secondsOf(ms), Math.max(14, Math.min(x, p.width - 18)), p.bottom + 17);
  }
}

function drawBands(g, p, lanes) {
  g.fillStyle = colour("--band");
  for (const l of lanes) {
    for (const [from, to] of l.spans) g.fillRect(p.x(from), p.top, Math.max(p.x(to) - p.x(from), 1.5), p.bottom - p.top);
  }
}

/** Every state in one pass over all rows, so that a colour is set a dozen times and not a hundred thousand. */
function drawRows(g, p, rows) {
  const high = p.step >= 3 ? p.step - 1 : p.step;
  for (const [state, kind] of kinds.entries()) {
    for (const touched of [false, true]) {
      g.fillStyle = colour(kind.colour);
      g.globalAlpha = touched || state > streaming ? 1 : 0.5;
      rows.forEach((r, i) => {
        if (r.touched !== touched) return;
        const y = p.place(i);
        for (const [from, to, s] of r.segments) {
          if (s === state) g.fillRect(p.x(from), y, Math.max(p.x(to) - p.x(from), state > waiting + 1 ? 1.5 : 0.5), state > streaming ? Math.max(high, 1) : high);
        }
      });
    }
  }
  g.globalAlpha = 1;
  for (const [kind, end] of ends.entries()) {
    g.fillStyle = colour(end.colour);
    const [wide, least] = kind === complete ? [1.5, 0] : [3, 2];
    rows.forEach((r, i) => {
      for (const [at, k] of r.marks) if (k === kind) g.fillRect(p.x(at) - wide / 2, p.place(i), wide, Math.max(high, least));
    });
  }
  rows.forEach((r, i) => {
    if (!r.touched) return;
    g.fillStyle = colour(r.beyond ? "--failed" : "--away");
    g.fillRect(0, p.place(i), gutter - 2, Math.max(high, 1));
  });
}

function drawLanes(g, p, lanes) {
  lanes.forEach((l, i) => {
    const y = i * laneHeight;
    g.fillStyle = colour("--fault");
    for (const [from, to] of l.spans) g.fillRect(p.x(from), y + 4, Math.max(p.x(to) - p.x(from), 3), laneHeight - 8);
    g.fillStyle = colour("--done");
    for (const at of l.recoveries) {
      const x = p.x(at);
      g.beginPath();
      g.moveTo(x - 4, y + laneHeight - 4);
      g.lineTo(x + 4, y + laneHeight - 4);
      g.lineTo(x, y + 4);
      g.fill();
    }
    const spans = l.spans, label = clean(l.label), wide = g.measureText(label).width + 8;
    const [begin, end] = [p.x(Math.min(...spans.map((s) => s[0]))), p.x(Math.max(...spans.map((s) => s[1]), ...l.recoveries))];
    g.fillStyle = colour("--text");
    g.textAlign = begin > wide ? "right" : "left";
    const x = begin > wide ? begin - 6 : Math.min(end + 8, p.width - wide);
    g.strokeStyle = colour("--card"); // a bar of the whole width leaves no other room
    g.lineWidth = 4;
    g.strokeText(label, x, y + 13);
    g.lineWidth = 1;
    g.fillText(label, x, y + 13);
  });
}

function drawHeadings(g, p, rows) {
  if (p.gap === 0) return;
  g.textAlign = "left";
  g.fillStyle = colour("--quiet");
  const touched = rows.filter((r) => r.touched).length;
  if (touched > 0) g.fillText(`${count(touched)} clients touched`, gutter, p.top + 11);
  if (touched < rows.length) g.fillText(`${count(rows.length - touched)} untouched, each a line`, gutter, (p.touched > 0 ? p.place(p.touched) : p.top + between) - 5);
}
