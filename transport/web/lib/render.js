/**
 * From tokens to HTML, as text; no DOM. What comes out is cut into units: the pieces that a growing answer is
 * put together from. A block is one unit, but a list is one for itself and one for each item, and a table one
 * for its head and one for each row, so that long ones can grow at their end.
 *
 * Raw HTML of the Markdown is escaped here, links are looked at here; the sanitiser looks again afterwards.
 *
 * @typedef {{kind: "block"|"list"|"item"|"table"|"row", html: string} | {kind: "code", lang: string, text: string}} Unit
 */

// Deeper than anybody reads. It bounds the recursion, and what the browser's parser would flatten anyway.
const DEEPEST = 40;

const BREAK = /^<br\s*\/?>$/i;

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** @returns {Unit[]} */
export function units(tokens) {
  return tokens.flatMap((token) => {
    switch (token.type) {
      case "space":
      case "def":
        return [];
      case "paragraph":
        return token.raw.trim() === "" ? [] : [{ kind: "block", html: block(token, 0) }];
      case "code":
        return [{ kind: "code", ...code(token) }];
      case "list":
        return parts(token, { kind: "list", html: `${openList(token)}${closeList(token)}` }, token.items.map((it) => ({ kind: "item", html: item(it, 1) })));
      case "table":
        return parts(token, { kind: "table", html: table(token, "") }, token.rows.map((cells) => ({ kind: "row", html: row(cells, "td") })));
      default:
        return [{ kind: "block", html: block(token, 0) }];
    }
  });
}

// A token that continues an earlier one (see blocks.js) brings no container of its own.
function parts(token, container, rest) {
  return token.continues ? rest : [container, ...rest];
}

function blocks(tokens, depth) {
  return tokens.map((token) => block(token, depth)).join("");
}

function block(token, depth) {
  if (depth > DEEPEST) return `<p>${escape(token.raw)}</p>`;
  switch (token.type) {
    case "space":
    case "def":
    case "checkbox":
      return "";
    case "heading": {
      // The page has h1 and h2; an answer's headings go below them.
      const name = `h${Math.min(token.depth + 2, 6)}`;
      return `<${name}>${inline(token.tokens)}</${name}>`;
    }
    case "paragraph":
    case "text":
      return `<p>${token.tokens ? inline(token.tokens) : entities(token.text)}</p>`;
    case "hr":
      return "<hr>";
    case "blockquote":
      return `<blockquote>${blocks(token.tokens, depth + 1)}</blockquote>`;
    case "list":
      return `${openList(token)}${token.items.map((it) => item(it, depth + 1)).join("")}${closeList(token)}`;
    case "table":
      return table(token, token.rows.map((cells) => row(cells, "td")).join(""));
    case "code": {
      const { lang, text } = code(token);
      return `<pre><code${lang && ` class="language-${escape(lang)}"`}>${escape(text)}</code></pre>`;
    }
    case "html":
      return `<p class="raw">${escape(token.text.trimEnd())}</p>`;
    default:
      return `<p>${escape(token.raw)}</p>`;
  }
}

function code(token) {
  const word = /^\S*/.exec(token.lang ?? "")[0];
  return { lang: /^[\w+#.-]{1,32}$/.test(word) ? word : "", text: token.text.replace(/\n$/, "") };
}

function openList({ ordered, start }) {
  if (!ordered) return "<ul>";
  return start === 1 ? "<ol>" : `<ol start="${Number(start)}">`;
}

function closeList({ ordered }) {
  return ordered ? "</ol>" : "</ul>";
}

// Items look the same in tight and loose lists. A list becomes loose by a blank line further down, and what is
// on the page already must not move then.
function item({ task, checked, tokens }, depth) {
  if (!task) return `<li>${blocks(tokens, depth)}</li>`;
  const box = `<span class="box">${checked ? "☑" : "☐"}</span> `;
  return `<li class="task">${blocks(tokens, depth).replace("<p>", () => `<p>${box}`)}</li>`;
}

function table({ header }, rows) {
  return `<table><thead>${row(header, "th")}</thead><tbody>${rows}</tbody></table>`;
}

function row(cells, name) {
  return `<tr>${cells.map((cell) => `<${name}${aligned(cell.align)}>${inline(cell.tokens)}</${name}>`).join("")}</tr>`;
}

function aligned(align) {
  return align === "center" || align === "right" ? ` class="${align}"` : "";
}

// inLink: an address inside a link stays text, since links do not nest.
function inline(tokens, inLink = false, depth = 0) {
  return tokens.map((token) => span(token, inLink, depth)).join("");
}

function span(token, inLink, depth) {
  if (depth > DEEPEST) return escape(token.raw);
  const inner = (within = inLink) => inline(token.tokens, within, depth + 1);
  switch (token.type) {
    case "text":
      return token.tokens ? inner() : entities(token.text);
    case "escape":
      return escape(token.text);
    case "strong":
      return `<strong>${inner()}</strong>`;
    case "em":
      return `<em>${inner()}</em>`;
    case "del":
      return `<del>${inner()}</del>`;
    case "codespan":
      return `<code>${escape(token.text)}</code>`;
    case "br":
      return "<br>";
    case "link":
      return link(token, inLink ? "" : token.href, token.autolink ? escape(token.text) : inner(true));
    case "image":
      return link(token, inLink ? "" : token.href, entities(plain(token.tokens ?? []) || token.text) || "Image");
    case "checkbox":
      return "";
    case "html": // models break lines in table cells so; all other HTML is text
      return BREAK.test(token.raw) ? "<br>" : escape(token.raw);
    default:
      return escape(token.raw);
  }
}

function link({ title, autolink }, href, content) {
  const safe = safeHref(href);
  if (!safe) return content;
  const address = autolink ? escape(safe) : entities(safe);
  return `<a href="${address}"${title ? ` title="${entities(title)}"` : ""}>${content}</a>`;
}

function plain(tokens) {
  return tokens.map((token) => (token.tokens ? plain(token.tokens) : token.text ?? "")).join("");
}

/** The address as the browser understands it, or nothing where it is not whole or not of a kind that may be followed. */
function safeHref(href) {
  const url = URL.canParse(href) ? new URL(href) : null;
  return url && SCHEMES.has(url.protocol) ? url.href : "";
}

/** Text that is shown as it is written. */
function escape(text) {
  return text.replace(/[&<>"']/g, (c) => ESCAPES[c]);
}

/** Text whose character references mean their characters, as Markdown has it. */
function entities(text) {
  return text.replace(/[<>"']|&(?!(?:#\d{1,7}|#[Xx][\dA-Fa-f]{1,6}|\w+);)/g, (c) => ESCAPES[c]);
}
