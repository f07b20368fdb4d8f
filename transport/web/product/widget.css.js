/* The widget's style as text, because a <link> would need the foreign page's style-src. Lengths are in em of the reader's own
   font size: rem is the foreign page's. Colours have the names of style/base.css, so that lib/markdown.css finds them. */
const css = `
:host { display: block; height: 100%; }
:host([data-corner]) { display: contents; }
.troupe {
  all: initial;
  color-scheme: light dark;
  --paper: light-dark(#fbfaf7, #17181a);
  --sheet: light-dark(#f4f2ec, #1e2023);
  --ink: light-dark(#22242a, #e6e4df);
  --soft: light-dark(#63646a, #a3a29d);
  --line: light-dark(#dedbd3, #34363b);
  --accent: light-dark(#1f5f8b, #8fc1e3);
  --on-accent: light-dark(#ffffff, #10222f);
  --warn: light-dark(#9c2f1f, #f0a294);
  --good: light-dark(#2f7d4f, #86cfa2);
  --sans: ui-sans-serif, system-ui, sans-serif;
  --mono: ui-monospace, "Cascadia Code", monospace;
  --radius: .5em;
  display: block; height: 100%; color: var(--ink); font-family: var(--sans); line-height: 1.55;
}
[data-theme="light"] { color-scheme: light; }
[data-theme="dark"] { color-scheme: dark; }
*, *::before, *::after { box-sizing: border-box; }
[hidden], .note:empty { display: none !important; }
.hidden { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
p { margin: 0; }
a { color: var(--accent); }
button { min-height: 2.25em; padding: .375em .875em; border: 1px solid transparent; border-radius: .375em; background: none; color: inherit; font: .875em/1.4 var(--sans); cursor: pointer; }
.plain { border-color: var(--line); }
.quiet { padding: .25em .5em; color: var(--soft); }
.quiet:hover, .quiet:focus-visible { color: var(--ink); background: var(--sheet); }
.send, .launcher { background: var(--fill, var(--accent)); color: var(--on-fill, var(--on-accent)); }
button:disabled { opacity: .45; cursor: default; }
svg { display: block; width: 1.5em; height: 1.5em; margin: auto; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }

.launcher { position: fixed; z-index: 2147483000; right: calc(1.25em + var(--place) * 4.25em + env(safe-area-inset-right)); bottom: calc(1.25em + env(safe-area-inset-bottom)); width: 3.5em; height: 3.5em; padding: 0; border-radius: 50%; font-size: 1em; box-shadow: 0 0 0 1px #fff9, 0 .25em 1em #0005; }
.launcher[data-news]::after { content: ""; position: absolute; top: 0; right: 0; width: .875em; height: .875em; border: 2px solid var(--paper); border-radius: 50%; background: var(--warn); }

.panel { display: flex; flex-direction: column; width: 100%; height: 100%; overflow: hidden; background: var(--paper); color: inherit; border: 1px solid var(--line); border-radius: .75em; }
dialog { position: fixed; z-index: 2147483001; inset: auto calc(1.25em + env(safe-area-inset-right)) calc(5.75em + env(safe-area-inset-bottom)) auto; width: 25em !important; height: min(38em, 100dvh - 7em) !important; max-width: none; max-height: none; margin: 0; padding: 0; box-shadow: 0 .5em 2.5em #0004; }
dialog:not([open]) { display: none; }
header { display: flex; align-items: center; padding: .5em .5em .5em 1em; border-bottom: 1px solid var(--line); }
h2#title { flex: 1; min-width: 0; margin: 0; font-size: 1em; line-height: 1.3; overflow-wrap: anywhere; }
header button { width: 2.75em; height: 2.75em; padding: 0; }
.body { display: flex; flex: 1; flex-direction: column; min-height: 0; }
.body > p { padding: 1em; }

.log { flex: 1; min-height: 0; overflow: auto; overscroll-behavior: contain; scrollbar-width: thin; scrollbar-gutter: stable; padding: 1em; overflow-wrap: anywhere; }
.log:focus-visible { outline-offset: -2px; }
.greeting { color: var(--soft); white-space: pre-line; }
.turn + .turn { margin-top: 1.5em; }
.question { width: fit-content; max-width: 90%; margin: 0 0 .75em auto; padding: .5em .75em; border-radius: .75em .75em .125em; background: var(--sheet); white-space: pre-wrap; }
.note, .trouble { margin: .375em 0; font-size: .875em; color: var(--soft); }
.trouble-words { margin-bottom: .5em; color: var(--warn); }

form { padding: .75em .75em max(.625em, env(safe-area-inset-bottom)); border-top: 1px solid var(--line); }
textarea { display: block; width: 100%; max-height: 9em; padding: .5em .75em; resize: none; field-sizing: content; font: 1em/1.5 var(--sans); color: inherit; background: none; border: 1px solid var(--line); border-radius: .5em; }
textarea::placeholder { color: var(--soft); opacity: 1; }
.row { display: flex; align-items: flex-end; gap: .5em; margin-top: .5em; }
.state { display: flex; flex: 1; flex-wrap: wrap; align-items: center; min-width: 0; min-height: 2.5em; font-size: .8125em; color: var(--soft); font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.words::before { content: ""; display: inline-block; width: .5em; height: .5em; margin-right: .5em; border-radius: 50%; background: var(--soft); }
[data-is="connected"] > .words::before { background: var(--good); }
:is([data-is="waiting"], [data-is="refused"]) > .words::before { background: var(--warn); }
#state button { font-size: 1em; }
details { width: 100%; }
summary { cursor: pointer; }
.owner code { display: block; margin: .25em 0; padding: .25em .5em; border-radius: .25em; background: var(--sheet); font: .9375em/1.5 var(--mono); user-select: all; }

@media (max-width: 32em), (max-height: 26em) {
  dialog { inset: var(--above, 0) 0 auto 0; width: 100% !important; height: var(--seen, 100dvh) !important; border: 0; border-radius: 0; }
}
@media print { .launcher, dialog { display: none; } }
`;

let sheets;

/**
 * The sheets of a shadow root, made once. Markdown's comes as text over the connection that the page allows anyway; its rem
 * become --rem, which the widget measures.
 */
export function styles() {
  if (sheets) return sheets;
  sheets = [new CSSStyleSheet(), new CSSStyleSheet()];
  sheets[1].replaceSync(css);
  fetch(new URL("../lib/markdown.css", import.meta.url), { credentials: "omit" })
    .then((answer) => answer.text())
    .then((text) => sheets[0].replaceSync(text.replace(/([\d.]+)rem\b/g, "calc($1 * var(--rem))")))
    .catch((why) => console.warn("Troupe: answers have no style.", why));
  return sheets;
}
