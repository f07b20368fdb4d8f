/**
 * The highlighter, in a thread of its own: what its grammars make of a hostile text can take minutes. It tells when
 * it has the language, and from then on lib/highlight.js counts.
 */
import highlighter from "../third_party/hljs/core.js";

addEventListener("message", async ({ data: { language, code } }) => {
  try {
    if (!highlighter.getLanguage(language)) {
      const grammar = await import(`../third_party/hljs/languages/${language}.js`);
      highlighter.registerLanguage(language, grammar.default);
    }
    postMessage({ loaded: true });
    postMessage({ html: highlighter.highlight(code, { language, ignoreIllegals: true }).value });
  } catch {
    postMessage({ failed: true });
  }
});
