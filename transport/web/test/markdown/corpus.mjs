/** Markdown of all kinds: what the splitter must cut anywhere without a trace. */
const table = "| a | b | c |\n|:--|:-:|--:|\n";

export const documents = [
  // paragraphs and their ends
  "one line", "two\nlines", "one\n\ntwo\n\n\nthree\n", "  indented\n   more\n", "hard  \nbreak\\\nagain\n", "\n\n  \nblank before\n\n\n",
  "text\n# heading\ntext\n## closed ##\n\n#no heading\n#\ttab\n", "setext\n===\nnext\n---\n\ntwo\nlines\n---\n", "a\n-\nb\n=\nc\n",
  "above\n***\nbelow\n\n---\n___\n* * *\n", "para\n- list\n- more\npara\n", "para\n2. no list\n\n2. a list\n3. more\n", "para\n> quote\nlazy\n\nend\n",
  "para\n```\ncode\n```\npara\n", "para\n    not code\n\n    code\n\n    still code\n\n\n    and more\nend\n", "\tcode by tab\n\n\tmore\n",
  // emphasis, code, links
  "*a* **b** ***c*** _d_ __e__ ~~f~~ `g` ``h ` h`` \\*i\\*\n", "**open and *nested** closed*\n\nnext **para\n", "snake_case_name and 2*3*4\n",
  "[link](https://example.com \"title\") ![image](https://example.com/a.png) <https://example.com> https://example.com/x?y=1&z=2.\n",
  "www.example.com and me@example.com and <me@example.com> mailto:me@example.com\n", "[a [nested] label](https://example.com/(parens)) end\n",
  "[rel](/path) [frag](#x) [js](javascript:alert(1)) [data](data:text/html,x) [![alt](https://e.com/i.png)](https://e.com)\n",
  "code with `<b>` and <b>tag</b> and <a href=\"x\">no end https://example.com\n\nnext https://example.org\n",
  // references before and after
  "[a] and [b][a] and [c]\n\n[a]: https://example.com/a\n[C]: <https://example.com/c> 'title'\n\n[a] again\n",
  "[x]: https://example.com/x\n\n[x] [x][] [y][x]\n", "[t]: https://example.com\n\"title\non lines\"\n\n[t]\n", "[t]: https://example.com\n'not closed\n\n[t]\n",
  "> [q]: https://example.com/q\n\n[q]\n\n- [l]: https://example.com/l\n\n[l]\n", "[u]:\nhttps://example.com/u\n\n[u] text\n", "[__proto__] [constructor]\n\n[__proto__]: https://example.com\n[constructor]: https://example.com\n",
  // lists
  "- a\n- b\n- c\n", "* a\n+ b\n- c\n", "1. a\n2. b\n3. c\n", "7) a\n8) b\n1. c\n", "- a\n\n- b\n\n\n- c\n", "- a\n- b\n\n- loose late\n\nend\n",
  "- a\n  - b\n    - c\n      - d\n  - e\n- f\n", "1. a\n   1. b\n      - c\n   2. d\n2. e\n", "- a\n\n  second para\n\n  - nested\n\n    deep para\n- b\n",
  "- code:\n\n  ```js\n  let a = 1;\n\n  let b = 2;\n  ```\n\n- after\n", "1. item\n\n       indented code\n\n2. item\n", "- a\nlazy\n- b\n  > quote\n  lazy\n- c\n",
  "- [ ] open\n- [x] done\n- [X] done\n\n  more\n- [ ]\n- [x]no\n", "-\n- a\n-\n\n  b\n- \n", "- a\n***\n- b\n---\n- c\n", "- - a\n  - b\n- 1. c\n  2. d\n", "   - a\n  - b\n - c\n- d\n    - e\n",
  "- a\n    continued\n\n    para\n\n        code\n- b\n", "- # heading\n- para\n  ===\n- ---\n", "10. a\n11. b\n    c\n\n    d\n12. e\n", "- a\n\n\n\nend\n", "- | a | b |\n  |---|---|\n  | 1 | 2 |\n- x\n",
  "- a\n<div>html</div>\n- b\n", "- a\n  <div>\n\n  x\n- b\n", "1. a\n\n```\ncode\n```\n\n2. b\n", "* a\n\n  b\n\nc\n* d\n", "- a\n\n      code\n      more\n- b\n",
  "- a\u00a0\n- b\u3000\n\nend\n- c\u2003\nlazy\n", "* a\ufeff\n  - b\u00a0\n",
  // quotes
  "> a\n> b\n\n> c\n", "> a\nlazy\n> b\n", "> > a\n> b\nc\n\n> > > deep\n", "> - a\n> - b\n>\n> para\n", "> ```\n> code\n> more\n", "> ```\n> code\n> ```\n> text\n", "> # h\n> ---\n> a\n> ===\n", ">no space\n>\n>\ttab\n", "> a\n- b\n> c\n", "> - a\nb\n> - c\n",
  // code
  "```\nplain\n```\n", "```go\nfunc main() {\n\n}\n```\nafter\n", "~~~python title=\"x\"\nprint('```')\n~~~\n", "````md\n```\ninner\n```\n````\n", "```\nopen to the end\n\nmore\n", "  ```\n  indented\n   one more\n less\n  ```\n", "   ~~~\n   tilde\n   ~~~~\nx\n",
  "```\n```\n", "```\n\n```\n", "```\n\n\n```\n", "```\na\n\n```\n", "```a`b\nno fence\n", "```x\n``` not closed\n``\n````\nend\n", "```\n  ```\na\n    ```\nb\n", "```html\n<b>&amp;</b>\n```\n", "```\na\n```b\n```\n", "~~~\n```\n~~~\n~~~ c++ \nx\n~~~", "```js\n\tx\n   \n  y  \n```\n\n\n", "\n\n```\nx\n```",
  // tables
  `${table}| 1 | 2 | 3 |\n| 4 | 5 | 6 |\n`, `text\n${table}| 1 |\n| 1 | 2 | 3 | 4 |\n\nafter\n`, "a | b\n--|--\n1 | 2\nx\n3 \\| 4 | `5 | 6`\n> quote\n", "| a |\n|---|\n", "| a |\n|---|\n| b |\n# h\n", "a | b\n-- | --\n1 | 2\n- list\n", "| no | table |\n| here |\n", "| a | b |\n|---|\n", `${table}| **b** | \`c\` | [l](https://e.com) |\n|\n||\n`, `  ${table}  | 1 | 2 | 3 |\n   \n| no |\n`,
  `${table}| 1 | 2 | 3 |\n    | 4 | 5 | 6 |\n\t\n| 7 |\n`,
  // html
  "<div>\n\n**bold**\n\n</div>\n", "<div>\ninside\n</div>\nstill\n\nout\n", "<!-- comment\n\nmore -->\nafter\n", "<!-- open\n\nfor ever\n", "<script>\nalert(1)\n\n</script>\nafter\n", "<custom-tag a=\"b\">\ntext\n\nnext\n", "para\n<custom>\nmore\n", "<?php\n\n?>\nx\n", "<![CDATA[\n\n]]>\nx\n", "<!DOCTYPE html>\nx\n", "a <br> b <img src=x onerror=y> c\n", "<pre>\n\n*a*\n</pre> *b*\n\n*c*\n", "<b>x</b>\n\n</b>\ny\n", "text <code>*a*</code> <pre> &lt; *x*\n\n&amp; y\n",
  // characters
  "&copy; &lt;b&gt; &#60;i&#62; &#x22; &nope; AT&T &amp;amp; &#0; &#8238;x\n", "emoji 👩‍👩‍👧‍👦 🇩🇪 é e\u0301 end\n", "**中文**标点。*强调*,列表:\n- 一\n- 二\n\n| 甲 | 乙 |\n|--|--|\n| 丙 | 丁 |\n", "שלום *עולם* \u202eabc\u202c\n\n`\u202ecode\u2066`\n", "crlf\r\n\r\n- a\r\n- b\r\n\r\n```\r\ncode\r\n```\r\n\r\n| a |\r\n|-|\r\n| b |\r\n", "cr\ralone\r\r# h\rend\r", "tab\there\n\n- a\n\t- b\n\t\t- c\n", "nul \u0000 and \ufffd and \ufeff\n", "\u00a0nbsp\n\u2003em space\n\u000bvt\u000cff\n", "trailing spaces   \n\n   \n\t\nend   ",
  // everything after everything
  "# Title\nIntro:\n- a\n- b\n\n1. x\n2. y\n\n> q\n\n```sh\nls\n```\n" + table + "| 1 | 2 | 3 |\n\n---\nEnd *here*.\n",
];
