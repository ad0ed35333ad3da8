"use strict";
// What the live parts of the pages need besides htmx. Without scripts every page and button works as well.
(() => {
  const live = (event) => event.target.closest?.("#live");

  // Nobody looks: nothing is asked.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.requestConfig.verb === "get" && live(event)) event.preventDefault();
  });

  // Another page came in place of this one: show that. (At the end of a session the server names the page to go to.)
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (requestConfig.verb !== "get" || !live(event)) return;
    const came = new URL(xhr.responseURL, location.href);
    if (came.pathname !== new URL(requestConfig.path, location.href).pathname) {
      event.detail.shouldSwap = false;
      location.assign(came);
    }
  });

  // What was opened stays open in the new picture.
  let open = [];
  document.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("details[open][id]")].map((details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  });

  // A server that is away leaves the last picture, dimmed.
  const away = (event) => live(event)?.classList.add("away");
  document.addEventListener("htmx:sendError", away);
  document.addEventListener("htmx:responseError", away);
  document.addEventListener("htmx:timeout", away);
})();
