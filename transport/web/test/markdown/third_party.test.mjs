import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const web = fileURLToPath(new URL("../..", import.meta.url));
const root = join(web, "..", "..");
const uplot = join("cmd", "troupe-load", "report", "third_party", "uplot");
const read = (path) => readFile(join(web, path), "utf8");

test("both folders third_party are what the packages give", async () => {
  await run(process.execPath, [join(web, "test", "third_party.mjs"), "--check"]);
});

test("a file that was edited, one too many and one too few are named", async (t) => {
  const copy = await mkdtemp(join(tmpdir(), "third-party-"));
  t.after(() => rm(copy, { recursive: true }));
  const page = join(copy, "transport", "web");
  await cp(join(web, "third_party"), join(page, "third_party"), { recursive: true });
  await cp(join(root, uplot), join(copy, uplot), { recursive: true });
  await cp(join(web, "test", "third_party.mjs"), join(page, "test", "third_party.mjs"));
  await symlink(join(web, "test", "node_modules"), join(page, "test", "node_modules"));
  await writeFile(join(page, "third_party", "marked.js"), "edited");
  await writeFile(join(page, "third_party", "hljs", "more.js"), "");
  await rm(join(page, "third_party", "hljs", "languages", "go.js"));
  await writeFile(join(copy, uplot, "uPlot.iife.min.js"), "edited");
  const error = await run(process.execPath, [join(page, "test", "third_party.mjs"), "--check"]).catch((failed) => failed);
  assert.equal(error.code, 1);
  assert.match(error.stderr, /third_party\/marked\.js differs/);
  assert.match(error.stderr, /third_party\/hljs\/more\.js does not belong/);
  assert.match(error.stderr, /third_party\/hljs\/languages\/go\.js is missing/);
  assert.match(error.stderr, /third_party\/uplot\/uPlot\.iife\.min\.js differs/);
  assert.equal(error.stderr.trim().split("\n").length, 5, error.stderr);
});

test("every library is recorded with its version, its licence and the hashes of its files", async () => {
  for (const { name, version, license, files } of JSON.parse(await read("third_party/VERSIONS.json"))) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
    assert.ok(license, name);
    assert.ok((await read(`third_party/LICENSES/${name}.txt`)).length > 500, name);
    for (const [path, hash] of Object.entries(files)) {
      assert.equal(createHash("sha256").update(await read(`third_party/${path}`)).digest("hex"), hash, path);
    }
  }
});

test("there is a grammar for every language the highlighter knows", async () => {
  const names = /const NAMES = `([^`]*)`/.exec(await read("lib/highlight.js"))[1];
  const known = names.trim().split(/\n|\|/).map((line) => `${line.trim().split(" ")[0]}.js`);
  const there = (await readdir(join(web, "third_party", "hljs", "languages")));
  assert.deepEqual(known.sort(), there.sort());
});
