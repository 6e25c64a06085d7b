// What the pages cannot do without a script: take a sign-in code out of the address, copy to the clipboard,
// and say aloud what htmx has changed. Everything else works without it.
(() => {
  "use strict";

  // The code stands in the fragment, which browsers send to no server. It goes into the form and out of the
  // address bar and history; a person presses the button.
  const takeCode = () => {
    const form = document.querySelector("#link-form");
    const code = /^#code=([A-Za-z0-9_-]{1,128})$/.exec(location.hash);
    if (!form || !code) return;
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.code.value = code[1];
    form.hidden = false;
    for (const each of document.querySelectorAll("[data-without-code]")) each.hidden = true;
    form.querySelector("button").focus();
  };

  // What a part of the page says of itself (`data-announce`) is said aloud when htmx has changed it.
  const heard = new Map();
  const say = (words) => { document.querySelector("#announcer").textContent = words; };
  const listen = () => {
    for (const part of document.querySelectorAll("[data-announce][id]")) {
      const words = part.dataset.announce;
      if (heard.has(part.id) && heard.get(part.id) !== words) say(words);
      heard.set(part.id, words);
    }
  };

  // htmx puts nothing of a failed server, or of a proxy before it, into the page; this says so.
  const failed = () => {
    const notice = document.querySelector("#notice");
    const words = document.querySelector("#failure");
    if (notice && words) notice.replaceChildren(words.content.cloneNode(true));
  };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    await navigator.clipboard.writeText(source.textContent);
    const label = button.textContent;
    button.textContent = button.dataset.done;
    say(button.dataset.done);
    setTimeout(() => { button.textContent = label; }, 2000);
  };

  const showCopy = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  };

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[data-copy]") : null;
    if (button) copy(button);
  });
  // A part of the page that asks by itself takes no notice away.
  document.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx.sourceElement?.id !== "enforcement") document.querySelector("#notice")?.replaceChildren();
  });
  document.addEventListener("htmx:response:error", (event) => {
    if (event.detail.ctx.response.status >= 500) failed();
  });
  document.addEventListener("htmx:error", failed);
  document.addEventListener("htmx:after:swap", () => { listen(); showCopy(); });
  addEventListener("hashchange", takeCode);
  takeCode();
  listen();
  showCopy();
})();
