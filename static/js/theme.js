// Theme: auto, light, dark, kept in a cookie, so that the server renders the next page right.
(() => {
  const order = ["auto", "light", "dark"];
  const root = document.documentElement;
  const show = (button) => {
    button.hidden = false;
    button.querySelector("[data-theme-word]").textContent = `Theme: ${root.dataset.bsTheme}`;
  };
  const buttons = () => document.querySelectorAll("[data-theme-toggle]");
  buttons().forEach(show);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = order[(order.indexOf(root.dataset.bsTheme) + 1) % order.length];
    root.dataset.bsTheme = next;
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
    buttons().forEach(show);
  });
})();
