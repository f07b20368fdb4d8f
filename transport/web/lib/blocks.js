/**
 * Cuts a growing Markdown text into what is settled, which no further text can change, and the live rest; no DOM.
 * A further piece costs what the live rest costs, not what came before:
 *
 * - Only complete lines settle anything. All blocks but the last one of them are settled.
 * - A long list settles its items one by one, a long table its rows, all but the last.
 * - An open code fence only hands on text and looks for its end in new lines.
 * - Any other block that outgrows LIMIT only hands on text too. It is read again when it has grown by half, or
 *   when a line comes that ends it, so that all readings together stay in proportion to the text.
 *
 * A reference may be defined after its use. `references` tells that the text defines any; then the whole text
 * has to be read once at its end.
 */
import { Lexer, Tokenizer } from "../third_party/marked.js";

const LIMIT = 8 * 1024;
const FENCE = /^ {0,3}(?:(`{3,})(?=[^`\n]*$)|(~{3,}))/;
const BULLET = /^(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)/;
const INTERRUPTS = /^ {0,3}(?:#{1,6}(?:\s|$)|>|(?:[-*+]|1[.)])[ \t]+\S|(?:={1,}|-{1,})[ \t]*$)/;

/** Does this line end a block of this kind for sure? `blank`: the line before it was blank. */
const ENDS = {
  paragraph: (line) => isBlank(line) || INTERRUPTS.test(line) || FENCE.test(line),
  blockquote: (line) => isBlank(line),
  table: (line) => isBlank(line),
  list: (line, blank) => BULLET.test(line) || (blank && /^\S/.test(line)),
  code: (line) => /^ {0,3}\S/.test(line),
};

// What a line may still turn into something else: not shown before the next character decides.
const UNDECIDED = /^[ \t]*(?:[-=+*_#>`~|: \t]+|\d{1,9}[.)]?)$/;

// Tags are plain text to us, so what stands between them is ordinary text too.
class PlainTags extends Tokenizer {
  tag(source) {
    const { inLink } = this.lexer.state;
    const token = super.tag(source);
    this.lexer.state.inLink = inLink;
    this.lexer.state.inRawBlock = false;
    return token;
  }
}

// How long the lexer takes for a run of text with marks grows with length × marks. What would take it a good part
// of a second (it has to be made for that) is shown as it is.
const MARKS = /[*_~`[\]<@]/g;
const BEARABLE = 1e8;
const DEEPEST = 50; // quotes and lists in each other

class Reader extends Lexer {
  #depth = 0;

  blockTokens(source, tokens = [], joined = false) {
    if (this.#depth === DEEPEST) {
      tokens.push({ type: "plain", raw: source });
      return tokens;
    }
    this.#depth++;
    super.blockTokens(source, tokens, joined);
    this.#depth--;
    return tokens;
  }

  inlineTokens(source, tokens = []) {
    if (source.length > 2 * LIMIT && source.length * source.match(MARKS)?.length > BEARABLE) {
      tokens.push({ type: "plain", raw: source });
      return tokens;
    }
    return super.inlineTokens(source, tokens);
  }
}

/**
 * Reads a text in one go. Where the lexer gives up, as on some thousand brackets in each other, the text is one
 * plain paragraph. `links` are the references that are known already; the ones of this text are added.
 */
export function lex(text, links = Object.create(null)) {
  const source = text.replace(/\r\n?/g, "\n");
  const reader = new Reader({ gfm: true, tokenizer: new PlainTags() });
  reader.tokens.links = links;
  try {
    return reader.lex(source);
  } catch {
    return [{ type: "plain", raw: source }];
  }
}

/**
 * @typedef {object} Step
 * @property {object[]} settled tokens that are final. A list or table with `continues` goes on where the last one ended.
 * @property {object[] | null} live tokens of the rest, in place of the live ones before; null: those stay as they are,
 * @property {string} more and this text comes to their end
 */
export class Blocks {
  references = false;
  #pending = "";
  #carriageReturn = false; // held back: a line feed may follow in the next piece
  #tail = ""; // what is not settled
  #head = ""; // the first lines of the table that #tail continues; read with it
  #continues = false; // #tail goes on with a list or table whose beginning is settled
  #links = Object.create(null); // of what is settled
  #fence = null;
  #growth = null;

  append(piece) {
    let text = this.#carriageReturn ? `\r${piece}` : piece;
    this.#carriageReturn = text.endsWith("\r");
    if (this.#carriageReturn) text = text.slice(0, -1);
    this.#pending += text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
  }

  /** What has changed since the last step. @returns {Step} */
  step() {
    const piece = this.#pending;
    this.#pending = "";
    if (piece === "") return { settled: [], live: this.#tail === "" ? [] : null, more: "" };
    this.#tail += piece;
    if (this.#fence) {
      const { more, closed } = this.#fence.take(piece);
      if (!closed) return { settled: [], live: null, more };
    } else if (this.#growth && !this.#growth.take(piece)) {
      return { settled: [], live: null, more: piece };
    }
    return this.#reread();
  }

  /** No more will come: everything is settled. @returns {Step} */
  finish() {
    if (this.#carriageReturn) this.#pending += "\n";
    this.#carriageReturn = false;
    this.#tail += this.#pending;
    this.#pending = "";
    const settled = this.#mark(this.#read(this.#tail));
    this.#tail = "";
    return { settled, live: [], more: "" };
  }

  // Reads the rest of the text, or its beginning, without making its references known.
  #read(text) {
    const links = Object.assign(Object.create(null), this.#links);
    const tokens = lex(this.#head + text, links);
    this.references ||= Object.keys(links).length > 0;
    return tokens;
  }

  #mark(tokens) {
    const [first] = tokens;
    const fits = this.#continues && (first?.type === "list" || first?.type === "table");
    return fits ? [{ ...first, continues: true }, ...tokens.slice(1)] : tokens;
  }

  #reread() {
    const length = this.#tail.length;
    const settled = this.#settle();
    // A line that should have ended the block and did not: only its size tells when to look again.
    const fooled = this.#growth?.hinted && this.#tail.length === length;
    return { settled, live: this.#live(!fooled), more: "" };
  }

  // Takes what is settled off the complete lines of the rest.
  #settle() {
    const text = this.#tail.slice(0, this.#tail.lastIndexOf("\n") + 1);
    if (text === "") return [];
    const source = this.#head + text;
    const { settled, at, continues, head } = cut(this.#mark(this.#read(text)), source);
    if (at <= this.#head.length) return [];
    if (this.references) lex(source.slice(0, at), this.#links);
    this.#tail = this.#tail.slice(at - this.#head.length);
    this.#head = head;
    this.#continues = continues;
    return settled;
  }

  #live(hints) {
    const long = this.#tail.length > LIMIT;
    const end = this.#tail.lastIndexOf("\n") + 1;
    const hidden = !long && UNDECIDED.test(this.#tail.slice(end));
    const tokens = this.#mark(this.#read(hidden ? this.#tail.slice(0, end) : this.#tail));
    this.#fence = openFence(this.#tail, tokens[0]);
    this.#growth = long && !this.#fence ? new Growth(tokens, this.#tail, hints) : null;
    return this.#fence ? [{ ...tokens[0], text: this.#fence.begun }] : tokens;
  }
}

/**
 * What of these tokens is settled, and where in the source that ends. `continues`: the rest goes on within a
 * list or table; `head` are the lines a table's rest is read with.
 */
function cut(tokens, source) {
  const settled = [];
  const last = tokens.findLastIndex((token) => !isNothing(token));
  let at = 0;
  for (const [i, token] of tokens.entries()) {
    // Positions are sums of what the lexer says it has read. Where that is not what is there, nothing settles.
    if (!source.startsWith(token.raw, at)) break;
    if (i === last && !isFinal(token, i + 1 < tokens.length)) return cutWithin(token, settled, at);
    at += token.raw.length;
    if (!isNothing(token)) settled.push(token);
  }
  return { settled, at, continues: false, head: "" };
}

// The lexer leaves the space at the end of a list behind, and where that is of another alphabet, as a paragraph.
function isNothing({ type, raw }) {
  return type === "space" || (type === "paragraph" && raw.trim() === "");
}

// The last block can be final too: one of a single line, a closed fence, and what no line continues after a blank one.
function isFinal({ type, raw, codeBlockStyle }, beforeBlank) {
  switch (type) {
    case "hr":
      return true;
    case "heading":
      return raw.trimStart().startsWith("#") || beforeBlank;
    case "paragraph":
    case "blockquote":
    case "table":
      return beforeBlank;
    case "code":
      return !codeBlockStyle && isClosed(raw.trimEnd());
    default:
      return false;
  }
}

function isClosed(code) {
  const lines = code.split("\n");
  return lines.length > 1 && Fence.of(lines[0]).close.test(lines.at(-1));
}

function cutWithin(token, settled, at) {
  const key = { list: "items", table: "rows" }[token.type];
  if (!key || token[key].length < 2) return { settled, at, continues: false, head: "" };
  const pieces = token.type === "list" ? token.items.map((it) => it.raw) : rowLines(token);
  const length = pieces.slice(0, -1).join("").length;
  settled.push({ ...token, [key]: token[key].slice(0, -1) });
  return { settled, at: at + length, continues: true, head: token.type === "table" ? pieces[0].split("\n", 2).join("\n") + "\n" : "" };
}

// The lines of a table by row; its head is with the first.
function rowLines({ raw, rows }) {
  const lines = raw.split("\n").map((line) => `${line}\n`);
  return [lines.slice(0, 3).join(""), ...lines.slice(3, 2 + rows.length)];
}

function openFence(text, token) {
  if (token?.type !== "code" || token.codeBlockStyle) return null;
  const end = text.indexOf("\n");
  const fence = end < 0 ? null : Fence.of(text.slice(0, end));
  if (!fence) return null;
  const { more, closed } = fence.take(text.slice(end + 1));
  fence.begun = more;
  return closed ? null : fence;
}

/** An open code fence: what of its text to show, and whether a line closes it. */
class Fence {
  begun = "";
  #held = ""; // of a line that may still turn out to close the fence, or of which only the indentation is there
  #flowing = false; // the line is being shown
  #lines = 0;

  /** @returns {Fence | null} */
  static of(line) {
    const match = FENCE.exec(line);
    return match && new Fence(match[1] ?? match[2], match[1] ? match[0].indexOf("`") : 0);
  }

  constructor(marks, indent) {
    this.close = new RegExp(`^ {0,3}${marks[0]}{${marks.length},} *$`);
    this.indent = new RegExp(`^\\s{0,${indent}}`);
  }

  take(text) {
    let more = "";
    for (let at = 0; at < text.length; ) {
      const feed = text.indexOf("\n", at);
      const part = text.slice(at, feed < 0 ? undefined : feed);
      if (feed >= 0 && !this.#flowing && this.close.test(this.#held + part)) return { more, closed: true };
      more += this.#flowing ? part : this.#begin(part, feed >= 0);
      if (feed < 0) break;
      this.#flowing = false;
      at = feed + 1;
    }
    return { more, closed: false };
  }

  // A line's end goes before the next line, since the last one has none.
  #begin(part, whole) {
    const line = this.#held + part;
    this.#flowing = whole || !/^[ \t]*(?:`*|~*) *$/.test(line);
    this.#held = this.#flowing ? "" : line;
    if (!this.#flowing) return "";
    return (this.#lines++ > 0 ? "\n" : "") + line.replace(this.indent, "");
  }
}

/** A long block that is not read again for every piece. */
class Growth {
  hinted = false; // due because of a line, not because of the size
  #ends;
  #left;
  #line; // as much of the line as the tests need
  #blank = false;

  constructor(tokens, text, hints) {
    this.#ends = hints ? ENDS[tokens.findLast((token) => !isNothing(token))?.type] : undefined;
    this.#left = text.length / 2;
    this.#line = text.slice(text.lastIndexOf("\n") + 1).slice(0, 200);
  }

  /** Is it time to read the block again? */
  take(piece) {
    this.#left -= piece.length;
    const [first, ...more] = piece.split("\n");
    this.#line = (this.#line + first).slice(0, 200);
    for (const next of more) {
      this.hinted ||= Boolean(this.#ends?.(this.#line, this.#blank));
      this.#blank = isBlank(this.#line);
      this.#line = next.slice(0, 200);
    }
    return this.hinted || this.#left <= 0;
  }
}

function isBlank(line) {
  return /^[ \t]*$/.test(line);
}
