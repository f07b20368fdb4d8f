// A line chart as an element. Pointer or arrow keys choose a time, and the
// legend then shows the values at that time instead of the last ones.

import { across, down, extent, linePath, nearest, roundTop, stepped } from "./chart.js";
import { element, setAttribute, setText, svg } from "./dom.js";
import { time, unknown } from "./words.js";

const width = 600, height = 120; // of the drawing, which is stretched to its place

/**
 * A series' name is the field of a point. least, unit (see roundTop) and
 * writeTop are about the scale.
 * @typedef {{ name: string, label: string }} Series
 * @typedef {{
 *   title: string, note?: string, series: Series[], write: (value: number | null) => string,
 *   least: number, unit?: number, writeTop?: (value: number) => string,
 * }} PlotOptions
 */

export class Plot {
  element;
  /** Called with the time that somebody chose here, null when they let go. @type {(at: number | null) => void} */
  onChoose = () => {};
  #o;
  #names;
  #data = { points: [], marks: [], from: 0, to: 1 };
  /** @type {number | null} */
  #chosen = null;
  #parts;

  /** @param {PlotOptions} o */
  constructor(o) {
    this.#o = o;
    this.#names = o.series.map(series => series.name);
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
    const restarts = svg("path", { class: "restarts" }), cursor = svg("path", { class: "cursor" });
    const lines = o.series.map((_, i) => svg("path", { class: `line s${i}` })), dots = o.series.map((_, i) => svg("path", { class: `dot s${i}` }));
    drawing.append(svg("path", { class: "edge", d: `M0 0H${width}M0 ${height}H${width}` }), restarts, cursor, ...lines, ...dots);
    const area = element("div", {
      class: "area", role: "slider", tabindex: "0", "aria-label": `${o.title}: time to read the values at`,
      "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0", "aria-valuetext": "nothing yet",
    }, drawing);
    const outputs = o.series.map(() => element("b", { text: unknown }));
    const legend = element("ul", { class: "legend" }, ...o.series.map((series, i) => element("li", {}, swatch(i), `${series.label} `, outputs[i])));
    const scale = element("span", { class: "scale", "aria-hidden": "true" }), when = element("span");
    const words = element("p", { class: "hidden" });
    this.element = element("figure", { class: "chart" },
      element("figcaption", {}, element("h3", { text: o.title }), ...(o.note ? [element("span", { class: "soft", text: o.note })] : [])),
      legend, scale, area,
      element("div", { class: "axis", "aria-hidden": "true" }, element("span", { text: "10 min ago" }), when, element("span", { text: "now" })), words);
    this.#parts = { area, restarts, cursor, lines, dots, outputs, scale, when, words };
    this.#listen(area);
  }

  /**
   * @param {{ points: import("./chart.js").Point[], marks: { at: number }[], from: number, to: number }} data
   */
  show(data) {
    this.#data = data;
    const top = roundTop(data.points, this.#names, this.#o.least, this.#o.unit);
    const frame = { from: data.from, to: data.to, top, width, height };
    this.#names.forEach((name, i) => setAttribute(this.#parts.lines[i], "d", linePath(data.points, name, frame)));
    setAttribute(this.#parts.restarts, "d", data.marks.filter(mark => mark.at >= data.from)
      .map(mark => `M${across(frame, mark.at)} 0V${height}`).join(""));
    setText(this.#parts.scale, (this.#o.writeTop ?? this.#o.write)(top));
    setText(this.#parts.words, this.#summary());
    this.#read(frame);
  }

  /** Shows the values at a time that was chosen here or in another chart; null for the last ones. */
  choose(at) {
    this.#chosen = at;
    this.show(this.#data);
  }

  #read(frame) {
    const { points } = this.#data, { area, cursor, dots, outputs, when } = this.#parts;
    const point = nearest(points, this.#names, this.#chosen ?? frame.to);
    const shown = this.#chosen === null ? null : point;
    this.#o.series.forEach(({ name }, i) => {
      setText(outputs[i], this.#o.write(point?.[name] ?? null));
      const value = shown?.[name];
      setAttribute(dots[i], "d", typeof value === "number" ? `M${across(frame, shown.at)} ${down(frame, value)}h0` : "");
    });
    setAttribute(cursor, "d", shown ? `M${across(frame, shown.at)} 0V${height}` : "");
    setText(when, shown ? time(shown.at) : "");
    setAttribute(area, "aria-valuemin", seconds(Math.min(frame.from, point?.at ?? frame.from)));
    setAttribute(area, "aria-valuemax", seconds(frame.to));
    setAttribute(area, "aria-valuenow", seconds(point?.at ?? frame.to));
    setAttribute(area, "aria-valuetext", point ? `${time(point.at)}: ${this.#spoken(point)}` : "nothing yet");
  }

  #spoken(point) {
    return this.#o.series.map(({ name, label }) => `${label} ${said(this.#o.write(point[name] ?? null))}`).join(", ");
  }

  #summary() {
    const parts = this.#o.series.map(({ name, label }) => {
      const e = extent(this.#data.points, name);
      if (!e) return `${label}: no values.`;
      const [last, lowest, highest] = [e.last, e.lowest, e.highest].map(value => said(this.#o.write(value)));
      return `${label}: ${last} at last, between ${lowest} and ${highest}.`;
    });
    return `In the last 10 minutes. ${parts.join(" ")}`;
  }

  #listen(area) {
    const at = event => {
      const box = area.getBoundingClientRect(), { from, to } = this.#data;
      return from + (event.clientX - box.left) / box.width * (to - from);
    };
    const point = event => this.onChoose(nearest(this.#data.points, this.#names, at(event))?.at ?? null);
    area.addEventListener("pointermove", point);
    area.addEventListener("pointerdown", point);
    // A finger that is lifted leaves too; what it touched stays until it touches something else.
    area.addEventListener("pointerleave", event => { if (event.pointerType !== "touch") this.onChoose(null); });
    // Focus by the keyboard takes hold of a time, so that it does not run away under the reader.
    area.addEventListener("focus", () => { if (area.matches(":focus-visible")) this.#move(0); });
    area.addEventListener("blur", () => this.onChoose(null));
    area.addEventListener("keydown", event => this.#key(event));
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -15, PageUp: 15, Home: -Infinity, End: Infinity }[event.key];
    if (steps === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#move(steps);
  }

  #move(steps) {
    this.onChoose(stepped(this.#data.points, this.#names, this.#chosen ?? this.#data.to, steps)?.at ?? null);
  }
}

function swatch(i) {
  const drawing = svg("svg", { class: "swatch", viewBox: "0 0 20 8", "aria-hidden": "true", focusable: "false" });
  drawing.append(svg("path", { class: `line s${i}`, d: "M0 4H20" }));
  return drawing;
}

function seconds(at) { return String(Math.round(at / 1000)); }

// "3/s" is read as a fraction.
function said(written) { return written === unknown ? "no value" : written.replace(/\/s$/, " a second"); }
