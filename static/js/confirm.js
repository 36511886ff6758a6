// form[data-confirm="text"] asks before it is sent; the answer goes along, or the server would ask.
(() => {
  const dialog = document.getElementById("confirm");
  if (!dialog) return;
  let waiting = null;
  // In the capture phase: neither htmx nor the other hooks see a submit that was not agreed to.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const text = form.dataset.confirm;
    if (!text || form.elements.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    waiting = { form, submitter: event.submitter };
    document.getElementById("confirm-text").textContent = text;
    dialog.querySelector("[data-confirm-go]").textContent = event.submitter?.textContent.trim() || "Go ahead";
    dialog.showModal();
  }, true);
  dialog.querySelector("[data-confirm-go]").addEventListener("click", () => {
    dialog.close();
    const { form, submitter } = waiting;
    const agreed = Object.assign(document.createElement("input"), { type: "hidden", name: "confirmed", value: "1" });
    form.append(agreed);
    form.requestSubmit(submitter);
    setTimeout(() => agreed.remove()); // should the page be gone back to, it asks again
  });
})();
