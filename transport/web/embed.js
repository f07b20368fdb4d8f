/* Puts Troupe's chat into a page: <script src="https://chat.example.com/embed.js" data-product="11" async></script>
   What else the tag may say: docs/embedding.md. */
(function () {
  "use strict";
  var script = document.currentScript;
  if (!script || !script.src) {
    console.error("Troupe: embed.js needs a script element of its own, without type=\"module\".");
    return;
  }
  if (!script.dataset.product) {
    console.error("Troupe: this script element names no product. Add data-product, as in <script src=\"" + script.src + "\" data-product=\"11\" async>.");
    return;
  }
  var server = new URL(script.src).origin;
  var said = Object.assign({}, script.dataset); // now: the element may be gone when the page is ready

  function start() {
    import(server + "%ASSETS%/product/widget.js").then(function (widget) {
      widget.mount(said, server);
    }).catch(function (why) {
      console.error("Troupe: the chat could not be loaded. A content security policy needs " + server + " in script-src.", why);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start, { once: true });
  else start();
})();
