/**
 * The last door before the page: every piece of HTML that Markdown or the highlighter made goes through it.
 * It knows exactly what those two write and lets nothing else pass. This is the one maker of HTML that the
 * pages' Trusted Types policy allows.
 */
import purify from "../third_party/purify.js";

const CONFIG = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "span",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["class", "href", "start", "title"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ADD_URI_SAFE_ATTR: ["start"], // no address: a number need not look like one
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

// Which attributes make sense where; classes are of this list or none.
const OWNERS = { href: "A", title: "A", start: "OL" };
const CLASSES = {
  CODE: /^language-[\w+#.-]{1,32}$/,
  LI: /^task$/,
  P: /^raw$/,
  SPAN: /^(?:box|hljs-[a-z-]+|[a-z]+_+|language-[\w+#.-]{1,32})$/,
  TD: /^(?:center|right)$/,
  TH: /^(?:center|right)$/,
};

let ready = false;

/** Safe nodes of a text of HTML, in a fragment that belongs to this document. */
export function sanitize(html) {
  if (!ready) prepare();
  return purify.sanitize(html, CONFIG) ?? document.createDocumentFragment(); // it is null where nothing of a page is left
}

function prepare() {
  purify.addHook("uponSanitizeAttribute", (element, attribute) => {
    const { attrName: name } = attribute;
    if (name === "class") keepClasses(element, attribute);
    else if (Object.hasOwn(OWNERS, name) && element.nodeName !== OWNERS[name]) attribute.keepAttr = false;
  });
  purify.addHook("afterSanitizeAttributes", (element) => {
    if (element.nodeName !== "A" || !element.hasAttribute("href")) return;
    element.setAttribute("target", "_blank");
    element.setAttribute("rel", "noopener noreferrer nofollow ugc");
  });
  ready = true;
}

function keepClasses(element, attribute) {
  const known = CLASSES[element.nodeName];
  const kept = known ? attribute.attrValue.split(/\s+/).filter((name) => known.test(name)) : [];
  attribute.attrValue = kept.join(" ");
  attribute.keepAttr = kept.length > 0;
}
