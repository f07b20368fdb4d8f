// A proxy between browser and troupe that misbehaves as told: it cuts, holds bytes
// back, lets no WebSocket through, or keeps streams to itself until they end.
import http from "node:http";

/**
 * @param {{host: string}} upstream a troupe, or anything with a host as "127.0.0.1:8000"
 * @param {{rewriteHost?: boolean}} options rewriteHost: says the upstream's name
 *   instead of its own, as a proxy does that nobody told to keep Host
 */
export async function startProxy(upstream, options = {}) {
  const proxy = new Proxy(upstream, options);
  await proxy.listen();
  return proxy;
}

class Proxy {
  #upstream;
  #options;
  #server;
  #sockets = new Set(); // of clients
  #links = new Set(); // pairs of streams that bytes flow through
  #waiting = []; // what goes on when a black hole ends
  #watchers = new Set();
  #mode;
  /** Every request that arrived, oldest first: {method, host, path, upgrade, origin}. */
  requests = [];
  port = 0;

  constructor(upstream, options) {
    this.#upstream = upstream;
    this.#options = options;
    this.#reset();
  }

  get host() {
    return `127.0.0.1:${this.port}`;
  }

  get url() {
    return `http://${this.host}`;
  }

  async listen() {
    this.#server = http.createServer((request, response) => void this.#request(request, response));
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => this.#sockets.delete(socket));
      if (this.#mode.down) socket.destroy();
    });
    await new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    this.port = this.#server.address().port;
  }

  async stop() {
    this.cut();
    if (!this.#server.listening) return;
    await new Promise((resolve) => this.#server.close(resolve));
  }

  // What goes wrong. All but cut() stays until restore().

  /** Breaks every connection there is; new ones are welcome. */
  cut() {
    // A reset of a socket that was ended already can keep Node 20 from exiting.
    for (const socket of this.#sockets) socket.writableEnded ? socket.destroy() : socket.resetAndDestroy();
  }

  /** Breaks every connection there is, and new ones as they come. */
  down() {
    this.#mode.down = true;
    this.cut();
  }

  /** Keeps connections open and passes nothing, until restore() lets it all go on. */
  blackhole() {
    this.#mode.hole = true;
    for (const link of this.#links) link.hold();
  }

  /** Answers handshakes with this status instead of passing them. */
  refuseUpgrades(status = 403) {
    this.#mode.upgrade = { status };
  }

  /** Takes Upgrade and Connection out of handshakes, as old proxies do. */
  dropUpgradeHeader() {
    this.#mode.upgrade = { drop: true };
  }

  /** Lets handshakes through and ends the socket at once. */
  killSockets() {
    this.#mode.upgrade = { kill: true };
  }

  /** Keeps answers to POST until they are complete. */
  bufferStreams() {
    this.#mode.buffer = true;
  }

  /** All is well again; connections that were refused or cut stay so. */
  restore() {
    this.#reset();
    for (const link of this.#links) link.go();
    for (const go of this.#waiting.splice(0)) go();
  }

  #reset() {
    this.#mode = { down: false, hole: false, buffer: false, upgrade: undefined };
  }

  // What arrived.

  /** How many requests had this path (or match the pattern); `upgrade` and `method` narrow it. */
  count(path, { upgrade, method } = {}) {
    return this.requests.filter(
      (r) =>
        (path instanceof RegExp ? path.test(r.path) : r.path === path) &&
        (upgrade === undefined || r.upgrade === upgrade) &&
        (method === undefined || r.method === method),
    ).length;
  }

  /** Resolves with the next request that `wanted` says yes to, asked from now on. */
  next(wanted, timeout = 15_000) {
    return new Promise((resolve, reject) => {
      const look = (request) => {
        if (!wanted(request)) return;
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve(request);
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(look);
        reject(new Error(`no such request reached the proxy within ${timeout} ms; it saw ${JSON.stringify(this.requests)}`));
      }, timeout);
      this.#watchers.add(look);
    });
  }

  #note(request, upgrade) {
    const seen = {
      method: request.method,
      host: request.headers.host ?? "",
      path: new URL(request.url, "http://proxy").pathname,
      upgrade,
      origin: request.headers.origin,
    };
    this.requests.push(seen);
    for (const look of [...this.#watchers]) look(seen);
  }

  #passed() {
    if (!this.#mode.hole) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  // How it is passed on.

  async #request(request, response) {
    this.#note(request, false);
    await this.#passed();
    if (response.destroyed) return;
    const onward = http.request(this.#onward(request, this.#headers(request)));
    const give = () => response.destroy();
    onward.on("error", give);
    onward.on("response", (answer) => {
      if (this.#mode.buffer && request.method === "POST") return void this.#buffered(answer, response);
      response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      answer.on("error", give);
      this.#link(answer, response);
    });
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  async #buffered(answer, response) {
    const pieces = [];
    try {
      for await (const piece of answer) pieces.push(piece);
    } catch {
      response.destroy();
      return;
    }
    response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
    response.end(Buffer.concat(pieces));
  }

  async #upgrade(request, socket, head) {
    this.#note(request, true);
    await this.#passed();
    const how = this.#mode.upgrade ?? {};
    if (how.status) return refuse(socket, how.status);
    const headers = this.#headers(request);
    if (how.drop) {
      for (const name of ["upgrade", "connection"]) delete headers[name];
    }
    const onward = http.request({ ...this.#onward(request, headers), agent: false });
    onward.on("error", () => socket.destroy());
    socket.once("close", () => onward.destroy());
    onward.on("response", (answer) => {
      // No upgrade came of it: what was answered is told as it is.
      socket.write(statusLine(answer));
      answer.pipe(socket);
    });
    onward.on("upgrade", (answer, far, first) => {
      far.on("error", () => {});
      socket.write(statusLine(answer));
      if (how.kill) return void (socket.destroy(), far.destroy());
      socket.write(first);
      far.write(head);
      far.once("close", () => socket.destroy());
      socket.once("close", () => far.destroy());
      this.#link(far, socket);
      this.#link(socket, far);
    });
    onward.end();
  }

  #headers(request) {
    const headers = { ...request.headers };
    if (this.#options.rewriteHost) headers.host = this.#upstream.host;
    return headers;
  }

  #onward(request, headers) {
    const [host, port] = this.#upstream.host.split(":");
    return { host, port, method: request.method, path: request.url, headers };
  }

  #link(from, to) {
    const link = {
      hold: () => (from.unpipe(to), from.pause()),
      go: () => from.pipe(to),
    };
    this.#links.add(link);
    for (const stream of [from, to]) stream.once("close", () => this.#links.delete(link));
    if (this.#mode.hole) link.hold();
    else link.go();
  }
}

function statusLine(answer) {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
  for (let i = 0; i < answer.rawHeaders.length; i += 2) lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  return lines.join("\r\n") + "\r\n\r\n";
}

function refuse(socket, status) {
  const body = "<html><body>The proxy does not pass this.</body></html>";
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? "Refused"}\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}
