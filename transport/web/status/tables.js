// Workers and gateways. The roles are written out because narrow screens show
// the rows as blocks, and a table that is no longer laid out as one would stop
// being one for screen readers.

import { bar, element, keep, setAttribute, setBar, setText } from "./dom.js";
import { count, left, rest, shortId, state, unknown } from "./words.js";

/** @typedef {import("./reading.js").Reading} Reading */

export class Tables {
  #workers;
  #gateways;
  #noWorkers;
  #rests = []; // those that count down: where, how long, since when

  /** @param {ParentNode} root */
  constructor(root) {
    this.#workers = root.querySelector("#workers tbody");
    this.#gateways = root.querySelector("#gateways tbody");
    this.#noWorkers = root.querySelector("#no-workers");
  }

  /** @param {Reading} r */
  show(r) {
    this.#rests = [];
    this.#noWorkers.hidden = r.workers.length > 0;
    keep(this.#workers, r.workers, w => String(w.id), () => row("Worker", "Version", "Runs", "Providers", "Left alone"), (tr, w) => {
      const [id, version, runs, providers, rests] = tr.children;
      named(id, w, "");
      setText(version, w.version || unknown);
      load(runs, w);
      keep(listIn(providers), Object.entries(w.states ?? {}), ([name]) => name, () => element("li"),
        (li, [name, is]) => { setText(li, `${name}: ${state(is)}`); setAttribute(li, "data-is", is); });
      this.#leftAlone(rests, w.rests ?? [], r.at);
    });
    keep(this.#gateways, r.gateways, g => String(g.id), () => row("Gateway", "Version", "Runs"), (tr, g) => {
      const [id, version, runs] = tr.children;
      named(id, g, g.self ? "this one" : "");
      setText(version, g.version || unknown);
      setText(runs, count(g.active));
    });
    this.tick(Date.now());
  }

  /** Lets the seconds of the rests go on between two readings. */
  tick(now) {
    for (const { node, seconds, at } of this.#rests) setText(node, ` · ${left(seconds, now - at)}`);
  }

  #leftAlone(cell, rests, at) {
    const items = rests.map(r => ({ ...r, words: rest(r) }));
    const seen = new Map(); // one key may rest for several models, which read alike
    for (const item of items) {
      const n = seen.get(item.words) ?? 0;
      seen.set(item.words, n + 1);
      item.name = `${n} ${item.words}`;
    }
    keep(listIn(cell), items.length ? items : [{ name: "", words: "nothing" }], item => item.name,
      item => element("li", { class: item.name ? "" : "soft" }, element("span", { text: item.words }), element("span", { class: "seconds" })),
      (li, item) => { if (item.name) this.#rests.push({ node: li.lastElementChild, seconds: item.seconds, at }); });
  }
}

function row(first, ...others) {
  return element("tr", { role: "row" },
    element("th", { role: "rowheader", scope: "row", "data-label": first }),
    ...others.map(label => element("td", { role: "cell", "data-label": label })));
}

function listIn(cell) {
  if (!cell.firstElementChild) cell.append(element("ul", { class: "bare" }));
  return cell.firstElementChild;
}

// Who it is, and what is to be known of it.
function named(cell, { id, draining }, remark) {
  if (!cell.firstElementChild) {
    cell.append(element("span", {}, element("code", { title: String(id), text: shortId(id) }), element("span", { class: "remark" })));
  }
  setText(cell.firstElementChild.lastElementChild, [remark, draining && "draining"].filter(Boolean).map(word => ` · ${word}`).join(""));
}

function load(cell, { id, active, capacity }) {
  if (!cell.firstElementChild) cell.append(element("span", { class: "share" }), bar(`Room of worker ${shortId(id)} in use`));
  setText(cell.firstElementChild, `${count(active)} of ${count(capacity)}`);
  setBar(cell.lastElementChild, active, capacity);
}
