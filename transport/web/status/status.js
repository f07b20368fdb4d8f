// The operators' page: reads the server every two seconds while it is seen,
// and says at all times how old the numbers are.

import { read } from "./ask.js";
import { charts } from "./charts.js";
import { element, keep, setAttribute, setText } from "./dom.js";
import { History } from "./history.js";
import { Numbers } from "./numbers.js";
import { Poller } from "./poller.js";
import { warnings } from "./reading.js";
import { offerReset } from "./reset.js";
import { headline, note } from "./state.js";
import { Tables } from "./tables.js";
import { shortId } from "./words.js";

const $ = id => /** @type {any} */ (document.getElementById(id));

const history = new History();
const numbers = new Numbers(document);
const tables = new Tables(document);
const drawn = charts($("charts"));
/** @type {import("./reading.js").Reading | null} */
let last = null;

const poller = new Poller({ ask: read, onAnswer: show, onState: told });

function show(reading) {
  last = reading;
  history.add(reading);
  numbers.show(reading);
  tables.show(reading);
  drawn.show(history, last, reading.at);
  showWarnings(warnings(reading));
  setText($("server"), `Troupe ${reading.version}${reading.self.id ? `, gateway ${shortId(reading.self.id)}` : ""}`);
  setAttribute($("server"), "title", reading.self.id ?? "");
  setText($("note"), note(history.marks));
  tick();
}

function showWarnings(all) {
  $("warnings").hidden = !all.length;
  keep($("warnings").querySelector("ul"), [...new Set(all)], text => text, text => element("li", { text }), () => {});
}

function told(state) {
  if (state.is === "away") drawn.show(history, last, Date.now()); // the lines end, time goes on
  setText($("pause"), state.is === "paused" ? "Resume" : "Pause");
  tick();
}

// Once a second: ages and countdowns.
function tick() {
  const now = Date.now(), { is, fact, since } = headline(poller.state, last?.at ?? null, now);
  setAttribute($("state"), "data-is", is);
  setText($("fact"), fact);
  setText($("since"), since);
  if (is !== "away" && document.activeElement === $("now")) $("pause").focus(); // it vanishes
  $("now").hidden = is !== "away";
  $("values").classList.toggle("stale", is !== "live");
  tables.tick(now);
}

$("pause").addEventListener("click", () => { if (poller.state.is === "paused") poller.start(); else poller.pause(); });
$("now").addEventListener("click", () => poller.start());
offerReset({
  button: $("reset"), dialog: $("sure"), yes: $("yes"), no: $("no"), result: $("result"),
  onDone: () => { if (poller.state.is !== "paused") poller.start(); },
});

let ticking = 0;
function seen() {
  clearInterval(ticking);
  if (document.hidden) { poller.halt(); return; }
  ticking = setInterval(tick, 1000);
  if (poller.state.is !== "paused") poller.start();
  tick();
}
document.addEventListener("visibilitychange", seen);
addEventListener("online", () => { if (poller.state.is === "away" && !document.hidden) poller.start(); });
drawn.show(history, null, Date.now());
seen();
