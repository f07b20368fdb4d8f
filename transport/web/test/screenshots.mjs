// Takes the pictures of docs/img: real pages of the real program in Chromium, with
// fixed texts, so that a picture changes only where a page does.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Chat, openChat } from "./browser/driver.mjs";
import { Scene, desktop, launch, phone } from "./harness/browser.mjs";
import { metrics, status } from "./harness/fleet.mjs";
import { repository, startTroupe } from "./harness/server.mjs";
import { startSite } from "./harness/site.mjs";
import { startVendor } from "./harness/vendor.mjs";

const folder = join(repository, "docs/img");
const largest = 200_000; // bytes of one picture

const answers = {
  "Why does tea get bitter?": `Bitterness comes from **tannins**, which leave the leaf more slowly than its aroma does. Hotter water and more time bring more of them.

| tea | water | time |
|---|---|---|
| green | 75 °C | 2 min |
| oolong | 90 °C | 3 min |
| black | 96 °C | 4 min |

So if a cup is bitter, first take it out earlier, then use cooler water.`,
  "How long does each tea want, and can you ring for it in Go?": `As long as this, with water just off the boil for the dark ones:

| tea | water | time |
|---|---|---|
| green | 75 °C | 2 min |
| black | 96 °C | 4 min |

And this takes the minutes, and rings the terminal's bell:

\`\`\`go
func main() {
	minutes, err := strconv.Atoi(os.Args[1])
	if err != nil {
		minutes = 3 // a guess that hurts nobody
	}
	time.Sleep(time.Duration(minutes) * time.Minute)
	fmt.Println("Your tea is ready.\\a")
}
\`\`\``,
  "Is it bright enough to read by?": "Yes. At arm's length it gives about **450 lux**, and reading wants 300 or more. The switch on the cable has three steps; the middle one is right for most rooms.",
};
const older = ["A packing list for three days in the hills", "Explain tides to a child", "Which knot holds a hammock?"];

const vendor = await startVendor(({ messages }) => answers[messages.at(-1).content] ?? "Gladly.");
const shop = await startSite({});
const troupe = await startTroupe({
  default_provider: "meadow",
  providers: { meadow: { type: "openai", base_url: vendor.url, api_keys: ["key"], models: ["chamomile-2"], default_model: "chamomile-2" } },
  products: { 11: { name: "Reading lamp" } },
  origins: [shop.url],
});
const browser = await launch();

/** One picture in a profile of its own. */
async function picture(name, options, pose) {
  const scene = new Scene(browser, { viewport: desktop, deviceScaleFactor: 1, colorScheme: "light", ...options });
  scene.allow(troupe, shop);
  await scene.open();
  try {
    const page = await pose(scene);
    await page.evaluate(() => document.fonts.ready);
    await page.mouse.move(0, 0);
    const png = await page.screenshot({ animations: "disabled", caret: "hide", scale: "css" });
    scene.assertQuiet();
    if (png.length > largest) throw new Error(`${name}.png has ${png.length} bytes, more than ${largest}: show less in it`);
    await writeFile(join(folder, `${name}.png`), png);
    console.log(`docs/img/${name}.png ${png.length} bytes`);
  } finally {
    await scene.close();
  }
}

/** The chat page with older conversations, and one in which this was asked. */
async function asked(scene, question) {
  const chat = await openChat(scene, troupe.url);
  for (const question of older) {
    await chat.hear(question);
    await chat.page.keyboard.press("Control+Shift+O");
    await chat.turns.first().waitFor({ state: "detached" });
  }
  await chat.hear(question);
  return chat;
}

async function conversation(scene) {
  const chat = await asked(scene, "How long does each tea want, and can you ring for it in Go?");
  await chat.answers.locator("pre [class^=hljs]").first().waitFor();
  for (const part of [".question", "table", "pre"]) await wholly(chat.turns.locator(part));
  return chat.page;
}

