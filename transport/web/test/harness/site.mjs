// A foreign website: static pages on a port, and so an origin, of their own.
import http from "node:http";

/**
 * @param {Record<string, string | {type?: string, body: string, headers?: Record<string, string>}>} pages
 *   path to its text (HTML) or to type, body and further headers
 */
export async function startSite(pages) {
  const site = { pages: { ...pages }, requests: [] };
  const server = http.createServer((request, response) => {
    const path = new URL(request.url, "http://site").pathname;
    site.requests.push(path);
    const page = site.pages[path];
    if (page === undefined) {
      response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
      return;
    }
    const { type = "text/html; charset=utf-8", body = page, headers } = typeof page === "string" ? {} : page;
    response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store", ...headers }).end(body);
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  site.host = `127.0.0.1:${server.address().port}`;
  site.url = `http://${site.host}`;
  site.stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return site;
}
