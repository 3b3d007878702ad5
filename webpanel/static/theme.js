/* Sets light or dark before the first paint, so it is loaded in <head> without `defer`:

     <script src="theme.js"></script>
     <script src="app.js" defer></script>

   The viewer's choice (app.js, the button with data-theme-toggle) is kept in localStorage; without
   one the system's setting counts, also while it changes. */
"use strict";

(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage can be forbidden
    }
  }

  function apply() {
    const theme = chosen() || (system.matches ? "dark" : "light");
    document.documentElement.setAttribute("data-bs-theme", theme);
  }

  apply();
  system.addEventListener("change", apply);
})();
