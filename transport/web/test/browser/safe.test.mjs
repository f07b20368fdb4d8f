// Hostile text through the whole program, and where keys are and are not.
import assert from "node:assert/strict";
import { browsing } from "../harness/browser.mjs";
import { startTroupe } from "../harness/server.mjs";
import { expectSoon } from "../harness/soon.mjs";
import { startVendor } from "../harness/vendor.mjs";
import { Chat, openChat } from "./driver.mjs";

const browse = browsing();

const hostile = [
  `<script>pwned()</script>`,
  `<img src="https://evil.example/a.png" onerror="pwned()">`,
  `<svg/onload=pwned()><svg><script>pwned()</script></svg>`,
  `<iframe srcdoc="<script>parent.pwned()</script>"></iframe>`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=pwned()&gt;">`,
  `<style>@import "https://evil.example/a.css"; * { background: url(https://evil.example/b.png) }</style>`,
  `<link rel="stylesheet" href="https://evil.example/c.css"><base href="https://evil.example/">`,
  `<form action="https://evil.example/"><button formaction="javascript:pwned()">press</button></form>`,
  `<a href="javascript:pwned()" id="press-1">press</a>`,
  `[press](javascript:pwned())`,
  `[press](JaVaScRiPt&colon;pwned())`,
  `[press](&#x6a;avascript:pwned())`,
  `[press](data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+)`,
  `[press][ref]\n\n[ref]: vbscript:pwned()`,
  `![picture](https://evil.example/d.png "onerror=pwned()")`,
  `![picture](data:image/svg+xml,<svg/onload=pwned()>)`,
  "```js\" onmouseover=\"pwned()\n</code></pre><img src=x onerror=pwned()>\n```",
  `<https://evil.example/"onmouseover="pwned()>`,
  `| <img src=x onerror=pwned()> | [x](javascript:pwned()) |\n|---|---|\n| <b onclick=pwned()>b</b> | y |`,
  `# <details open ontoggle=pwned()>\n\n- <video><source onerror=pwned()>`,
];

browse("safe: hostile answers, questions and titles do nothing", { timeout: 120_000 }, async (scene) => {
  let next = 0;
  const vendor = scene.with(await startVendor(() => hostile[next++].match(/[^]{1,3}/g))); // in pieces that split every tag
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  await scene.context.addInitScript(() => {
    globalThis.executions = 0;
    globalThis.pwned = () => globalThis.executions++;
  });
  const chat = await openChat(scene, troupe.url);
  chat.page.on("dialog", (dialog) => scene.trouble.push({ kind: "page", text: `a dialog: ${dialog.message()}` }));
  for (const [i, vector] of hostile.entries()) {
    await chat.hear(vector);
    assert.equal(await chat.answers.count(), i + 1);
  }

  const found = await chat.page.evaluate(() => {
    const all = [...document.querySelectorAll(".question *, .answer *, .question, .answer")];
    const bad = all.filter(
      (e) =>
        /^(script|img|svg|math|iframe|style|link|base|form|video|source|object|embed|details)$/i.test(e.localName) && !e.closest("figcaption, .controls") ||
        e.getAttributeNames().some((name) => name.startsWith("on") || ["srcdoc", "style", "formaction"].includes(name)) ||
        (e.localName === "a" && !/^(https?|mailto):/.test(e.href)),
    );
    const links = all.filter((e) => e.localName === "a").map((e) => [e.target, e.rel]);
    return { bad: bad.map((e) => e.outerHTML), links, executions: globalThis.executions };
  });
  assert.deepEqual(found.bad, []);
  assert.equal(found.executions, 0);
  assert.ok(found.links.length > 0, "the pictures became links");
  for (const [target, rel] of found.links) {
    assert.equal(target, "_blank");
    for (const word of ["noopener", "noreferrer", "nofollow", "ugc"]) assert.ok(rel.split(" ").includes(word), `rel=${rel}`);
  }
  const list = chat.page.getByRole("navigation", { name: "Conversations" });
  await list.getByRole("link", { name: hostile[0] }).waitFor(); // the title is the text

  await chat.page.reload();
  await chat.connection("connected");
  await expectSoon(async () => assert.equal(await chat.answers.count(), hostile.length));
  await list.getByRole("link", { name: hostile[0] }).waitFor();
  assert.equal(await chat.page.evaluate(() => globalThis.executions), 0);
  assert.deepEqual(scene.foreign, []);
});

