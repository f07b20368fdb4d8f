// Numbers, times and states as words.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const day = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** What stands where the server said nothing. */
export const unknown = "–";

const given = value => typeof value === "number" && !Number.isNaN(value);

/** A count. */
export function count(n) { return given(n) ? whole.format(n) : unknown; }

/** A number with what it counts: "1 key", "4 keys". */
export function counted(n, one, many = `${one}s`) { return `${count(n)} ${n === 1 ? one : many}`; }

/** A rate, with two digits where it is small. */
export function rate(n) {
  if (!given(n)) return unknown;
  return `${n < 10 ? fine.format(n) : whole.format(n)}/s`;
}

/** Bytes in powers of 1024. */
export function bytes(n) {
  if (!given(n)) return unknown;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${n < 10 && i ? fine.format(n) : whole.format(n)} ${units[i]}`;
}

/** How long an answer took; from top on it is only known to be at least that. */
export function took(seconds, top = Infinity) {
  if (!given(seconds)) return unknown;
  if (seconds >= top) return `≥ ${whole.format(top)} s`;
  return seconds < 1 ? `${fine.format(seconds * 1000)} ms` : `${seconds < 10 ? fine.format(seconds) : whole.format(seconds)} s`;
}

/** A limit in the server's words, or that there is none. */
export function rule(written, what) {
  if (typeof written !== "string") return unknown;
  return written === "off" ? `${what} without a limit` : written;
}

/** How long something has been: the two largest units. */
export function duration(ms) {
  if (!given(ms)) return unknown;
  const s = Math.max(0, Math.floor(ms / 1000));
  /** @type {[number, string][]} */
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

/** A time of the day. */
export function time(at) { return day.format(at); }

/** An id, short enough for a table. */
export function shortId(id) { return String(id ?? "").slice(0, 6); }

/** A provider's state at a worker. */
export function state(word) {
  return { ready: "ready", needs_key: "needs the user's key", resting: "rests" }[word] ?? String(word);
}

const causes = { memory: "memory", lag: "CPU" };

/**
 * How hard pressed the process is: "stage 1, memory".
 * @param {{ stage: number | null, why: string }} pressure
 */
export function pressed({ stage, why }) {
  if (!given(stage)) return unknown;
  if (!stage) return "none";
  return [`stage ${stage}`, Object.hasOwn(causes, why) ? causes[why] : why].filter(Boolean).join(", ");
}

/** How much of the limits holds: 1 is all of them. */
export function share(factor) { return given(factor) ? `${whole.format(factor * 100)} %` : unknown; }

const reasons = {
  failing: "fails",
  limited: "limited by the vendor",
  spent: "out of credit",
  refused: "refused by the vendor",
};

/**
 * What a worker leaves alone, and why: "openai, key 0f3a5bd1, for one model: limited by the vendor".
 * @param {{ provider: string, key?: string, one_model?: boolean, why: string }} rest
 */
export function rest({ provider, key, one_model: oneModel, why }) {
  const parts = [provider];
  if (key) parts.push(`key ${key.slice(0, 8)}`);
  if (oneModel) parts.push("for one model");
  return `${parts.join(", ")}: ${Object.hasOwn(reasons, why) ? reasons[why] : why}`;
}

/** The seconds that a rest still has, some time after the server told them. */
export function left(seconds, sinceMs) {
  const n = Math.ceil(seconds - sinceMs / 1000);
  return n > 0 ? `${duration(n * 1000)} left` : "over any moment";
}
