// form[data-once]: its submit buttons are off after the first submit (a double click sends once).
(() => {
  const set = (form, off) => form.querySelectorAll("button:not([type=button])").forEach((button) => {
    if (off) button.dataset.sent = "";
    else if (!("sent" in button.dataset)) return;
    else delete button.dataset.sent;
    button.disabled = off;
  });
  document.addEventListener("submit", (event) => {
    // Later, because a button that is off does not send its name and value.
    if (event.target.matches("[data-once]")) setTimeout(() => set(event.target, true));
  });
  document.addEventListener("htmx:finally:request", (event) => {
    const form = event.detail.ctx.sourceElement.closest?.("[data-once]");
    if (form) set(form, false);
  });
  // Back from the next page: the browser may show this one as it was left.
  addEventListener("pageshow", () => document.querySelectorAll("[data-once]").forEach((form) => set(form, false)));
})();
