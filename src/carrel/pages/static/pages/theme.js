// The colours that somebody chose, set before anything is drawn: so this one file is not deferred.
(() => {
  "use strict";
  const names = { light: "light", dark: "dark", system: "as the system" };
  const order = ["system", "light", "dark"];
  const root = document.documentElement;
  const stored = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  let theme = order.includes(stored()) ? stored() : "system";
  const apply = () => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
  };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      const say = () => {
        button.title = `Colours: ${names[theme]}`;
        button.querySelector(".unseen").textContent = button.title;
      };
      say();
      button.hidden = false;
      button.addEventListener("click", () => {
        theme = order[(order.indexOf(theme) + 1) % order.length];
        try { localStorage.setItem("theme", theme); } catch { /* it holds for this page then */ }
        apply();
        say();
      });
    }
  });
})();
