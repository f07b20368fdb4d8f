// A model vendor that speaks OpenAI's wire, says what the test tells it to and
// remembers what it was asked.
import http from "node:http";

/**
 * `answer` gets the parsed request and gives the text, or an (async) iterable of its
 * pieces; a promise inside it holds the answer back until the test says go.
 * The address for a provider's base_url is `vendor.url`.
 */
export async function startVendor(answer = ({ messages }) => `You said: ${messages.at(-1).content}`) {
  const vendor = new Vendor(answer);
  await vendor.listen();
  return vendor;
}

class Vendor {
  /** What it was asked, oldest first: {model, messages, …} as on the wire, `key`, and `closed`, a promise of whether the caller hung up early. */
  asked = [];
  #server;
  #watchers = new Set();

  constructor(answer) {
    this.answer = answer;
  }

  async listen() {
    this.#server = http.createServer((request, response) => void this.#serve(request, response));
    await new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    this.url = `http://127.0.0.1:${this.#server.address().port}/v1`;
  }

  stop() {
    return new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  /** The n-th call, from 1, as soon as it was made. */
  call(n, timeout = 15_000) {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.asked.length < n) return;
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve(this.asked[n - 1]);
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(look);
        reject(new Error(`the vendor was asked ${this.asked.length} times within ${timeout} ms, not ${n} times`));
      }, timeout);
      this.#watchers.add(look);
      look();
    });
  }

  async #serve(request, response) {
    response.on("error", () => {});
    if (!request.url.endsWith("/chat/completions")) return void response.writeHead(404).end();
    const body = [];
    for await (const piece of request) body.push(piece);
    const asked = JSON.parse(Buffer.concat(body).toString("utf8"));
    asked.key = request.headers.authorization?.replace("Bearer ", "");
    let finished = false;
    asked.closed = new Promise((resolve) => response.once("close", () => resolve(!finished)));
    this.asked.push(asked);
    for (const look of [...this.#watchers]) look();

    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const say = (choice, more) => response.write(`data: ${JSON.stringify({ model: asked.model, choices: [choice], ...more })}\n\n`);
    let text = "";
    for await (const piece of pieces(await this.answer(asked))) {
      if (response.destroyed) return;
      text += piece;
      say({ index: 0, delta: { content: piece } });
    }
    const usage = { prompt_tokens: 12, completion_tokens: Math.ceil(text.length / 4) };
    say({ index: 0, delta: {}, finish_reason: "stop" }, { usage });
    finished = true;
    response.end("data: [DONE]\n\n");
  }
}

function pieces(answer) {
  return typeof answer === "string" ? [answer] : answer;
}

/** Words of a text one by one, with a pause between them: a model at work. */
export async function* slowly(text, ms = 20) {
  for (const word of text.match(/\S+\s*|\s+/g) ?? []) {
    yield word;
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

/** A gate that a test opens: `await gate.passed` inside an answer, gate.open() in the test. */
export function gate() {
  let open;
  const passed = new Promise((resolve) => (open = resolve));
  return { passed, open };
}
