// Live elements: ask with the last ETag, rest while nobody looks, and leave focus and what is unchanged alone.
(() => {
  "use strict";
  const etags = new WeakMap();
  let focus = null;
  const isLive = (element) => element instanceof Element && element.matches("[data-live]");
  const say = (lost) => {
    for (const note of document.querySelectorAll("[data-live-lost]")) note.hidden = !lost;
  };
  const focusable = (root) => [...root.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")];

  for (const link of document.querySelectorAll("[data-live] .refresh")) link.hidden = true;

  document.addEventListener("htmx:configRequest", (event) => {
    if (isLive(event.detail.elt) && etags.has(event.detail.elt)) {
      event.detail.headers["If-None-Match"] = etags.get(event.detail.elt);
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isLive(event.detail.elt) && document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, xhr, requestConfig } = event.detail;
    if (!isLive(requestConfig.elt)) return;
    // Whoever was signed out meanwhile gets another page, which is no state of this one.
    const requested = new URL(requestConfig.path, location.href).pathname;
    if (new URL(xhr.responseURL).pathname !== requested) {
      event.detail.shouldSwap = false;
      say(true);
      return;
    }
    etags.set(elt, xhr.getResponseHeader("ETag") || "");
    say(false);
  });
  for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      if (isLive(event.detail.elt)) say(true);
    });
  }
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    const next = fragment.querySelector ? fragment.querySelector(`#${CSS.escape(target.id)}`) : null;
    if (next && next.innerHTML === target.innerHTML) {
      event.detail.shouldSwap = false;
      return;
    }
    focus = target.contains(document.activeElement)
      ? { id: target.id, place: focusable(target).indexOf(document.activeElement) } : null;
  });
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    if (!focus) return;
    const target = document.getElementById(focus.id);
    const element = target && (focusable(target)[focus.place] || target.closest("[tabindex]"));
    if (element) element.focus({ preventScroll: true });
    focus = null;
  });
})();
