// A toast goes when it is dismissed; one without bad news also goes by itself, unless it is held.
(() => {
  const LIFE = 10000;
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-toast-close]")) event.target.closest("[data-toast]").remove();
  });
  const watch = (toast) => {
    if (toast.matches(".tone-red, .tone-orange")) return;
    const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, LIFE) : toast.remove());
    setTimeout(leave, LIFE);
  };
  const list = document.getElementById("toasts");
  if (!list) return;
  list.querySelectorAll("[data-toast]").forEach(watch);
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => {
    if (node.matches?.("[data-toast]")) watch(node);
  }))).observe(list, { childList: true });
})();
