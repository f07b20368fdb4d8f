/** Makes an element. What is given as text is text, whatever it looks like. */
export function make(name, { className, text, ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(attribute, "");
    else if (value !== false && value !== undefined) element.setAttribute(attribute, value);
  }
  element.append(...children);
  return element;
}

export function button(text, onClick, { className = "quiet", name } = {}) {
  const made = make("button", { type: "button", className, text, "aria-label": name });
  made.addEventListener("click", onClick);
  return made;
}

/** A button that is a picture from the symbols of the page; its name is for screen readers and as a hint. */
export function iconButton(icon, name, onClick, className = "quiet icon") {
  const made = button("", onClick, { className, name });
  made.title = name;
  made.append(picture(icon));
  return made;
}

const svg = "http://www.w3.org/2000/svg";

function picture(icon) {
  const image = document.createElementNS(svg, "svg");
  image.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(svg, "use");
  use.setAttribute("href", `#icon-${icon}`);
  image.append(use);
  return image;
}

export const byId = id => document.getElementById(id);

let announcer;

/** Says something to screen readers, and to nobody else. */
export function announce(words) {
  announcer ??= byId("spoken");
  announcer.textContent = announcer.textContent === words ? `${words}\u00a0` : words; // the same again is said again
}

/** Whether a key press sends: Enter alone, and not the one that ends an input method's word (229 is Safari's way of saying it). */
export function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.altKey && !event.isComposing && event.keyCode !== 229;
}

const grows = globalThis.CSS?.supports("field-sizing", "content");

/** Lets a text box grow with its text where the browser does not do so by itself. */
export function grow(field) {
  if (grows) return;
  const fit = () => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  };
  field.addEventListener("input", fit);
  fit();
}
