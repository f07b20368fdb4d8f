// Records as the page may rely on them, whatever was read: storage can be damaged, or written by another version. What is
// wrong gives way to something harmless; a record that names nothing is left out, and none takes the others along. Pure.

const text = value => (typeof value === "string" ? value : "");
const number = value => (Number.isFinite(value) && value >= 0 ? value : 0);
const object = value => (typeof value === "object" && value !== null ? value : {});

/** Of an object what is of the right type. */
function only(value, types) {
  return Object.fromEntries(Object.entries(object(value)).filter(([name, one]) => typeof one === types[name] && !Number.isNaN(one)));
}

const settingTypes = { provider: "string", model: "string", system: "string", temperature: "number", maxTokens: "number" };
const resultTypes = { provider: "string", model: "string", finishReason: "string" };
const states = ["running", "complete", "stopped", "failed"];

/** A conversation, or null. */
export function soundConversation(record) {
  const { id, title, created, updated, settings, shown, running } = object(record);
  if (!text(id)) return null;
  return {
    ...record,
    title: text(title).trim() ? title : "Untitled",
    created: number(created),
    updated: number(updated),
    settings: only(settings, settingTypes),
    shown: Object.fromEntries(Object.entries(object(shown)).filter(([, turn]) => text(turn))),
    running: text(running),
  };
}

/** A turn, or null. One whose end is not known has failed. */
export function soundTurn(record) {
  const { id, conversation, parent, created, question, asked, answer, reasoning, runId, seq, state, result, trouble } = object(record);
  if (!text(id) || !text(conversation)) return null;
  const turn = {
    ...record,
    parent: text(parent),
    created: number(created),
    question: text(question),
    asked: only(asked, settingTypes),
    answer: text(answer),
    reasoning: text(reasoning),
    runId: text(runId),
    seq: number(seq),
    state: states.includes(state) ? state : "failed",
  };
  if (result !== undefined) turn.result = soundResult(result);
  if (turn.state === "failed") turn.trouble = soundTrouble(trouble);
  return turn;
}

function soundResult(result) {
  const { output_tokens: count, estimated } = object(object(result).usage);
  const usage = Number.isFinite(count) ? { usage: { ...result.usage, output_tokens: number(count), estimated: estimated === true } } : {};
  return { ...only(result, resultTypes), ...usage };
}

function soundTrouble(trouble) {
  const { code, message, retryable, retryAt } = object(trouble);
  return {
    code: text(code) || "INTERNAL",
    message: text(message) || "What went wrong was not kept.",
    retryable: retryable === true,
    retryAt: number(retryAt),
  };
}
