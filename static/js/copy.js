// [data-copy="selector"] copies that element's text or value, looked for in its [data-copy-scope].
(() => {
  const write = async (text) => {
    // Without TLS there is no clipboard API; the old way needs a selection.
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const scope = button.closest("[data-copy-scope]") ?? document;
    const source = scope.querySelector(button.dataset.copy);
    await write(source.value ?? source.textContent);
    const word = button.querySelector("[data-copy-word]");
    if (!word) return;
    const before = word.textContent;
    word.textContent = "Copied";
    setTimeout(() => { word.textContent = before; }, 2000);
  });
})();
