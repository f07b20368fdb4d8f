/**
 * Colours for code. The highlighter works in a thread of its own (highlight-worker.js), one block at a time, and only
 * for so long: its grammars are regular expressions, and a text made for it keeps them busy for minutes. The thread is
 * started, and each language comes over the network, when code of that language is first met; where they do not come,
 * the code stays as it is. A name from a text is only ever looked up in a list.
 */
import { sanitize } from "./sanitize.js";

const LONGEST = 20 * 1024; // characters of code
const MOST = 4000; // spans: the sanitiser works in the page's own thread
const DEADLINE = 500; // ms, from when the language is there
const LOADING = 15_000; // ms, until it is there
const REMEMBERED = 100; // texts that are hopeless

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

let worker; // undefined: the next block starts one
let last = Promise.resolve(); // the block that all further ones wait for
const hopeless = new Set();

/** The code with colours, as safe nodes; nothing where there are none for it. */
export async function highlight(code, name) {
  const language = FILES.get(name.toLowerCase());
  if (!language || code.length > LONGEST || !address()) return null;
  const html = await (last = last.then(() => colours(language, code)));
  return html === null || html.split("<span", MOST + 2).length > MOST + 1 ? null : sanitize(html);
}

/** Its HTML, or null. Never rejects: the next block waits for it. */
async function colours(language, code) {
  const text = `${language}\n${code}`;
  if (hopeless.has(text)) return null;
  try {
    worker ??= new Worker(address(), { type: "module" });
    const { html, late } = await ask(worker, { language, code });
    if (html !== undefined) return html;
    if (late) remember(text);
  } catch { /* the page's policy forbids workers */ }
  // Nothing else ends a regular expression. A language that failed to load would also fail in this thread for ever.
  worker?.terminate();
  worker = undefined;
  return null;
}

/** What became of a block: {html}, {late} or, where the thread or the language does not come, neither. */
function ask(worker, block) {
  const { promise, resolve } = Promise.withResolvers();
  let timer = setTimeout(() => resolve({}), LOADING);
  worker.onerror = () => resolve({});
  worker.onmessage = ({ data }) => {
    if (!data.loaded) return resolve(data);
    clearTimeout(timer);
    // If the page was busy, the answer waits behind the timer: what is there by the next one came in time.
    timer = setTimeout(() => { timer = setTimeout(() => resolve({ late: true })); }, DEADLINE);
  };
  worker.postMessage(block);
  return promise.finally(() => clearTimeout(timer));
}

function remember(text) {
  hopeless.add(text);
  if (hopeless.size > REMEMBERED) hopeless.delete(hopeless.values().next().value);
}

let url; // null: no worker of ours may be started here

/**
 * The worker's address, as Trusted Types have it: this policy makes one of exactly this address and of nothing else.
 * Null in the pages of another origin: browsers start no worker across origins.
 */
function address() {
  if (url !== undefined) return url;
  const own = new URL("./highlight-worker.js", import.meta.url);
  if (own.origin !== globalThis.origin) return (url = null);
  try {
    const policy = globalThis.trustedTypes?.createPolicy("troupe", { createScriptURL: () => own.href });
    url = policy ? policy.createScriptURL("") : own.href;
  } catch {
    url = null;
  }
  return url;
}
