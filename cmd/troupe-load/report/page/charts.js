// Charts: uPlot in figures, each with its numbers as a table behind it.
const charts = [];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const solid = (name) => () => colour(name);

function axis(more) {
  return {
    stroke: solid("--quiet"),
    grid: { stroke: solid("--line"), width: 1 },
    ticks: { stroke: solid("--line"), width: 1 },
    ...more,
  };
}

/** One line of a chart. Give all but the first a dash, for eyes that tell no colours. Points show where there are few. */
function line(label, stroke, show, more = {}) {
  return { label, stroke: solid(stroke), width: 1.75, points: { size: 5, space: 40 }, value: (_, v) => (v == null ? none : show(v)), show: true, ...more };
}

const upwards = (_, __, most) => [0, most > 0 ? most * 1.08 : 1];

/**
 * A figure with a chart. `lines` are made by line(), `columns` their values, the x values first, `show` and `ticks`
 * write a number in full and short.
 */
function chart({ title, lines, columns, show, ticks, x, y, scales, wide, height = 210 }) {
  const place = make("div", { role: "img", "aria-label": `Chart: ${title}. ${spoken(lines, columns, show)} The numbers are in the table below it.` });
  const figure = make("figure", wide ? { class: "wide" } : {}, make("figcaption", {}, title), place,
    folded("The numbers as a table", () => table(title, [x.label, ...lines.map((l) => l.label)],
      columns[0].map((at, i) => [x.show(at), ...columns.slice(1).map((c) => (c[i] == null ? none : show(c[i])))]))));
  charts.push({ place, options: () => ({
    width: Math.max(place.clientWidth, 200), height,
    scales: { x: { time: false, ...x.scale }, y: { range: upwards }, ...scales },
    cursor: x.sync ? { sync: { key: x.sync } } : {},
    series: [{ label: x.label, value: (_, v) => (v == null ? none : x.show(v)) }, ...lines],
    axes: [axis(x.axis), axis({ size: 64, values: (_, splits) => splits.map((v) => (v == null ? "" : ticks(v))), ...y })],
  }), columns });
  return figure;
}

/** What a chart says to those who do not see it. */
function spoken(lines, columns, show) {
  return lines.map((l, i) => {
    const values = columns[i + 1].filter((v) => v != null);
    if (values.length === 0) return `${l.label}: nothing.`;
    const [least, most] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    return `${l.label}: from ${show(least)} to ${show(most)}.`;
  }).join(" ");
}

/** Draws every chart, once they have their places on the page. Sizes, colours and paper follow the reader. */
function drawAll() {
  const follow = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const c = charts.find((one) => one.place === target);
      const width = Math.max(target.clientWidth, 200);
      if (c.plot.width !== width) c.plot.setSize({ width, height: c.plot.height });
    }
  });
  for (const c of charts) {
    c.plot = new uPlot(c.options(), c.columns, c.place);
    follow.observe(c.place);
  }
  const redraw = () => charts.forEach((c) => c.plot.redraw(false, true));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.paper = ""; // light, whatever the screen is
    for (const { plot } of charts) plot.setSize({ width: Math.min(plot.width, paper), height: plot.height });
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.paper;
    for (const { plot, place } of charts) plot.setSize({ width: Math.max(place.clientWidth, 200), height: plot.height });
  });
}

const paper = 640; // pixels that every paper has room for
