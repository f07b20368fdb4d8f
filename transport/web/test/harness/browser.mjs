// Real Chromium for tests. A test that leaves an error in the console, violates the
// policy of a page or asks a host that is not one of the test's fails, unless it said
// before that it expects this.
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { chromium } from "playwright-core";
import { out } from "./server.mjs";

const flags = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost", // nothing leaves this machine
];

export const desktop = { width: 1280, height: 800 };
export const phone = { width: 390, height: 844 };

function executable() {
  if (process.env.TROUPE_CHROMIUM) return process.env.TROUPE_CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]) {
    try {
      return execFileSync("sh", ["-c", 'command -v "$1"', "find", name], { encoding: "utf8" }).trim();
    } catch {
      // the next name
    }
  }
  throw new Error("no Chromium found: run .ci/install-web, or name one in TROUPE_CHROMIUM");
}

/** One Chromium; every scene in it has a profile of its own. */
export function launch() {
  return chromium.launch({ executablePath: executable(), ignoreDefaultArgs: ["--headless"], args: flags });
}

/**
 * `const browse = browsing()` once in a file, then `browse("name", options, async (scene) => …)`
 * for each test. Options are those of a scene, and `timeout` of node:test.
 */
export function browsing() {
  let browser;
  test.after(async () => (await browser)?.close());
  return (name, { timeout = 60_000, ...options }, body) =>
    test(name, { timeout }, async (t) => {
      browser ??= launch();
      const scene = new Scene(await browser, options);
      try {
        await scene.open();
        await body(scene, t);
        scene.assertQuiet();
      } catch (error) {
        await scene.record(name, error);
        throw error;
      } finally {
        await scene.close();
      }
    });
}

/** One profile with its tabs, and what went wrong in them. */
export class Scene {
  #browser;
  #options;
  #things = [];
  #expected;
  #hosts = new Set();
  /** Everything that nobody should see: {kind: "console" | "policy" | "page" | "request", text}. */
  trouble = [];
  context;

  /**
   * @param {object} options of the context, as playwright names them (viewport,
   *   colorScheme, …), and `expect`: patterns of trouble that belongs to the test
   */
  constructor(browser, { expect = [], ...options }) {
    this.#browser = browser;
    this.#options = options;
    this.#expected = [...expect];
  }

  async open() {
    this.context = await this.#browser.newContext({
      viewport: desktop,
      locale: "en-GB",
      timezoneId: "UTC",
      reducedMotion: "reduce",
      ...this.#options,
    });
    this.context.setDefaultTimeout(10_000);
    await this.context.exposeBinding("policyViolated", (_source, what) => this.#note("policy", what));
    await this.context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        globalThis.policyViolated(`${event.violatedDirective} forbids ${event.blockedURI || "inline"} in ${event.documentURI}: ${event.sample}`);
      });
    });
    this.context.on("request", (request) => this.#asked(request.url()));
    this.context.on("console", (message) => {
      const text = `${message.text()} (${message.location().url})`;
      // A socket that finds nobody never becomes a request: only the console tells.
      const [, socket] = /WebSocket connection to '(.*?)'/.exec(text) ?? [];
      if (socket) this.#asked(socket);
      if (message.type() === "error" || /Content Security Policy|TrustedHTML/.test(text)) this.#note("console", text);
    });
    this.context.on("weberror", (error) => this.#note("page", String(error.error()?.stack || error.error())));
    this.context.on("page", (page) => {
      page.on("websocket", (socket) => this.#asked(socket.url()));
      page.on("crash", () => this.#note("page", `${page.url()} crashed`));
    });
  }

  /** Keeps these with the scene: their hosts may be asked, and they are stopped after the page. */
  with(...things) {
    for (const thing of things) {
      this.#things.unshift(thing);
      if (thing.host) this.#hosts.add(thing.host);
    }
    return things.length === 1 ? things[0] : things;
  }

  /** Hosts of servers that other scenes use too. */
  allow(...things) {
    for (const thing of things) this.#hosts.add(thing.host);
  }

  /** From now on this belongs to the test: a pattern of an error, a violation or a request. */
  expect(...patterns) {
    this.#expected.push(...patterns);
  }

  /** A tab, at this address if one is given. */
  async tab(url) {
    const page = await this.context.newPage();
    if (url) await page.goto(url);
    return page;
  }

  /** Requests to hosts that are not the test's. */
  get foreign() {
    return this.trouble.filter((one) => one.kind === "request");
  }

  /** Fails where something is in the console, violated or asked that no test expects. */
  assertQuiet() {
    const loud = this.trouble.filter((one) => !this.#expected.some((pattern) => pattern.test(`${one.kind}: ${one.text}`)));
    if (loud.length > 0) throw new Error(`not expected:\n${loud.map((one) => `  ${one.kind}: ${one.text}`).join("\n")}`);
  }

  /** Pictures of all tabs and the logs of all servers, for whoever has to find out. */
  async record(name, error) {
    await mkdir(out, { recursive: true });
    const base = join(out, name.replace(/\W+/g, "-").slice(0, 80));
    for (const [i, page] of (this.context?.pages() ?? []).entries()) {
      await page.screenshot({ path: `${base}-${i + 1}.png` }).catch(() => {}); // a crashed tab has no picture
    }
    const logs = this.#things.filter((thing) => thing.log).map((thing) => thing.log);
    const trouble = this.trouble.map((one) => `${one.kind}: ${one.text}`);
    await writeFile(`${base}.txt`, [String(error?.stack ?? error), ...trouble, ...logs].join("\n\n"));
  }

  async close() {
    await this.context?.close();
    for (const thing of this.#things) await thing.stop();
  }

  #asked(address) {
    const url = new URL(address);
    if (["data:", "blob:", "about:"].includes(url.protocol) || this.#hosts.has(url.host)) return;
    this.#note("request", address);
  }

  #note(kind, text) {
    this.trouble.push({ kind, text });
  }
}
