// Small changes to the document. What is the same already is not touched, so
// that a selection or a tooltip outlives the next reading.

/**
 * @param {string} name
 * @param {{ class?: string, text?: string, [attribute: string]: string | undefined }} [attributes]
 * @param {...(Node | string)} children
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    if (key === "text") made.textContent = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const svgSpace = "http://www.w3.org/2000/svg";

/**
 * @param {string} name
 * @param {Record<string, string>} [attributes]
 */
export function svg(name, attributes = {}) {
  const made = document.createElementNS(svgSpace, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Brings a parent's children in line with items: made once for each key, then
 * only updated, in the items' order.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => Element} make
 * @param {(element: any, item: T) => void} update
 */
export function keep(parent, items, key, make, update) {
  const known = new Map([...parent.children].map(child => [/** @type {any} */ (child).keptAs, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    known.delete(name);
    if (!child) {
      child = make(item);
      /** @type {any} */ (child).keptAs = name;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}

/** A bar that tells how much of something is used. */
export function bar(label) {
  return element("span", { class: "bar", role: "meter", "aria-label": label, "aria-valuemin": "0" }, element("span"));
}

/**
 * @param {HTMLElement} meter  of bar()
 * @param {number | null} used
 * @param {number | null} of
 */
export function setBar(meter, used, of) {
  const share = of > 0 ? Math.min(1, used / of) : 0;
  setAttribute(meter, "aria-valuemax", String(of > 0 ? of : 1));
  setAttribute(meter, "aria-valuenow", String(of > 0 ? Math.min(used, of) : 0));
  setAttribute(meter, "aria-valuetext", of > 0 ? `${used} of ${of}` : "nothing to use");
  const fill = /** @type {HTMLElement} */ (meter.firstElementChild);
  const width = `${Math.round(share * 1000) / 10}%`;
  if (fill.style.width !== width) fill.style.width = width;
}
