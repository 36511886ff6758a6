// [data-dialog="id"] opens a <dialog>, [data-dialog-close] or the backdrop closes it; an open
// header menu closes on a click elsewhere and on Escape.
(() => {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    const menu = document.querySelector("details.menu[open]");
    if (menu && (opener || !menu.contains(event.target))) menu.open = false;
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    else if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog")?.close();
    else if (event.target.matches("dialog.dialog")) event.target.close();
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
