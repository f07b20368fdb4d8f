/**
 * Copies text, also where the page's origin is not secure and the browser therefore has no clipboard for it.
 * `near` is the element that asks for it. Resolves with whether it worked.
 */
export async function copyText(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text, near);
  }
}

function copySelected(text, near) {
  const focused = near.getRootNode().activeElement ?? document.activeElement;
  const area = document.createElement("textarea");
  area.className = "hidden";
  area.readOnly = true;
  area.value = text;
  (near.closest("dialog[open]") ?? document.body).append(area); // all else is inert behind a dialog
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true });
  return done;
}

/** A button that copies what `text()` gives, and says so for a moment. */
export function copyButton(label, text, name = label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = label;
  if (name !== label) button.setAttribute("aria-label", name);
  let back;
  button.addEventListener("click", async () => {
    const done = await copyText(text(), button);
    button.textContent = done ? "Copied" : "Not copied";
    button.setAttribute("aria-label", done ? "Copied" : "Not copied");
    clearTimeout(back);
    back = setTimeout(() => {
      button.textContent = label;
      if (name !== label) button.setAttribute("aria-label", name);
      else button.removeAttribute("aria-label");
    }, 2000);
  });
  return button;
}
