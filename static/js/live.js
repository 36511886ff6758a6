// The sign of a polled region ([data-live-for]): live, paused, or stale after three misses, and its
// age. Pressing it pauses the region.
(() => {
  const MISSES = 3;
  const show = (sign) => {
    sign.hidden = false; // without script nothing moves, and there is nothing to be said of it
    sign.dataset.at ??= Date.now();
    const age = Math.round((Date.now() - sign.dataset.at) / 1000);
    const paused = sign.getAttribute("aria-pressed") === "true";
    const word = paused ? "Paused" : Number(sign.dataset.misses ?? 0) >= MISSES ? "Stale" : "Live";
    const old = age < 120 ? `${age} s ago` : `${Math.floor(age / 60)} min ago`;
    sign.dataset.state = word.toLowerCase();
    sign.querySelector("[data-live-word]").textContent = word;
    sign.querySelector("[data-live-age]").textContent = `updated ${age < 2 ? "just now" : old}`;
  };
  document.addEventListener("click", (event) => {
    const sign = event.target.closest("[data-live-for]");
    if (!sign) return;
    sign.setAttribute("aria-pressed", String(sign.getAttribute("aria-pressed") !== "true"));
    show(sign);
  });
  const all = () => document.querySelectorAll("[data-live-for]").forEach(show);
  all();
  setInterval(all, 1000);
})();
