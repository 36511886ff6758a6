// form[data-upload]: the same multipart form, sent with a progress bar. Needs a <progress> and an
// <output> inside; without script the form is sent as it is.
(() => {
  const size = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-upload]")) return;
    event.preventDefault();
    const bar = form.querySelector("progress");
    const output = form.querySelector("output");
    const buttons = form.querySelectorAll("button:not([type=button])");
    const call = new XMLHttpRequest();
    const fail = (text) => {
      output.textContent = text;
      bar.hidden = true;
      buttons.forEach((button) => { button.disabled = false; });
    };
    call.upload.addEventListener("progress", ({ loaded, total }) => {
      Object.assign(bar, { hidden: false, max: total, value: loaded });
      output.textContent = loaded < total ? `${size(loaded)} of ${size(total)}` : "Sent; the server is checking the file";
    });
    call.addEventListener("error", () => fail("The connection broke. Nothing was saved; send the file again."));
    call.addEventListener("load", () => {
      if (call.status === 401) return fail("You were logged out. Log in in another tab, then press Upload again: the file is still chosen.");
      const next = call.getResponseHeader("HX-Redirect");
      if (next || (call.status < 400 && call.responseURL !== form.action)) return location.assign(next ?? call.responseURL);
      const answer = new DOMParser().parseFromString(call.responseText, "text/html").querySelector("main");
      if (!answer && call.status === 403) return fail("This page had grown too old, and nothing was saved. Press Upload again: the file is still chosen.");
      if (!answer) return fail(`The server refused the file (${call.status}).`);
      document.querySelector("main").replaceWith(answer); // the form again, with its errors
      htmx.process(answer);
    });
    call.open("POST", form.action);
    call.setRequestHeader("HX-Request", "true");
    call.send(new FormData(form, event.submitter));
    buttons.forEach((button) => { button.disabled = true; });
  });
})();
