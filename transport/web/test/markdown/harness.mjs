/** A Chromium with one page that has the Markdown modules, served as the product serves them: same policy, same kind of addresses. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../harness/browser.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, "..", "..");
const ASSETS = "/assets/test";

export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify troupe";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/**
 * Opens the page. `instead` serves other files than those asked for (path below web/ → path below test/markdown/),
 * `policy` another policy.
 */
export async function openPage({ instead = {}, policy = POLICY } = {}) {
  const server = await serve(instead, policy);
  const origin = `http://127.0.0.1:${server.address().port}`;
  const browser = await launch();
  const close = async () => {
    await browser.close();
    server.close();
    server.closeAllConnections();
  };
  try {
    const page = await browser.newPage();
    const seen = watch(page, origin);
    await page.goto(`${origin}/`);
    await page.waitForFunction(() => window.harness);
    return { page, seen, origin, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What a page must not do by itself. */
function watch(page, origin) {
  const seen = { dialogs: [], requests: [], errors: [] };
  page.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("data:")) seen.requests.push(request.url());
  });
  page.on("pageerror", (error) => seen.errors.push(error.message));
  return seen;
}

async function serve(instead, policy) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = pathname === "/" ? "test/markdown/page.html" : normalize(pathname).replace(`${ASSETS}/`, "");
    try {
      const file = instead[path] ? join(here, instead[path]) : join(web, path);
      const body = await readFile(file, "utf8");
      response.setHeader("Content-Type", `${TYPES[extname(file)]}; charset=utf-8`);
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin"); // with the next: clocks of full resolution
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
      if (policy) response.setHeader("Content-Security-Policy", policy);
      response.end(body.replaceAll("%ASSETS%", ASSETS));
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
