/** For the counter-check of the attack tests: lets everything through. */
const policy = trustedTypes.createPolicy("dompurify", { createHTML: (html) => html });

export function sanitize(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  return document.importNode(template.content, true);
}
