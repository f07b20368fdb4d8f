// What a script tag may say. Pure: attributes in, options and complaints out.

const THEMES = ["system", "light", "dark"];

/**
 * Reads data-* attributes. What is wrong is told to the page's owner and left out: a mistake in a colour costs the colour, not
 * the chat. There are no options without a product that could exist.
 * @param {Record<string, string | undefined>} said
 */
export function readOptions(said) {
  const problems = [];
  const bad = (name, remedy) => problems.push(`data-${name}="${said[name]?.slice(0, 60) ?? ""}" ${remedy}`);
  const read = (name, most = 999) => (said[name] ?? "").trim().slice(0, most);
  const product = read("product");
  if (!/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/.test(product)) {
    bad("product", 'is no product id: 1 to 128 letters, digits and "_.:-", beginning with a letter or a digit.');
    return { options: null, problems };
  }
  const accent = accentOf(read("accent"));
  if (said.accent && !accent) bad("accent", "is not used: give a colour as #rgb or #rrggbb.");
  let theme = read("theme") || "system";
  if (!THEMES.includes(theme)) {
    bad("theme", "is not used: give light, dark or system.");
    theme = "system";
  }
  const options = {
    product, accent, theme,
    title: read("title", 120) || "Ask about this product",
    greeting: read("greeting", 600) || "Ask a question. The answer appears here as it is written.",
    open: said.open !== undefined && said.open !== "false",
    target: read("target"),
  };
  return { options, problems };
}

/** The element that a selector means, or why there is none. */
export function findTarget(selector, root = document) {
  let why = "is not in this page";
  try {
    const element = root.querySelector(selector);
    if (element) return { element, problem: "" };
  } catch {
    why = "is no CSS selector";
  }
  return { element: null, problem: `data-target="${selector.slice(0, 60)}" ${why}: the chat got a button of its own.` };
}

/** A colour (#rgb or #rrggbb), and black or white on it: the one that reads better has at least 4.5 : 1. */
export function accentOf(colour) {
  if (!/^#(?:[0-9a-f]{3}){1,2}$/i.test(colour)) return null;
  const fill = (colour.length === 4 ? colour.replace(/\w/g, "$&$&") : colour).toLowerCase();
  const light = [.2126, .7152, .0722].reduce((sum, weight, i) => sum + weight * linear(parseInt(fill.slice(2 * i + 1, 2 * i + 3), 16) / 255), .05);
  return { fill, on: 1.05 / light >= light / .05 ? "#ffffff" : "#000000" };
}

const linear = (c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4); // WCAG's relative luminance
