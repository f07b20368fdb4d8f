import { Troupe } from "../client/troupe.js";
import { announce, button, byId } from "./dom.js";
import { Chat } from "./chat.js";
import { Composer, showConnection } from "./composer.js";
import { Conversations, Drawer, offerUndo } from "./conversations.js";
import { drafts, Keys } from "./local.js";
import { Offers } from "./offers.js";
import { Store } from "./store.js";
import { Scroll, Thread } from "./thread.js";
import { doing, isAboutChoice } from "./words.js";

const examples = [
  "Explain how a rainbow comes about, as if to a curious child.",
  "Plan a quiet weekend in a city by the sea.",
  "What makes a good test, and what makes a bad one? Show both in code.",
];

const client = new Troupe({ onDisconnect: "continue", reasoning: true });
showConnection(client);

const store = await Store.open();
const keys = new Keys();
const drawer = new Drawer();
const composer = new Composer({ onAsk: ask, onStop: () => chat.stop(), onEditLast: () => lastView()?.edit() });
const scroll = new Scroll([byId("turns"), byId("foot")], byId("end"));
const thread = new Thread(byId("turns"), { again, edit, version, choice: openSettings });
const list = new Conversations({
  open: () => drawer.close(),
  rename: (id, title) => chat.rename(id, title),
  remove,
});
const offers = new Offers(client, () => { dialog?.then(settings => settings.refresh()); showChosen(); });
let dialog; // of the settings, once it was wanted
const chat = new Chat(client, store, keys, offers, {
  onChange: show,
  onEnd: ended,
  onDoing: (turn, state) => announce(state === "sent" ? "Sent." : doing(state)),
});

// What is shown.

function show() {
  thread.show(chat.path, chat.turns, chat.runs);
  composer.show(chat.busy);
  byId("empty").hidden = chat.path.length > 0;
  const title = chat.conversation?.title ?? "New chat";
  byId("title").textContent = title;
  document.title = chat.conversation ? `${title} · Troupe` : "Troupe";
  showChosen();
}

function showChosen() {
  const { provider, model } = chat.settings;
  const offer = offers.meant(provider);
  const words = [provider ?? offer?.name, model ?? offer?.default_model].filter(Boolean);
  byId("chosen").textContent = words.join(" · ") || "Provider and model";
}

async function showList() {
  list.show(await store.conversations(), chat.id);
}

function showNote(words) {
  byId("note").textContent = words;
  byId("note").hidden = !words;
}

function ended(turn) {
  if (turn.state === "failed") {
    if (isAboutChoice(turn.trouble) || turn.trouble.code.startsWith("PROVIDER_")) offers.refresh();
  } else if (chat.shows(turn)) {
    announce(turn.state === "stopped" ? "Stopped." : "The answer is finished.");
  }
}

function lastView() {
  const last = chat.path.at(-1);
  return last && thread.view(last.id);
}

// Where we are: the address says which conversation.

function route() {
  const id = /^#\/c\/([a-z0-9]+)$/.exec(location.hash)?.[1] ?? "";
  return go(id);
}

async function go(id) {
  if (id === chat.id && chat.opened) return;
  thread.clear();
  const known = await chat.open(id).catch(() => null);
  if (known === null) { // what is asked now begins something new: it must not go where it is not seen
    history.replaceState(null, "", location.pathname);
    await chat.open("");
    composer.open("");
    show();
    showNote("This browser does not give its conversations now. Reload the page to see them.");
    return;
  }
  if (known === undefined) return; // somewhere else meanwhile
  composer.open(chat.id);
  showNote(known ? store.trouble : "This conversation is not in this browser. Your question begins a new one.");
  if (!known) history.replaceState(null, "", location.pathname);
  show();
  scroll.toEnd();
  await showList();
}

function newChat() {
  drawer.close();
  if (chat.id) history.pushState(null, "", location.pathname);
  go("");
  composer.focus();
}

// What is done.

function ask(text) {
  const fresh = !chat.id;
  chat.ask(text);
  if (fresh) {
    history.replaceState(null, "", `#/c/${chat.id}`);
    composer.open(chat.id);
  }
  asked();
}

