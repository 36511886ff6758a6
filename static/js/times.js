// Keeps <time data-relative> true. The words are those of figures.relative_text.
(() => {
  const words = (moment) => {
    const seconds = (Date.now() - moment) / 1000;
    const distance = Math.abs(seconds);
    if (distance < 5) return "just now";
    if (distance >= 30 * 86400) return new Date(moment).toISOString().slice(0, 10);
    const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => distance >= size);
    const length = `${Math.floor(distance / size)} ${unit}`;
    return seconds > 0 ? `${length} ago` : `in ${length}`;
  };
  const refresh = () => {
    if (document.hidden) return;
    document.querySelectorAll("time[data-relative]").forEach((time) => {
      const text = words(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    });
  };
  setInterval(refresh, 10000);
  document.addEventListener("visibilitychange", refresh);
})();