/** Fails unless all of this is in the picture. */
async function wholly(element) {
  const { width, height } = element.page().viewportSize();
  const top = (await element.page().locator("header").first().boundingBox()).height;
  const box = await element.boundingBox();
  const inside = box && box.x >= 0 && box.y >= top && box.x + box.width <= width && box.y + box.height <= height;
  if (!inside) throw new Error(`${element} is not wholly in the picture: ${JSON.stringify(box)}`);
}

async function onPhone(scene) {
  return (await asked(scene, "Why does tea get bitter?")).page;
}

async function settings(scene) {
  const chat = await openChat(scene, troupe.url);
  const dialog = await chat.settings();
  await dialog.getByRole("option", { name: /meadow/ }).first().waitFor({ state: "attached" });
  await dialog.getByRole("textbox", { name: "System prompt" }).fill("Answer in two sentences, and say when you are not sure.");
  return chat.page;
}

async function productPage(scene) {
  const chat = new Chat(await scene.tab(`${troupe.url}/products/11`));
  await chat.hear("Is it bright enough to read by?");
  return chat.page;
}

async function embedded(scene) {
  shop.pages["/"] = `<!doctype html><html lang="en"><title>The lamp shop</title>
    <style>body{font:17px/1.6 Georgia,serif;max-width:46rem;margin:3rem auto;padding:0 2rem;color:#333}h1{font-size:2.2rem}
    .row{display:grid;grid-template-columns:1fr 1fr 1fr;gap:1rem;margin:2rem 0}.row div{height:9rem;border-radius:6px;background:radial-gradient(circle at 50% 0,#fff6d8,#e9dcc3 70%)}</style>
    <h1>The lamp shop</h1><p>Lamps for reading, for working and for evenings that should not end yet.</p>
    <div class="row"><div></div><div></div><div></div></div><p>All of them can be repaired.</p>
    <script src="${troupe.url}/embed.js" data-product="11" data-title="Ask about our lamps" async></script></html>`;
  const page = await scene.tab(shop.url);
  await page.getByRole("button", { name: "Ask about our lamps" }).click();
  await new Chat(page, page.getByRole("dialog")).hear("Is it bright enough to read by?");
  return page;
}

/** The status page of an invented deployment after ten minutes, which pass at once. */
async function statusPage(scene) {
  const begin = Date.UTC(2026, 0, 12, 9, 0, 0);
  const before = 3600; // seconds that the deployment has lived
  let now = begin;
  const life = () => before + (now - begin) / 1000;
  const headers = () => ({ Date: new Date(now).toUTCString() });
  const page = await scene.tab();
  await page.clock.install({ time: begin - 60_000 });
  await page.clock.pauseAt(begin);
  await page.route("**/api/debug/websocket-status", (route) => route.fulfill({ json: status(life()), headers: headers() }));
  await page.route("**/metrics", (route) =>
    route.fulfill({ body: metrics(life(), begin / 1000 - before), contentType: "text/plain", headers: headers() }));
  await page.goto(`${troupe.url}/status`);
  const shown = () => page.getByText(`Updated ${new Date(now).toISOString().slice(11, 19)}`).waitFor();
  await shown();
  while (now < begin + 600_000) {
    now += 6000;
    await page.clock.fastForward(6000);
    await shown();
  }
  return page;
}

try {
  await picture("chat", {}, conversation);
  await picture("chat-dark", { colorScheme: "dark" }, conversation);
  await picture("chat-phone", { viewport: phone }, onPhone);
  await picture("chat-settings", {}, settings);
  await picture("product", {}, productPage);
  await picture("product-dark", { colorScheme: "dark" }, productPage);
  await picture("product-phone", { viewport: phone }, productPage);
  await picture("embed", {}, embedded);
  await picture("status", {}, statusPage);
  await picture("status-dark", { colorScheme: "dark" }, statusPage);
  await picture("status-phone", { viewport: phone }, statusPage);
} finally {
  await browser.close();
  for (const thing of [troupe, shop, vendor]) await thing.stop();
}
