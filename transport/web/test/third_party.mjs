// Makes ../third_party from the packages that `npm ci` put into node_modules: minified ES modules, their licences,
// and VERSIONS.json. The same packages give the same bytes, so `node third_party.mjs --check` can tell a file that
// was edited by hand, or a package that was updated without making the folder anew. uPlot, of the load reports, is
// copied beside them: its files stand in a page as they are.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const packages = join(here, "node_modules");
const root = join(here, "..", "..", "..");

// What code blocks in answers are commonly written in. lib/highlight.js knows the same names and their aliases.
const languages = [
  "bash", "c", "clojure", "cmake", "cpp", "csharp", "css", "dart", "diff", "dockerfile", "elixir", "erlang", "go",
  "graphql", "groovy", "haskell", "http", "ini", "java", "javascript", "json", "julia", "kotlin", "latex", "less",
  "lua", "makefile", "markdown", "matlab", "nginx", "nix", "objectivec", "ocaml", "perl", "php",
  "powershell", "properties", "protobuf", "python", "r", "ruby", "rust", "scala", "scss", "shell", "sql", "swift",
  "typescript", "vbnet", "vim", "wasm", "x86asm", "xml", "yaml",
];

const libraries = [
  {
    name: "marked",
    package: "marked",
    licences: ["LICENSE"],
    files: { "marked.js": "lib/marked.esm.js" },
    only: ["Lexer", "Tokenizer"], // lib/render.js writes the HTML
  },
  {
    name: "dompurify",
    package: "dompurify",
    licences: ["LICENSE"], // offered under this one or the MPL; we take this one
    files: { "purify.js": "dist/purify.es.mjs" },
  },
  {
    name: "highlight.js",
    package: "@highlightjs/cdn-assets",
    licences: ["LICENSE"],
    files: {
      "hljs/core.js": "es/core.js",
      ...Object.fromEntries(languages.map((name) => [`hljs/languages/${name}.js`, `es/languages/${name}.min.js`])),
    },
  },
];

const copied = [
  {
    name: "uPlot",
    package: "uplot",
    files: { LICENSE: "LICENSE", "uPlot.iife.min.js": "dist/uPlot.iife.min.js", "uPlot.min.css": "dist/uPlot.min.css" },
  },
];

// Each folder with what is made for it, and what stands there besides.
const folders = [
  { folder: join(root, "transport", "web", "third_party"), libraries, add, besides: [] },
  {
    folder: join(root, "cmd", "troupe-load", "report", "third_party", "uplot"),
    libraries: copied, add: copy, besides: ["README.md"],
  },
];

/** Everything that belongs into a folder: path → bytes. */
async function make({ libraries, add }) {
  const made = new Map();
  const versions = [];
  for (const library of libraries) versions.push(await add(library, made));
  made.set("VERSIONS.json", Buffer.from(`${JSON.stringify(versions, null, 2)}\n`));
  return made;
}

async function copy(library, made) {
  const from = join(packages, ...library.package.split("/"));
  const { version, license } = JSON.parse(await read(join(from, "package.json")));
  const files = {};
  for (const [path, source] of Object.entries(library.files)) {
    const bytes = Buffer.from(await read(join(from, source)));
    made.set(path, bytes);
    files[path] = createHash("sha256").update(bytes).digest("hex");
  }
  return { name: library.name, version, license, package: library.package, files };
}

async function add(library, made) {
  const from = join(packages, ...library.package.split("/"));
  const { version, license } = JSON.parse(await read(join(from, "package.json")));
  const notice = `/*! ${library.name} ${version} | ${license} | the licence: third_party/LICENSES/${library.name}.txt */\n`;
  const files = {};
  const put = (path, text) => {
    const bytes = Buffer.from(text);
    made.set(path, bytes);
    files[path] = createHash("sha256").update(bytes).digest("hex");
  };
  for (const [path, source] of Object.entries(library.files)) {
    put(path, notice + (await minified(join(from, source), library.only)));
  }
  const licence = await Promise.all(library.licences.map((name) => read(join(from, name))));
  put(`LICENSES/${library.name}.txt`, licence.join("\n"));
  return { name: library.name, version, license, package: library.package, files };
}

const options = {
  format: "esm",
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none", // said once, in the notice on top
  sourcemap: false,
};

async function minified(file, only) {
  const source = await read(file);
  const code = only ? await shaken(source, only) : (await transform(source, options)).code;
  if (code.includes("sourceMappingURL")) throw new Error(`${file} still names a source map after minifying; strip it in third_party.mjs`);
  return code;
}

// Only some of what a module exports. What its top does with members and new objects would keep all of it alive,
// so the former is dropped and the latter marked as free of effects.
async function shaken(source, only) {
  const { code } = await transform(source, { format: "esm", legalComments: "none" });
  const loose = code
    .replace(/^[\w$]+\.[\w$]+ = (?:[^\n]*;|[^\n]*\{\n(?: [^\n]*\n)*\};)\n/gm, "")
    .replace(/^var (?:[\w$]+ = [\w$]+(?:\.[\w$]+)?(?:, |;\n))+/gm, "")
    .replace(/^((?:var|let|const) [\w$]+ = )new /gm, "$1/* @__PURE__ */ new ")
    .replace(/^export \{\n([^}]*)\n\};/m, (_, names) => {
      const kept = names.split(",\n").filter((name) => only.includes(name.split(" as ").at(-1).trim()));
      return `export {${kept.join(",")}};`;
    });
  const { outputFiles } = await build({
    ...options,
    bundle: true,
    write: false,
    stdin: { contents: `export { ${only.join(", ")} } from "the-module";` },
    plugins: [{
      name: "the-module",
      setup(made) {
        made.onResolve({ filter: /^the-module$/ }, () => ({ path: "the-module", namespace: "given", sideEffects: false }));
        made.onLoad({ filter: /./, namespace: "given" }, () => ({ contents: loose, loader: "js" }));
      },
    }],
  });
  return outputFiles[0].text;
}

async function read(file) {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new Error(`${relative(here, file)} is missing; run "npm ci --ignore-scripts" in ${here} first`, { cause });
  }
}

/** The names of all files below a folder, or none where there is no folder. */
async function list(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
}

async function check({ folder, besides }, made) {
  const at = (path) => relative(root, join(folder, path)).replaceAll("\\", "/");
  const wrong = (await list(folder)).filter((path) => !made.has(path) && !besides.includes(path)).map((path) => `${at(path)} does not belong there`);
  for (const [path, bytes] of made) {
    const found = await readFile(join(folder, path)).catch(() => null);
    if (!found) wrong.push(`${at(path)} is missing`);
    else if (!found.equals(bytes)) wrong.push(`${at(path)} differs from what the packages give`);
  }
  return wrong;
}

async function write({ folder, besides }, made) {
  for (const path of await list(folder)) {
    if (!besides.includes(path)) await rm(join(folder, path));
  }
  for (const [path, bytes] of made) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  console.log(`${made.size} files in ${relative(root, folder)}`);
}

const wrong = [];
for (const one of folders) {
  const made = await make(one);
  if (process.argv.includes("--check")) wrong.push(...await check(one, made));
  else await write(one, made);
}
for (const line of wrong) console.error(line);
if (wrong.length > 0) {
  console.error('Run "make third-party" and commit what it makes.');
  process.exitCode = 1;
}
