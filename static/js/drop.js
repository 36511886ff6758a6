// [data-drop] around a file input: files can be dropped on it; [data-drop-name] shows the choice.
(() => {
  const zone = (event) => event.target.closest?.("[data-drop]");
  ["dragover", "dragleave", "drop"].forEach((name) => document.addEventListener(name, (event) => {
    const target = zone(event);
    if (!target) return;
    event.preventDefault();
    target.classList.toggle("is-over", name === "dragover");
    if (name !== "drop" || !event.dataTransfer.files.length) return;
    const input = target.querySelector("input[type=file]");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }));
  document.addEventListener("change", (event) => {
    const target = zone(event);
    const label = target?.querySelector("[data-drop-name]");
    const file = event.target.files?.[0];
    if (label && file) label.textContent = `${file.name} (${(file.size / 1e6).toFixed(1)} MB)`;
  });
})();