const secret = "sk-of-the-user-0123456789";

/** All that this browser keeps, by where it keeps it. */
const kept = (page) =>
  page.evaluate(async () => {
    const request = (r) => new Promise((resolve, reject) => ((r.onsuccess = () => resolve(r.result)), (r.onerror = () => reject(r.error))));
    const databases = [];
    for (const { name } of await indexedDB.databases()) {
      const db = await request(indexedDB.open(name));
      for (const store of db.objectStoreNames) databases.push(await request(db.transaction(store).objectStore(store).getAll()));
      db.close();
    }
    const caches = await globalThis.caches?.keys();
    return { local: JSON.stringify(localStorage), session: JSON.stringify(sessionStorage), databases: JSON.stringify(databases), cookies: document.cookie, caches };
  });

browse("safe: a key of the user is sent with the question and kept nowhere, unless the tab may keep it", {}, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  const chat = await openChat(scene, troupe.url);
  const key = async () => (await chat.settings()).getByRole("textbox", { name: "API key for vendor" });
  await (await key()).fill(secret);
  await chat.closeSettings();
  await chat.hear("With my key");
  assert.equal(vendor.asked[0].key, secret);
  assert.doesNotMatch(JSON.stringify(await kept(chat.page)), new RegExp(secret));
  assert.match((await kept(chat.page)).databases, /With my key/, "conversations are kept, so the search looked at the right place");

  await chat.page.reload();
  await chat.connection("connected");
  await chat.hear("Without it");
  assert.equal(vendor.asked[1].key, "test-key", "the deployment's");

  await (await key()).fill(secret);
  await chat.page.getByRole("checkbox", { name: "Keep keys until this tab is closed" }).check();
  await chat.closeSettings();
  const { session, ...elsewhere } = await kept(chat.page);
  assert.match(session, new RegExp(secret));
  assert.doesNotMatch(JSON.stringify(elsewhere), new RegExp(secret));
  await chat.page.reload();
  await chat.connection("connected");
  await chat.hear("With my key again");
  assert.equal(vendor.asked[2].key, secret);

  await chat.settings();
  await chat.page.getByRole("checkbox", { name: "Keep keys until this tab is closed" }).uncheck();
  assert.doesNotMatch(JSON.stringify(await kept(chat.page)), new RegExp(secret));

  const other = await openChat(scene, troupe.url);
  await other.hear("From another tab");
  assert.equal(vendor.asked[3].key, "test-key", "another tab has no key");
  assert.doesNotMatch(troupe.log, new RegExp(secret));
});

browse("safe: the pages carry the strict policy and no page can be framed", {}, async (scene) => {
  const troupe = scene.with(await startTroupe({ products: { 11: { name: "Lamp" } } }));
  for (const path of ["/", "/products/11", "/status"]) {
    const policy = (await troupe.get(path)).headers.get("content-security-policy");
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
      assert.ok(policy.split("; ").includes(rule), `${path}: ${policy}`);
    }
    const page = await scene.tab(troupe.url + path);
    scene.expect(/^(policy|console): .*(require-trusted-types-for|TrustedHTML)/);
    const made = await page.evaluate(() => {
      try {
        document.createElement("div").innerHTML = "<b>made of a string</b>";
        return "made";
      } catch (error) {
        return error.name;
      }
    });
    assert.equal(made, "TypeError", `${path}: Trusted Types are enforced`);
  }
});

browse("safe: blocked storage costs the memory of conversations and nothing else", {}, async (scene) => {
  const vendor = scene.with(await startVendor());
  const troupe = scene.with(await startTroupe({ vendor: vendor.url }));
  await scene.context.addInitScript(() => {
    for (const name of ["indexedDB", "localStorage", "sessionStorage"]) {
      Object.defineProperty(globalThis, name, {
        get() {
          throw new DOMException("blocked", "SecurityError");
        },
      });
    }
  });
  const chat = new Chat(await scene.tab(troupe.url));
  await chat.connection("connected");
  await chat.hear("First");
  await chat.hear("Second");
  assert.equal(vendor.asked[1].messages.length, 3);
  await chat.page.getByText(/This browser keeps nothing/).first().waitFor();
});
