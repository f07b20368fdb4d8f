// The line on top: whether the numbers are true now, and if not, how old they are.

import { duration, time } from "./words.js";

const soon = 5000; // an answer that is older is not called live

/**
 * fact changes when something happens and may be spoken; since counts seconds
 * and may not. is becomes "asking" where the next answer lets itself be waited for.
 * @param {import("./poller.js").PollState} state
 * @param {number | null} readAt  of the last answer
 * @param {number} now
 * @returns {{ is: "asking" | "live" | "away" | "paused", fact: string, since: string }}
 */
export function headline(state, readAt, now) {
  const age = readAt === null ? "No values yet." : `Values are from ${time(readAt)}, ${duration(now - readAt)} ago.`;
  if (state.is === "paused") return { is: "paused", fact: "Paused.", since: age };
  if (state.is === "away") {
    const seconds = Math.ceil((state.nextAt - now) / 1000);
    return { is: "away", fact: state.why, since: `${seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…"} ${age}` };
  }
  if (state.is === "live" && readAt !== null && now - readAt <= soon) return { is: "live", fact: "Live.", since: `Updated ${time(readAt)}.` };
  return { is: "asking", fact: "Asking the server…", since: age };
}

/**
 * Why lines are broken and counters small, where they are.
 * @param {import("./history.js").Mark[]} marks
 */
export function note(marks) {
  const mark = marks.at(-1);
  if (!mark) return "";
  return mark.what === "restarted" ? `Restarted at ${time(mark.at)}: all counters began again.`
    : `Another gateway answers since ${time(mark.at)}: its counters are its own.`;
}
