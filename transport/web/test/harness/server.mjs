// A real troupe for tests: its own port, folder and configuration, and no process
// that outlives the test.
import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { guard } from "./guard.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
export const repository = join(here, "../../../..");
/** Binaries, screenshots and logs of failed tests. Ignored by git. */
export const out = join(here, "../out");

let binary;
/** The program under test: TROUPE_BIN, else built once for this process. */
export function troupeBinary() {
  binary ??= process.env.TROUPE_BIN ? Promise.resolve(process.env.TROUPE_BIN) : build();
  return binary;
}

// Test files are processes of their own and may build at the same time: each
// builds under its own name, and the rename is atomic.
async function build() {
  await mkdir(out, { recursive: true });
  const mine = join(out, `troupe.${process.pid}`);
  await promisify(execFile)(process.env.GO ?? "go", ["build", "-o", mine, "./cmd/troupe"], { cwd: repository });
  const path = join(out, "troupe");
  await rename(mine, path);
  return path;
}

const open = { max: 100_000, window: "1m" };

/**
 * Starts a troupe. Options are sections of its configuration (http, pool, runs,
 * products, providers, …) and besides:
 *   limits   "shipped" for the defaults, or a section; else far above what tests need
 *   origins  further allowed origins
 *   faults   true: the provider "faulty" is there
 *   vendor   address of an OpenAI-speaking server: provider "vendor", asked by default
 *   env      further environment variables
 *   port     a fixed port instead of a free one
 */
export async function startTroupe(options = {}) {
  const server = new TroupeServer(await troupeBinary(), await mkdtemp(join(tmpdir(), "troupe-test-")), options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class TroupeServer {
  #binary;
  #folder;
  #options;
  #child;
  #exited = Promise.resolve();
  #guard;
  #output = "";
  #watchers = new Set();
  #removeAtExit = () => rmSync(this.#folder, { recursive: true, force: true });
  port;

  constructor(binary, folder, options) {
    this.#binary = binary;
    this.#folder = folder;
    this.#options = options;
    this.port = options.port ?? 0;
    process.once("exit", this.#removeAtExit);
  }

  get host() {
    return `127.0.0.1:${this.port}`;
  }

  get url() {
    return `http://${this.host}`;
  }

  /** All it wrote since the first start, standard output and errors together. */
  get log() {
    return this.#output;
  }

  get running() {
    return this.#child !== undefined;
  }

  async start() {
    const config = join(this.#folder, "troupe.yaml");
    await writeFile(config, JSON.stringify(configuration(this.#options))); // JSON is YAML
    const from = this.#output.length;
    const child = spawn(this.#binary, ["serve", `--config=${config}`, `--http.listen=127.0.0.1:${this.port}`], {
      cwd: this.#folder,
      env: { PATH: process.env.PATH, HOME: this.#folder, ...this.#options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => this.#heard(`${error.message}\n`));
      child.once("close", (code, signal) => {
        this.#child = undefined;
        this.#guard?.release();
        this.#heard(`\n[ended: ${signal ?? code}]\n`);
        resolve();
      });
    });
    this.#guard = guard(child.pid, this.#folder);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => this.#heard(text));
    }
    const [, port] = await this.logged(/listening\s+http:\/\/127\.0\.0\.1:(\d+)/, { from });
    this.port = Number(port);
    await this.logged(/Troupe started/, { from });
    await this.logged(/Worker joined/, { from });
  }

  /** Waits until the log matches; fails when the process ends or the time is over. */
  logged(pattern, { from = 0, timeout = 15_000 } = {}) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const text = this.#output.slice(from);
        const match = pattern.exec(text);
        if (match) finish(resolve, match);
        else if (!this.#child) finish(reject, new Error(`troupe ended and never logged ${pattern}:\n${text}`));
      };
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle(value);
      };
      const timer = setTimeout(
        () => finish(reject, new Error(`troupe did not log ${pattern} within ${timeout} ms:\n${this.#output.slice(from)}`)),
        timeout,
      );
      this.#watchers.add(look);
      look();
    });
  }

  #heard(text) {
    this.#output += text;
    for (const look of [...this.#watchers]) look();
  }

  /** An orderly end, as by an operator; what still runs gets a second. */
  async stop() {
    await this.terminate();
    process.removeListener("exit", this.#removeAtExit);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** SIGTERM and wait; the port and the folder stay for start(). */
  async terminate() {
    if (!this.#child) return;
    this.#child.kill("SIGTERM");
    const late = setTimeout(() => this.#child?.kill("SIGKILL"), 10_000);
    await this.#exited;
    clearTimeout(late);
  }

  /** The power fails: no word to anybody. The port and the folder stay for start(). */
  async kill9() {
    this.#child?.kill("SIGKILL");
    await this.#exited;
  }

  /** Ends it with SIGKILL, or politely, and starts it again on the same port. */
  async restart({ politely = false } = {}) {
    await (politely ? this.terminate() : this.kill9());
    await this.start();
  }

  async get(path, init) {
    return fetch(this.url + path, init);
  }

  /** What operators see: GET /api/debug/websocket-status. */
  async status() {
    return (await this.get("/api/debug/websocket-status")).json();
  }
}

function configuration({ limits, origins, faults, vendor, env: _env, port: _port, http, providers, ...sections }) {
  const config = { log: { format: "json" }, worker: { drain_timeout: "1s" }, ...sections };
  config.http = { ...http, ...(origins && { extra_origins: origins }) };
  if (limits !== "shipped") config.limits = { connections: open, messages: open, sessions: open, ...limits };
  if (faults) config.faults = { enabled: true };
  config.providers = { ...providers };
  if (vendor) {
    config.providers.vendor = { type: "openai", base_url: vendor, api_keys: ["test-key"], default_model: "plain", ...providers?.vendor };
    config.default_provider ??= "vendor";
  }
  return config;
}
