/**
 * Colours for code. The highlighter and each language come over the network when code of that language is first
 * met; where they do not come, the code stays as it is. A name from a text is only ever looked up in a list.
 */
import { sanitize } from "./sanitize.js";

const LONGEST = 100 * 1024;

// Languages there is a file for, each with the names people give it.
const NAMES = `
bash sh zsh | c h | clojure clj | cmake | cpp cc c++ cxx hpp | csharp cs c# | css | dart | diff patch | dockerfile docker
elixir ex exs | erlang erl | go golang | graphql gql | groovy gradle | haskell hs | http https | ini toml | java jsp
javascript js jsx mjs cjs | json jsonc json5 | julia jl | kotlin kt kts | latex tex | less | lua
makefile make mk | markdown md | matlab | nginx nginxconf | nix | objectivec objc obj-c | ocaml ml | perl pl pm | php
powershell ps1 pwsh ps | properties | protobuf proto | python py pyi gyp | r | ruby rb | rust rs | scala | scss
shell console shellsession | sql | swift | typescript ts tsx mts cts | vbnet vb | vim | wasm wat | x86asm asm | xml html xhtml svg
yaml yml`;

const FILES = new Map();
for (const line of NAMES.trim().split(/\n|\|/)) {
  const [file, ...aliases] = line.trim().split(" ");
  for (const name of [file, ...aliases]) FILES.set(name, file);
}

const loaded = new Map();

/** The code with colours, as safe nodes; nothing where there are none for it. */
export async function highlight(code, name) {
  const file = FILES.get(name.toLowerCase());
  if (!file || code.length > LONGEST) return null;
  try {
    const core = await language(file);
    return sanitize(core.highlight(code, { language: file, ignoreIllegals: true }).value);
  } catch {
    return null;
  }
}

function language(file) {
  if (!loaded.has(file)) {
    const coming = load(file);
    loaded.set(file, coming);
    coming.catch(() => loaded.delete(file)); // the next code of this language tries again
  }
  return loaded.get(file);
}

async function load(file) {
  const [core, grammar] = await Promise.all([
    import("../third_party/hljs/core.js"),
    import(`../third_party/hljs/languages/${file}.js`),
  ]);
  core.default.registerLanguage(file, grammar.default);
  return core.default;
}
