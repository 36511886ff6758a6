// Single-key shortcuts. What is not known here is passed on as a "shortcut" event (rows.js).
// They can be switched off in the help dialog (WCAG 2.1.4).
(() => {
  const toggle = document.querySelector("[data-keys-toggle]");
  let on = localStorage.getItem("keys") !== "off";
  if (toggle) toggle.checked = on;
  toggle?.addEventListener("change", () => {
    on = toggle.checked;
    localStorage.setItem("keys", on ? "on" : "off");
  });
  const click = (selector) => {
    const target = [...document.querySelectorAll(selector)].find((one) => !one.disabled);
    target?.click();
    return Boolean(target);
  };
  const focus = () => {
    const search = document.querySelector("[data-search]");
    search?.focus();
    search?.select?.();
    return Boolean(search);
  };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (!on || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (document.querySelector("dialog[open]")) return;
    const key = event.key;
    let done = false;
    if (Date.now() - going < 1500 && /^[a-z]$/.test(key)) done = click(`[data-go="${key}"]`);
    else if (key === "g") going = Date.now();
    else if (key === "/") done = focus();
    else if (key === "?") done = click('[data-dialog="help"]');
    else if (/^[a-z]$/.test(key) && click(`[data-shortcut="${key}"]`)) done = true;
    else done = !document.dispatchEvent(new CustomEvent("shortcut", { detail: { key, target: event.target }, cancelable: true }));
    if (key !== "g") going = 0;
    if (done) event.preventDefault();
  });
})();
