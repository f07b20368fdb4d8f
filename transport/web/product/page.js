import "./conversation.js"; // shown at once, so it is loaded at once
import { h } from "./dom.js";
import { place } from "./widget.js";

const { productId: product, productName: name } = document.body.dataset;

document.title = `${name} · Troupe`;
for (const element of document.querySelectorAll("[data-name]")) element.textContent = name;

place({
  product, url: location.origin, title: `Ask about ${name}`,
  greeting: `What would you like to know about ${name}?`,
  theme: "system", accent: null, open: true, target: "",
}, document.getElementById("chat"));

// The tag as it would be written: quotes in a name or an address cannot leave their attribute.
const quoted = (text) => `"${text.replaceAll("&", "&amp;").replaceAll('"', "&quot;")}"`;
document.getElementById("tag").append(h("code", {}, `<script src=${quoted(`${location.origin}/embed.js`)} data-product=${quoted(product)} data-title=${quoted(`Ask about ${name}`)} async></script>`));
