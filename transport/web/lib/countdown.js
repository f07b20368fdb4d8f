import { secondsUntil } from "./connection.js";
import { copyButton } from "./copy.js";

/**
 * An element that shows what went wrong: the words, the line to add where an origin is refused, the seconds until asking
 * again helps, and then the button for it. The seconds are hidden from screen readers, to whom an alert that changes every
 * second would be read every second; they hear the words, and then that the button is there.
 *
 * @param {{message: string, retryable?: boolean, retryAt?: number, config?: string, env?: string}} error a TroupeError, or
 *   what was kept of one
 * @param {{again?: () => void, always?: boolean, label?: string, remedy?: HTMLElement, news?: boolean}} [options] `again` is
 *   the button's work; `always` offers it also where asking again unchanged may not work; `remedy`, a
 *   button to what may help, stands before it; `news: false` for what failed before and is only shown again, of which no
 *   screen reader is to speak
 */
export function trouble(error, { again, always = false, label = "Ask again", remedy, news = true } = {}) {
  const box = make("div", "trouble");
  if (news) box.setAttribute("role", "alert");
  box.append(make("p", "trouble-words", error.message));
  if (error.config) box.append(configLines(error));
  const row = make("p", "trouble-row");
  if (remedy) row.append(remedy);
  if (again && (always || error.retryable)) row.append(when(error.retryAt ?? 0, again, label));
  if (row.firstChild) box.append(row);
  return box;
}

/** The lines that would allow this page's origin, to copy: for the configuration file, or for the environment. */
export function configLines({ config, env }) {
  const lines = make("dl", "config");
  for (const [where, line] of [["Configuration", config], ["Or as a variable", env]]) {
    if (!line) continue;
    const row = make("dd");
    row.append(make("code", "", line), copyButton("Copy", () => line, `Copy: ${where}`));
    lines.append(make("dt", "", where), row);
  }
  return lines;
}

function when(at, again, label) {
  const place = make("span");
  const tick = () => {
    const left = secondsUntil(at);
    if (left > 0) {
      const words = make("span", "trouble-count", `You can ask again in ${left} s.`);
      words.setAttribute("aria-hidden", "true");
      place.replaceChildren(words);
      // At the moment when the number changes, and no longer than somebody can see it.
      setTimeout(() => { if (place.isConnected) tick(); }, ((at - Date.now() - 1) % 1000) + 1);
      return;
    }
    const button = make("button", "plain", label);
    button.type = "button";
    button.addEventListener("click", again);
    place.replaceChildren(button);
  };
  tick();
  return place;
}

function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}
