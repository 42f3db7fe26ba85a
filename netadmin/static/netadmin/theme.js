// Runs before the first paint: sets the theme chosen here, or the system's.
"use strict";
(() => {
  const KEY = "netadmin-theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      const value = window.localStorage.getItem(KEY);
      return value === "light" || value === "dark" ? value : "auto";
    } catch {
      return "auto";
    }
  };
  const apply = () => {
    const choice = chosen();
    const root = document.documentElement;
    root.dataset.themeChoice = choice;
    root.dataset.bsTheme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
    document.dispatchEvent(new CustomEvent("netadmin:theme"));
  };
  system.addEventListener("change", apply);
  window.netadminTheme = {
    next() {
      const order = ["auto", "light", "dark"];
      const following = order[(order.indexOf(chosen()) + 1) % order.length];
      try {
        window.localStorage.setItem(KEY, following);
      } catch {
        // Storage refused: the choice holds for nothing, the page still works.
      }
      apply();
    },
  };
  apply();
})();
