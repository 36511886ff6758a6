// Bulk forms ([data-bulk]): a checkbox for the page, "all N that match", and what is selected.
(() => {
  const boxes = (form) => [...form.querySelectorAll("input[name=selected]")];
  // Those that are ticked one by one only.
  const apart = (box) => "bulkApart" in box.dataset;
  const show = (form) => {
    const page = form.querySelector("[data-bulk-page]");
    const all = form.querySelector("[data-bulk-all]");
    const rows = boxes(form);
    const ticked = rows.filter((box) => box.checked).length;
    const whole = rows.filter((box) => !apart(box));
    if (page) page.checked = whole.length > 0 && whole.every((box) => box.checked);
    if (page) page.indeterminate = ticked > 0 && !page.checked;
    if (page) page.hidden = whole.length === 0;
    rows.forEach((box) => { box.disabled = Boolean(all?.checked); });
    const matching = Number(form.dataset.matching).toLocaleString("en-US");
    form.querySelector("[data-bulk-count]").textContent = all?.checked
      ? `All ${matching} selected`
      : ticked ? `${ticked} selected` : "Tick rows to act on them";
    form.classList.toggle("has-selection", ticked > 0 || Boolean(all?.checked));
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-bulk]");
    if (!form) return;
    if (event.target.matches("[data-bulk-page]")) {
      boxes(form).filter((box) => !apart(box) || !event.target.checked)
        .forEach((box) => { box.checked = event.target.checked; });
    }
    show(form);
  });
  const refresh = () => document.querySelectorAll("[data-bulk]").forEach(show);
  document.addEventListener("htmx:after:swap", refresh);
  addEventListener("pageshow", refresh);
  refresh();
})();
