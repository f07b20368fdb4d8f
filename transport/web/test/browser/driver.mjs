// What a person does on a chat page, by the names that a screen reader says.
import assert from "node:assert/strict";
import { expectSoon } from "../harness/soon.mjs";

/** The chat page in one tab; also the widget and the product page, within `root`. */
export class Chat {
  constructor(page, root = page) {
    this.page = page;
    this.root = root;
    this.question = root.getByRole("textbox", { name: "Your question", exact: true });
    this.send = this.button("Send");
    this.stop = this.button("Stop");
    this.turns = root.locator("article:has(.answer)");
    this.answers = root.locator(".answer");
    this.trouble = root.locator(".trouble");
    this.state = page.locator("#state");
  }

  button(name) {
    return this.root.getByRole("button", { name, exact: true });
  }

  /** Types a question and sends it. */
  async ask(text) {
    await this.question.fill(text);
    await this.send.click();
  }

  /** Asks and waits for the whole answer. */
  async hear(text) {
    const before = await this.answers.count();
    await this.ask(text);
    return this.ended(before);
  }

  /** The n-th turn from 0, or the last one, once nothing streams in it; gives its answer's text. */
  async ended(n = -1) {
    const turn = n < 0 ? this.turns.last() : this.turns.nth(n);
    await turn.waitFor();
    await expectSoon(async () => {
      assert.equal(await turn.and(this.root.locator("article:not([aria-busy=true]):not(:has([aria-busy=true]))")).count(), 1, "the turn is still busy");
    });
    return this.answerText(turn);
  }

  answerText(turn) {
    return turn.locator(".answer").innerText();
  }

  /** Waits until an answer says this. */
  async says(text) {
    await this.answers.filter({ hasText: text }).last().waitFor();
  }

  /** Waits until the connection is in this state, one of ConnectionState. */
  async connection(is) {
    await this.page.locator(`#state[data-is="${is}"]`).waitFor({ state: "attached" });
  }

  /** Goes on at once where the page waits; it may just have done so by itself. */
  async tryNow() {
    const pressed = this.button("Try now").click().catch(() => {}); // it is gone: the page was faster
    await Promise.race([pressed, this.connection("connected")]);
  }

  /** Opens the settings, where they are not open. */
  async settings() {
    const dialog = this.page.getByRole("dialog", { name: "Settings" });
    if (!(await dialog.isVisible())) await this.button("Settings").click();
    await dialog.waitFor();
    return dialog;
  }

  async closeSettings() {
    await this.page.keyboard.press("Escape");
    await this.page.getByRole("dialog", { name: "Settings" }).waitFor({ state: "hidden" });
  }
}

/** A new tab with the chat page, connected. */
export async function openChat(scene, url, { is = "connected" } = {}) {
  const chat = new Chat(await scene.tab(url));
  await chat.connection(is);
  return chat;
}

/** What a browser says, and no page can prevent, when a server is away or refuses. */
export const networkNoise = [
  /^console: WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/(api\/)?ws\/chat\//,
  /^console: Failed to load resource: (net::ERR_|the server responded with a status of)/,
];