function asked() {
  scroll.toEnd();
  showNote(store.trouble);
  settings().catch(() => {});
}

function again(turn) {
  chat.again(turn);
  composer.focus();
  asked();
}

function edit(turn, question) {
  chat.ask(question, turn.parent);
  composer.focus();
  asked();
}

function version(id) {
  const name = document.activeElement?.ariaLabel;
  scroll.hold();
  chat.showVersion(id);
  const buttons = [...thread.view(id).element.querySelectorAll(".versions button:enabled")];
  (buttons.find(made => made.ariaLabel === name) ?? buttons[0])?.focus();
}

async function remove(id) {
  const next = list.neighbour(id);
  chat.runs.drop(id);
  const gone = await store.remove(id);
  if (id === chat.id) {
    history.replaceState(null, "", location.pathname);
    await go("");
  }
  const typed = drafts.take(id);
  await showList();
  if (next) list.focus(next); else byId("new").focus();
  announce("Deleted.");
  if (!gone.conversation) return; // another tab was faster
  offerUndo(`Deleted “${gone.conversation.title}”.`, async () => {
    drafts.put(typed);
    await store.restore(gone);
    await showList();
    list.focus(id);
  });
}

async function removeAll() {
  chat.runs.drop();
  await store.removeAll();
  history.replaceState(null, "", location.pathname);
  await go("");
  drafts.take("");
  await showList();
  composer.focus();
  announce("All conversations are deleted.");
}

// The dialog's code comes with the first question, or when the dialog is opened before that.
function settings() {
  dialog ??= import("./settings.js").then(({ Settings }) => new Settings(offers, keys, {
    settings: () => chat.settings,
    change: fields => { chat.changeSettings(fields); showChosen(); },
    count: async () => (await store.conversations()).length,
    removeAll,
  }));
  dialog.catch(() => { dialog = undefined; }); // another time, then
  return dialog;
}

async function openSettings() {
  try {
    (await settings()).open();
  } catch {
    showNote("The settings could not be loaded: the server cannot be reached.");
  }
}

// These end or refuse a connection, and the words beside its state say so.
const TOLD_BY_STATE = new Set(["CONNECTION_LIMIT_EXCEEDED", "CONNECTION_RATE_EXCEEDED", "SESSION_LIMIT_EXCEEDED", "SHUTTING_DOWN", "IDLE_TIMEOUT", "SLOW_CONSUMER"]);

// Buttons and keys.

byId("new").addEventListener("click", newChat);
byId("open-settings").addEventListener("click", openSettings);
byId("chosen").addEventListener("click", openSettings);
byId("skip").addEventListener("click", event => { event.preventDefault(); composer.focus({ wanted: true }); }); // the address is the conversation's
byId("examples").append(...examples.map(text => button(text, () => { composer.fill(text); composer.focus({ wanted: true }); }, { className: "example" })));

addEventListener("keydown", event => {
  if (event.defaultPrevented || event.isComposing || byId("settings").open) return;
  if (event.key === "Escape") chat.stop();
  if (event.shiftKey && (event.ctrlKey || event.metaKey) && event.code === "KeyO") {
    event.preventDefault();
    newChat();
  }
});
addEventListener("popstate", route);
document.addEventListener("visibilitychange", () => { if (!document.hidden) chat.resume(); });
client.on("error", error => { if (!TOLD_BY_STATE.has(error.code)) showNote(error.message); });
store.onChange(async ({ about, conversation, id }, fromElsewhere) => {
  if (about === "trouble") showNote(store.trouble);
  if (about === "conversations") {
    await showList();
    if (fromElsewhere) await chat.reread();
  }
  if (about === "removed" && fromElsewhere) {
    if (chat.removed(conversation)) {
      await route();
      showNote("This conversation was deleted in another tab.");
    }
    drafts.take(conversation);
  }
  if (about === "turn" && fromElsewhere) await chat.heard(conversation, id);
});

history.scrollRestoration = "manual";
offers.refresh();
await route();
composer.focus();
chat.resumeOthers();
