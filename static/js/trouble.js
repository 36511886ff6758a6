// An error never takes the place of a part of the page: a banner ([data-trouble]) says what happened
// and stays until an answer comes again. Nothing that was typed moves.
(() => {
  let waiting = null;
  const show = (kind) => document.querySelectorAll("[data-trouble]").forEach((one) => {
    one.hidden = one.dataset.trouble !== kind;
  });
  document.addEventListener("htmx:before:response", (event) => {
    const { sourceElement, response } = event.detail.ctx;
    const { status } = response;
    if (status < 400 || status === 422) {
      waiting = null;
      return show("");
    }
    event.preventDefault();
    if (status === 401) waiting = sourceElement;
    // A poll that fails tries again by itself, and its own sign says so.
    if (status === 401 || !sourceElement.matches("[data-live]")) show(status === 401 ? "logged-out" : "error");
  });
  document.addEventListener("visibilitychange", () => {
    // Back from the log-in in another tab.
    if (!document.hidden) waiting?.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
