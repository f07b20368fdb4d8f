// A visitor runs no server: what only the page's owner can change is said calmly to the one and in full to the other.
import { describe } from "../lib/connection.js";

const REFUSED = { ORIGIN_NOT_ALLOWED: "This chat is not open to this page yet.", PRODUCT_NOT_FOUND: "This chat is not set up yet." };

/** Words for the state of the connection: those of every page, except where a visitor needs others. */
export function stateWords(state, product, now = Date.now()) {
  const { is, why } = state;
  if (is === "idle") return { is, text: "Ready" }; // that an unused socket was closed is no news to a visitor
  if (is !== "refused") return describe(state, now);
  const lines = why.code === "PRODUCT_NOT_FOUND" ? [`products: {${JSON.stringify(product)}: {name: "…"}}`] : [why.config, why.env].filter(Boolean);
  return { is, text: REFUSED[why.code] ?? "This chat is not available.", owner: { words: why.message, lines } };
}

/** What a failed answer shows; where the page itself is refused, the foot of the panel has the rest. */
export function failureOf({ code, message, retryable, retryAt }) {
  if (code === "RUN_NOT_FOUND") return { message: "The rest of this answer is lost.", retryable: true, retryAt: 0 }; // as a new question it may work
  return { message: REFUSED[code] ?? message, retryable: retryable && !(code in REFUSED), retryAt };
}

/** The line below an answer that runs; empty while it streams: then the text speaks. */
export function progress(state, position) {
  switch (state) {
    case "unsent": return "Will be sent as soon as there is a connection.";
    case "sent": return "Sent…";
    case "queued": return position > 0 ? `Waiting for room, number ${position} in the queue…` : "Waiting for room…";
    case "waiting": return "Thinking…";
    case "stopping": return "Stopping…";
    default: return "";
  }
}

/** What stays below an answer that ended, and what a screen reader hears at its end. A failure is spoken by its alert. */
export function ending({ end, text, cut }) {
  if (end === "cancelled") return { note: text ? "Stopped." : "Stopped before the first word.", spoken: "Stopped." };
  if (end === "failed") return { note: text ? "This answer is not complete." : "", spoken: "" };
  return { note: cut ? "Cut here: this is the longest answer allowed." : "", spoken: "Answer finished." };
}
