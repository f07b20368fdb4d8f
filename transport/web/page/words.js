// What the page says, where it says it of data. Pure.

/** What an answer that has not ended is doing. */
export function doing(state, position) {
  switch (state) {
    case "unsent": return "Will be sent once connected.";
    case "queued": return `Waiting for room…${position === 1 ? " You are next." : position > 1 ? ` You are number ${position}.` : ""}`;
    case "waiting": return "Thinking…";
    case "streaming": case "stopping": return ""; // the text is what there is to see: words below it would be pushed along
    case "unstopped": return "Will be stopped once connected.";
    case "unconfirmed": return "The server has not said yet that it stopped.";
    case "elsewhere": return "Asked in another tab…";
    default: return "Asking…";
  }
}

/** How an answer ended: who answered, and what is worth knowing of the end. */
export function ending({ state, result = {} }) {
  const words = [];
  if (state === "stopped") words.push("Stopped");
  if (result.finishReason === "length") words.push("cut at the longest answer");
  if (result.provider) words.push(result.provider);
  if (result.model) words.push(result.model);
  if (result.usage) words.push(tokens(result.usage));
  return words.join(" · ");
}

function tokens({ output_tokens: count = 0, estimated }) {
  return `${estimated ? "about " : ""}${count.toLocaleString("en")} ${count === 1 ? "token" : "tokens"}`;
}

/** What went wrong with an answer, and what that means to what is there of it. */
export function troubleWords({ answer, trouble }) {
  if (trouble.code !== "RUN_NOT_FOUND") return answer ? `This answer is incomplete. ${trouble.message}` : trouble.message;
  return answer ? "This answer is incomplete. The rest of it cannot be fetched any more." : "This answer cannot be fetched any more.";
}

/** Where the remedy is in the settings rather than in asking again. */
export function isAboutChoice({ code }) {
  return ["PROVIDER_UNAUTHORIZED", "UNKNOWN_PROVIDER", "UNKNOWN_MODEL", "NO_WORKERS"].includes(code);
}

/** A conversation's name from its first question: the first line, cut between words. */
export function titleOf(question, longest = 60) {
  const line = question.trim().split(/\s*\n\s*/, 1)[0].replace(/\s+/g, " ");
  const letters = Array.from(line); // not in the middle of an emoji
  if (letters.length <= longest) return line || "New chat";
  const cut = letters.slice(0, longest - 1).join("");
  const space = cut.lastIndexOf(" ");
  return `${space > longest / 2 ? cut.slice(0, space) : cut}…`;
}

/** A provider of the picker, with its state in words. */
export function offerLabel({ name, state }) {
  if (state === "needs_key") return `${name} (needs your key)`;
  if (state === "resting") return `${name} (resting)`;
  return name;
}

/** What to know about a provider before asking it. */
export function offerNote(offer) {
  if (!offer) return "";
  const { state, retry_after: seconds, name } = offer;
  if (state === "needs_key") return `${name} answers with your own key only.`;
  if (state === "resting") return `${name} failed lately and is left alone${seconds ? ` for another ${seconds} s` : " for a while"}. A question is refused meanwhile.`;
  return "";
}

/** Groups of the list, by how long ago something was said. */
export function ageOf(time, now = Date.now()) {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (time >= midnight) return "Today";
  return time >= new Date(midnight).setDate(new Date(midnight).getDate() - 7) ? "Last seven days" : "Earlier";
}
