// j and k move through [data-row], Enter opens its [data-row-open], x ticks its checkbox.
(() => {
  const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent);
  // A poll may take the mark away, never the focus.
  const current = () => document.querySelector("[data-row].is-current") ?? document.activeElement?.closest("[data-row]");
  const move = (step) => {
    const all = rows();
    if (!all.length) return false;
    const now = all.indexOf(current());
    const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
    current()?.classList.remove("is-current");
    next.classList.add("is-current");
    // Focus goes along, so that a screen reader says the row and Tab goes on from it.
    (next.querySelector("[data-row-open]") ?? next).focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    return true;
  };
  const act = {
    j: () => move(1),
    k: () => move(-1),
    x: () => {
      const box = current()?.querySelector("input[type=checkbox]");
      box?.click();
      return Boolean(box);
    },
    Enter: (target) => {
      if (target.closest("a, button, summary, input")) return false; // it has an Enter of its own
      const open = current()?.querySelector("[data-row-open]");
      open?.click();
      return Boolean(open);
    },
  };
  document.addEventListener("shortcut", (event) => {
    if (act[event.detail.key]?.(event.detail.target)) event.preventDefault();
  });
})();
