// Units as people read them. The terminal's report writes them the same way.
const none = "–";
const isNumber = (v) => typeof v === "number" && Number.isFinite(v);
const three = (v) => (v < 9.995 ? v.toFixed(2) : v < 99.95 ? v.toFixed(1) : v.toFixed(0));
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

function count(v) {
  return isNumber(v) ? whole.format(v) : none;
}

function rate(v) {
  if (!isNumber(v)) return none;
  return Number.isInteger(v) || v >= 99.95 ? whole.format(v) : three(v);
}

function latency(s) {
  if (!isNumber(s) || s < 0) return none;
  if (s === 0) return "0 s";
  if (s < 999.5e-6) return `${three(s * 1e6)} µs`;
  if (s < 999.5e-3) return `${three(s * 1e3)} ms`;
  return `${three(s)} s`;
}

function size(v) {
  if (!isNumber(v) || v < 0) return none;
  if (v < 999.5) return `${v.toFixed(0)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (v /= 1024; v >= 999.5 && i < units.length - 1; i++) v /= 1024;
  return `${three(v)} ${units[i]}`;
}

function span(seconds) {
  const s = Math.round(seconds);
  const two = (a, first, b, second) => `${a} ${first}${b > 0 ? ` ${b} ${second}` : ""}`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  return two(Math.floor(s / 3600), "h", Math.floor(s / 60) % 60, "min");
}

// An axis' number without zeros that say nothing: 0.5 ms, not 0.500 ms.
function tick(s) {
  if (s === 0) return "0";
  const [value, unit] = s < 0.9995e-3 ? [s * 1e6, "µs"] : s < 0.9995 ? [s * 1e3, "ms"] : [s, "s"];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

function shortCount(v) {
  if (v >= 1e6) return `${Number((v / 1e6).toPrecision(3))} M`;
  if (v >= 1e4) return `${Number((v / 1e3).toPrecision(3))} k`;
  return String(Number(v.toPrecision(3)));
}

/** The names of latencies that were measured, in the order in which they happen. */
function measured(latencies) {
  const ours = ["handshake", "first_chunk", "gap", "delay", "answer", "cancel", "resume"];
  const names = Object.keys(latencies).filter((name) => latencies[name]?.count > 0);
  const place = (name) => (ours.indexOf(name) + 1 || ours.length + 1);
  return names.sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
}

const clean = (text) => text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}]/gu, "");
const titled = (name) => clean(name).replaceAll("_", " ");
