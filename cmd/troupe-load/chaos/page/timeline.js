// The timeline as a part of the page: a canvas that one can point at or walk
// through with the arrow keys, the row that is looked at in words below it, and
// every row as a table behind it.
const orders = {
  "touched first": null, // as they come
  "by when they asked": (r) => r.segments[0]?.[0] ?? 0,
  "by worker": (r) => r.worker,
  "by gateway": (r) => r.gateway,
};

function timeline(all, lanes, result) {
  const length = Math.max(result.length_ms, 1);
  const byNumber = new Map(result.streams.map((s) => [s.n, s]));
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-describedby": "row",
    "aria-label": `Timeline: ${count(all.length)} clients, ${count(all.filter((r) => r.touched).length)} of them touched. Arrow keys walk from client to client; all are in the table below.` });
  const words = make("p", { id: "row", class: "quiet row", "aria-live": "polite" }, "Point at a line, or walk with the arrow keys.");
  const choice = make("select", { id: "order" }, ...Object.keys(orders).map((name) => make("option", {}, name)));
  let rows = all, chosen = -1, p;

  function draw() {
    const width = Math.max(canvas.parentElement.clientWidth, 200), ratio = devicePixelRatio || 1;
    p = plan(rows, lanes, length, width, rows === all);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${p.height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(p.height * ratio);
    const g = canvas.getContext("2d");
    g.scale(ratio, ratio);
    drawTimeline(g, p, rows, lanes, length, chosen);
  }
  function look(i, ms) {
    if (i === chosen && ms === undefined) return;
    chosen = i;
    words.replaceChildren(...(i < 0 ? ["Point at a line, or walk with the arrow keys."] : story(rows[i], byNumber, ms)));
    draw();
  }
  canvas.addEventListener("pointermove", (e) => look(p.rowAt(e.offsetY), p.ms(e.offsetX)));
  canvas.addEventListener("pointerleave", () => look(-1));
  canvas.addEventListener("keydown", (e) => {
    const to = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, PageDown: chosen + 20, PageUp: chosen - 20, Home: 0, End: rows.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    look(Math.max(0, Math.min(to, rows.length - 1)));
  });
  choice.addEventListener("change", () => {
    const by = orders[choice.value];
    rows = by ? all.toSorted((a, b) => (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0)) : all;
    chosen = -1;
    draw();
  });
  const figure = make("figure", { class: "wide timeline" },
    make("figcaption", {}, "Every client from left to right"),
    make("p", { class: "keys" }, make("label", { for: "order" }, "Order "), choice, ...legend()),
    make("div", {}, canvas), words,
    folded(`The ${count(all.length)} clients as a table`, () => clientTable(all, byNumber)));
  new ResizeObserver(draw).observe(figure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", () => setTimeout(draw));
  return figure;
}

/** What the colours mean. */
function legend() {
  const used = [...kinds.map((k) => [k.name, k.colour]), ["complete", "--done"], ["told an error, or touched beyond what was meant", "--failed"], ["fault", "--fault"]];
  return used.map(([name, c]) => make("span", { class: "key" }, make("span", { class: `swatch ${c.slice(2)}`, "aria-hidden": "true" }), name));
}

const touchesOf = (s) => (s.touches ?? []).map((t) => `${clean(t.kind)} at ${secondsOf(t.at_ms)}${t.fault ? ` by ${clean(t.fault)}` : ", which no fault explains"}`).join("; ");
const outcomeOf = (s) => clean(s.outcome) + (s.code ? ` ${clean(s.code)}` : "");

/** One row in words: the question of the moment that is pointed at, else the one that was touched. */
function story(r, byNumber, ms) {
  const asked = r.streams.map((n) => byNumber.get(n)).filter(Boolean);
  const pointed = isNumber(ms) ? asked.filter((s) => s.asked_ms <= ms).at(-1) : asked.find((s) => s.touched);
  const now = pointed ?? asked[0];
  if (!now) return [];
  const where = [r.group, now.gateway, now.worker].filter(Boolean).map((v) => foreign(v));
  return [
    make("b", {}, `Client ${r.client}, question ${now.n}: `), foreign(outcomeOf(now)), `, ${count(now.chunks)} chunks; asked at ${secondsOf(now.asked_ms)}`,
    now.end_ms == null ? ", no end" : `, ended at ${secondsOf(now.end_ms)}`, ...where.flatMap((w) => [" · ", w]),
    now.touched ? foreign(` · touched: ${touchesOf(now) || "yes"}`) : " · untouched",
  ];
}

function clientTable(all, byNumber) {
  return table("Clients", ["client", "group", "gateway", "worker", "questions", "touched", "what came of them"], all.map((r) => {
    const asked = r.streams.map((n) => byNumber.get(n)).filter(Boolean);
    const ended = Object.entries(Object.groupBy(asked, outcomeOf)).map(([name, list]) => `${name}${list.length > 1 ? ` ×${list.length}` : ""}`).join(", ");
    const why = asked.filter((s) => s.touched).map((s) => touchesOf(s) || "yes").join("; ");
    return [count(r.client), foreign(r.group), foreign(r.gateway), foreign(r.worker), count(asked.length), foreign(why || "no"), foreign(ended)];
  }), "words");
}
