// Whatever is sent carries the CSRF token of now: a log-in in another tab made a new one since this
// page was. Without script the old token brings the form back to be sent again.
(() => {
  const FIELD = "csrfmiddlewaretoken";
  const now = () => document.cookie.match(/(?:^|;\s*)csrftoken=([^;]+)/)?.[1];
  const renew = (data) => {
    const token = now();
    if (token && data?.has?.(FIELD)) data.set(FIELD, token);
  };
  document.addEventListener("formdata", (event) => renew(event.formData));
  document.addEventListener("htmx:config:request", (event) => {
    const { request } = event.detail.ctx;
    renew(request.body);
    if (now()) request.headers["X-CSRFToken"] = now();
  });
})();
