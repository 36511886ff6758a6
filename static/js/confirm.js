// [data-confirm="text"] on a form or a submit button asks before the form is sent.
(() => {
  const dialog = document.getElementById("confirm");
  if (!dialog) return;
  let waiting = null;
  let agreed = null;
  // In the capture phase: neither htmx nor the other hooks see a submit that was not agreed to.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const text = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (!text || agreed === form) {
      agreed = null;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    waiting = { form, submitter: event.submitter };
    document.getElementById("confirm-text").textContent = text;
    dialog.querySelector("[data-confirm-go]").textContent = event.submitter?.textContent.trim() || "Go ahead";
    dialog.showModal();
  }, true);
  dialog.querySelector("[data-confirm-go]").addEventListener("click", () => {
    dialog.close();
    agreed = waiting.form;
    waiting.form.requestSubmit(waiting.submitter);
  });
})();
