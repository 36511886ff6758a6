// Polled regions ([data-live]) pause in a hidden tab or on demand, and an error page never takes a
// region's place. What happened is noted on the region's sign, which live.js shows.
(() => {
  const region = (event) => {
    const source = event.detail?.ctx?.sourceElement;
    return source?.matches?.("[data-live]") ? source : null;
  };
  const note = (live, missed) => {
    const sign = document.querySelector(`[data-live-for="${live.id}"]`);
    if (!sign) return;
    sign.dataset.misses = missed ? Number(sign.dataset.misses ?? 0) + 1 : 0;
    if (!missed) sign.dataset.at = Date.now();
  };
  document.addEventListener("htmx:before:request", (event) => {
    const live = region(event);
    if (!live) return;
    const paused = document.querySelector(`[data-live-for="${live.id}"][aria-pressed=true]`);
    if (document.hidden || paused) event.preventDefault();
  });
  document.addEventListener("htmx:before:response", (event) => {
    const live = region(event);
    if (!live) return;
    const { status, raw } = event.detail.ctx.response;
    note(live, status >= 400);
    if (status >= 400 || raw.redirected) event.preventDefault();
  });
  document.addEventListener("htmx:error", (event) => {
    const live = region(event);
    if (live) note(live, true);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    document.querySelectorAll("[data-live]").forEach((live) => htmx.trigger(live, "every", {}, false));
  });
})();
