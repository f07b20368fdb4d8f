// Which charts there are. They share the chosen time: to ask one is to ask all.

import { span } from "./history.js";
import { Plot } from "./plot.js";
import { bytes, count, rate, took } from "./words.js";

/**
 * @param {Element} place
 * @returns {{ show(history: import("./history.js").History, reading: import("./reading.js").Reading | null, now: number): void }}
 */
export function charts(place) {
  let slowest = Infinity; // the last finite bound of the histogram
  const plots = [
    new Plot({ title: "Connections", least: 1, write: rate,
      series: [{ name: "accepted", label: "accepted" }, { name: "rejected", label: "rejected" }] }),
    new Plot({ title: "Questions", least: 1, write: rate,
      series: [{ name: "completed", label: "completed" }, { name: "failed", label: "failed" }, { name: "cancelled", label: "cancelled" }] }),
    new Plot({ title: "Chunks", note: "by the workers in this process", least: 10, write: rate,
      series: [{ name: "chunks", label: "published" }] }),
    new Plot({ title: "Time to first token", note: "over the minute before, estimated", least: 0.1, write: value => took(value, slowest), writeTop: top => took(top),
      series: [{ name: "p50", label: "half within" }, { name: "p95", label: "95 % within" }] }),
    new Plot({ title: "Memory", least: 2 ** 20, unit: 2 ** 20, write: bytes,
      series: [{ name: "resident", label: "resident" }, { name: "heap", label: "heap" }] }),
    new Plot({ title: "Goroutines", least: 10, write: count,
      series: [{ name: "goroutines", label: "goroutines" }] }),
  ];
  for (const plot of plots) plot.onChoose = at => { for (const other of plots) other.choose(at); };
  place.append(...plots.map(plot => plot.element));
  return {
    show(history, reading, now) {
      slowest = reading?.firstToken?.bounds.findLast(Number.isFinite) ?? Infinity;
      for (const plot of plots) plot.show({ points: history.points, marks: history.marks, from: now - span, to: now });
    },
  };
}
