/** For the counter-check of the attack tests: raw HTML and any address go into the HTML. */
import { parser } from "../test/node_modules/marked/lib/marked.esm.js";

export function units(tokens) {
  return [{ kind: "block", html: `<p>${parser(tokens)}</p>` }];
}
