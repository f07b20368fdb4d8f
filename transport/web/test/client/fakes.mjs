// A WebSocket and a fetch that do what a test says, for what a real server cannot be
// made to do at a given moment.
import { Troupe } from "../../client/troupe.js";

/** Sockets in the order they were made, driven by hand. */
export function fakeSockets() {
  const made = [];
  class FakeWebSocket {
    sent = [];
    closed = undefined;
    constructor(url) {
      this.url = url;
      made.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close(code) {
      this.closed = code ?? 1005;
    }
    // The server's side.
    open() {
      this.onopen?.({});
    }
    say(...frames) {
      for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
    }
    /** Opens and is let in. */
    admit() {
      this.open();
      this.say({ type: "pong" });
    }
    end(code = 1006) {
      this.onclose?.({ code });
    }
    of(type) {
      return this.sent.filter((frame) => frame.type === type);
    }
  }
  return { made, FakeWebSocket, last: () => made.at(-1) };
}

/** Lets everything that is settled be acted upon, without a clock. */
export async function settle() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** A client on fake sockets; `answers` maps a path's end to what fetch gives, else nobody answers. */
export function fakeClient(t, { answers = {}, ...options } = {}) {
  const sockets = fakeSockets();
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url, ...init, body: init.body && JSON.parse(init.body) });
    const path = Object.keys(answers).find((end) => new URL(url).pathname.includes(end));
    if (!path) throw new TypeError("fetch failed");
    return answers[path](init, requests.length);
  };
  const troupe = new Troupe({ url: "http://chat.test", WebSocket: sockets.FakeWebSocket, fetch, storage: null, session: "s", ...options });
  t.after(() => troupe.close());
  return { troupe, requests, ...sockets };
}

export const json = (status, body, headers) => () => new Response(JSON.stringify(body), { status, headers });

export const healthy = json(200, { status: "ok" });

/** A text/event-stream of these pieces of bytes. */
export function stream(...chunks) {
  const body = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

export const event = (frame) => `event: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`;
