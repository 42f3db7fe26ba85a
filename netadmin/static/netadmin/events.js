// Live parts of a page refresh at once when something changed: the server says so over one stream of
// events, open while the page is seen. Where it is refused, the parts go on polling (app.js), and it
// is asked for again after a while.
"use strict";
(() => {
  const part = document.querySelector("[data-events]");
  if (!part || !window.EventSource) return;
  const address = part.dataset.events;
  const REFUSED_MS = 60_000;
  const GATHER_MS = 300; // changes come in bursts: one probe may tell of many
  let source = null;
  let again = 0;
  let gathering = 0;

  const show = (state) => {
    document.documentElement.dataset.stream = state;
  };

  const news = () => {
    if (gathering) return;
    gathering = window.setTimeout(() => {
      gathering = 0;
      document.dispatchEvent(new Event("netadmin:news"));
    }, GATHER_MS);
  };

  const close = () => {
    window.clearTimeout(again);
    if (source) source.close();
    source = null;
    show("closed");
  };

  const open = () => {
    close();
    if (document.hidden) return;
    source = new EventSource(address);
    source.addEventListener("begin", () => show("open"));
    source.addEventListener("change", news);
    source.addEventListener("missed", news);
    source.addEventListener("error", () => {
      // A stream that ended is opened again by the browser, which goes on where it was; one that
      // was refused is not.
      if (source.readyState !== EventSource.CLOSED) return;
      close();
      show("refused");
      again = window.setTimeout(open, REFUSED_MS * (1 + Math.random()));
    });
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) open();
  });
  open();
})();
