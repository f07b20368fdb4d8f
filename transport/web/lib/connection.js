// Words for the state of the connection. Pure, so that every page says the same of the same state.

/** Whole seconds from now until a time; never negative. */
export function secondsUntil(until, now = Date.now()) {
  return Math.max(0, Math.ceil((until - now) / 1000));
}

/**
 * @param {import("../client/troupe.js").ConnectionState} state
 * @param {number} now as Date.now()
 * @returns {{is: string, text: string, detail?: string, config?: string, env?: string, until?: number, again?: boolean}}
 *   `text` is one short line; `detail` says why; `config` is the line that would allow the page, `env` the same as a
 *   variable; while `until` is to come, the words change every second; `again`: a button "Try now" makes sense. Both are
 *   missing where the WebSocket will not be tried again, because there is none to try.
 */
export function describe(state, now = Date.now()) {
  const { is, why, until } = state;
  switch (is) {
    case "connected":
      return { is, text: "Connected" };
    case "connecting":
      return { is, text: state.attempt > 1 ? "Connecting again…" : "Connecting…" };
    case "waiting":
      return { is, text: `${waits(why)} ${next(until, now)}`, detail: why?.message, until, again: true };
    case "http":
      return { is, text: "Connected over HTTP", ...overHTTP(why?.message ?? "No WebSocket gets through.", until, now) };
    case "refused":
      return why?.code === "ORIGIN_NOT_ALLOWED"
        ? { is, text: "This page may not connect", detail: why.message, config: why.config || undefined, env: why.env || undefined, again: true }
        : { is, text: "Not connected", detail: why?.message, again: true };
    case "closed":
      return { is, text: "Closed" };
    default:
      return { is, text: "Not connected", detail: `${why ? `${why.message} ` : ""}The next question connects.` };
  }
}

function overHTTP(why, until, now) {
  if (!Number.isFinite(until)) return { detail: `${why} Answers come over HTTP.` };
  return { detail: `${why} Answers come over HTTP meanwhile. ${next(until, now, "The WebSocket is tried again")}`, until, again: true };
}

function waits(why) {
  switch (why?.code) {
    case "SHUTTING_DOWN": return "The server is restarting.";
    case "CONNECTION_LIMIT_EXCEEDED": return "No room for another connection.";
    case "CONNECTION_RATE_EXCEEDED": return "Too many connections in a short time.";
    case "SESSION_LIMIT_EXCEEDED": return "Too many new sessions.";
    default: return "Not connected.";
  }
}

function next(until, now, what = "Trying again") {
  const seconds = secondsUntil(until, now);
  return seconds > 0 ? `${what} in ${seconds} s.` : `${what} now.`;
}
