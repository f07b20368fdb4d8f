// What is published: the files, the declarations, and what the README and the
// protocol say about them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import * as library from "../../client/troupe.js";
import { launch } from "../harness/browser.mjs";
import { repository } from "../harness/server.mjs";
import { server } from "./support.mjs";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../../client/", import.meta.url));
const modules = fileURLToPath(new URL("../node_modules/", import.meta.url));
const text = (name) => readFile(join(folder, name), "utf8");
const manifest = JSON.parse(await text("package.json"));

test("the package holds the library and nothing else", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts", "--offline"], { cwd: folder });
  const [{ files, name }] = JSON.parse(stdout);
  assert.equal(name, "troupe-client");
  assert.deepEqual(files.map((file) => file.path).sort(), ["LICENSE", "README.md", "package.json", "troupe.d.ts", "troupe.js"]);
  assert.equal(manifest.version, library.version);
  assert.equal(manifest.dependencies, undefined);
  assert.equal(await text("LICENSE"), await readFile(join(repository, "LICENSE"), "utf8"));
});

test("the declarations hold for the sample", async () => {
  const args = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "--types", "", "sample.ts"];
  await run(process.execPath, [join(modules, "typescript/bin/tsc"), ...args], { cwd: fileURLToPath(new URL(".", import.meta.url)) }).catch((error) => {
    assert.fail(error.stdout);
  });
});

test("the declarations name what the module exports", async () => {
  const declared = [...(await text("troupe.d.ts")).matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(library).sort());
});

test("the size keeps below what the README states, and not far below", async () => {
  const source = Buffer.from(await text("troupe.js"));
  const [, written, compressed] = /(\d+)\s+KB\s+as\s+written,\s+(\d+)\s+KB\s+compressed/.exec(await text("README.md"));
  for (const [bytes, stated] of [[source.length, written], [gzipSync(source, { level: 9 }).length, compressed]]) {
    assert.ok(bytes <= stated * 1024 && bytes > stated * 1024 * 0.85, `${bytes} bytes, stated as ${stated} KB`);
  }
});

test("every code of the protocol has an advice, and is retried as the protocol says", async () => {
  const protocol = await readFile(join(repository, "docs/protocol.md"), "utf8");
  const codes = [...protocol.matchAll(/^\| `([A-Z_]+)` \| *\d* *\| *\d* *\| *(retry|) *\|/gm)];
  assert.ok(codes.length > 30);
  for (const [, code, retry] of codes) {
    const error = new library.TroupeError(code, "");
    assert.equal(error.retryable, retry === "retry", code);
    assert.equal(error.advice === "retry" || error.advice === "wait", error.retryable, code);
  }
});

test("the README's sample for Node runs", async (t) => {
  const troupe = await server();
  const home = await mkdtemp(join(tmpdir(), "troupe-client-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  await mkdir(join(home, "node_modules"));
  await symlink(folder, join(home, "node_modules/troupe-client"));
  await symlink(join(modules, "ws"), join(home, "node_modules/ws"));
  const [, sample] = /## In Node[\s\S]*?```js\n([\s\S]*?)```/.exec(await text("README.md"));
  await writeFile(join(home, "sample.mjs"), sample);
  const { stdout, stderr } = await run(process.execPath, ["sample.mjs"], { cwd: home, env: { ...process.env, TROUPE_URL: troupe.url }, timeout: 10_000 });
  assert.equal(stdout, "Hello Troupe\n");
  assert.equal(stderr, "");
});

test("the README's sample for the browser runs", async (t) => {
  const troupe = await server();
  const [, sample] = /## In a browser[\s\S]*?```html\n([\s\S]*?)```/.exec(await text("README.md"));
  const browser = await launch();
  t.after(() => browser.close());
  const page = await browser.newPage();
  const troubles = [];
  page.on("pageerror", (error) => troubles.push(error.message));
  await page.route(`${troupe.url}/sample`, (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html>${sample}` }));
  await page.goto(`${troupe.url}/sample`);
  await page.locator("[name=question]").fill("Hello Troupe");
  await page.locator("button").click();
  await page.locator("pre").getByText("Hello Troupe", { exact: true }).waitFor({ timeout: 10_000 });
  assert.deepEqual(troubles, []);
});

test("the samples of the README are JavaScript", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "troupe-client-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const samples = [...(await text("README.md")).matchAll(/```js\n([\s\S]*?)```|<script type="module">([\s\S]*?)<\/script>/g)];
  assert.ok(samples.length >= 6);
  for (const [, js, inPage] of samples) {
    await writeFile(join(home, "sample.mjs"), js ?? inPage);
    await run(process.execPath, ["--check", "sample.mjs"], { cwd: home });
  }
});

test("the library writes nothing to the console and leaves no global behind", async () => {
  const before = Object.getOwnPropertyNames(globalThis).sort();
  await import("../../client/troupe.js?again");
  assert.deepEqual(Object.getOwnPropertyNames(globalThis).sort(), before);
  assert.doesNotMatch(await text("troupe.js"), /console\./);
});
