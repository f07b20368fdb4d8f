// Forgetting the rate limits, asked twice because every client starts anew.

import { resetLimits } from "./ask.js";
import { setText } from "./dom.js";
import { counted } from "./words.js";

/**
 * @param {{ button: HTMLButtonElement, dialog: HTMLDialogElement, yes: HTMLButtonElement, no: HTMLButtonElement,
 *   result: HTMLElement, onDone: () => void }} o
 */
export function offerReset({ button, dialog, yes, no, result, onDone }) {
  button.addEventListener("click", () => dialog.showModal());
  no.addEventListener("click", () => dialog.close());
  yes.addEventListener("click", async () => {
    dialog.close();
    button.disabled = true;
    setText(result, "Resetting the rate limits…");
    try {
      setText(result, `Rate limits reset: ${counted(await resetLimits(), "key")} cleared.`);
      onDone();
    } catch (err) {
      setText(result, `The rate limits were not reset, as far as is known. ${err.message}`);
    } finally {
      button.disabled = false;
      button.focus(); // it had it, until it was disabled
    }
  });
}
