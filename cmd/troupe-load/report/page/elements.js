// Elements. Text becomes text and nothing else: no markup is ever parsed.
function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null && c !== false && c !== ""));
  return e;
}

/** Text that somebody else wrote, without what is invisible or turns the direction of writing. */
const foreign = (text, tag = "span") => make(tag, { class: "foreign" }, clean(String(text ?? "")));

/** A table in a box that scrolls. Cells are texts or nodes. */
function table(caption, head, rows, kind) {
  const t = make("table", { class: kind, "aria-label": caption },
    make("thead", {}, make("tr", {}, ...head.map((h) => make("th", { scope: "col" }, h)))));
  const body = make("tbody");
  for (const [first, ...cells] of rows) {
    body.append(make("tr", {}, make("td", {}, first), ...cells.map((c) => make("td", {}, c))));
  }
  t.append(body);
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, t);
}

/** A table that is made when somebody opens it: a long run has thousands of rows. */
function folded(summary, build) {
  const d = make("details", {}, make("summary", {}, summary));
  d.addEventListener("toggle", () => d.open && d.children.length === 1 && d.append(build()));
  return d;
}

const section = (title, ...children) => make("section", {}, make("h2", {}, title), ...children);
