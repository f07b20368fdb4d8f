/** Makes an element: functions listen, other properties are attributes (true: empty; false, null: left out), text stays text. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value != null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** A button that is a line drawing of 24 × 24; its name is for screen readers and as a hint. */
export function iconButton(name, drawing, properties) {
  const make = (part, attribute, value) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", part);
    element.setAttribute(attribute, value);
    return element;
  };
  const svg = make("svg", "viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(make("path", "d", drawing));
  return h("button", { class: "quiet", type: "button", "aria-label": name, title: name, ...properties }, svg);
}
