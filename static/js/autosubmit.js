// A <select> in a [data-autosubmit] form (or one itself marked so) applies at once; a GET form
// leaves its empty fields out of the address.
(() => {
  document.querySelectorAll("[data-no-script]").forEach((one) => { one.hidden = true; });
  document.addEventListener("change", (event) => {
    const select = event.target.closest("select");
    if (select?.form && (select.matches("[data-autosubmit]") || select.form.matches("[data-autosubmit]"))) {
      select.form.requestSubmit();
    }
  });
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "get" || event.target.matches("[hx-get]")) return;
    for (const [name, value] of [...event.formData]) {
      if (value === "") event.formData.delete(name);
    }
  });
})();
