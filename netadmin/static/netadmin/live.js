// The live view: one beat each N seconds while the page is seen. The server has the host probed and
// answers with what came and what went since the snapshot that the page shows.
"use strict";
(() => {
  const MARKED_MS = 4000; // a change is marked for so long at least, and until the next answer
  const view = document.querySelector("[data-live-view]");
  if (!view || !view.dataset.beat) return;
  const part = (name) => view.querySelector(`[data-live-${name}]`);
  const rows = part("rows");
  const every = Number(view.dataset.every) * 1000;
  const most = Number(view.dataset.most);
  const csrf = part("form").querySelector("[name=csrfmiddlewaretoken]").value;
  let known = view.dataset.known;
  let session = "";
  let running = view.dataset.stopped === "";
  let timer = 0;
  let turn = 0; // answers to beats of an earlier turn come too late
  let begunAt = 0;

  const say = (text) => {
    const box = part("state");
    if (box.textContent !== text) box.textContent = text;
  };
  const show = (probing) => {
    view.classList.toggle("na-live-on", running && !document.hidden);
    view.classList.toggle("na-live-probing", probing);
    part("pause").hidden = !running;
    part("go").hidden = running || view.dataset.over === "true";
  };

  const stop = (text, { forGood = false } = {}) => {
    running = false;
    turn += 1;
    window.clearTimeout(timer);
    if (forGood) view.dataset.over = "true";
    say(text);
    show(false);
  };

  const byKey = (key) => rows.querySelector(`tr[data-key="${key}"]`);
  // Pieces of the page as the server's templates wrote them; a parsed document runs no script.
  const pieces = (html) => new DOMParser().parseFromString(html, "text/html").body;
  const fill = (name, html) => part(name).replaceChildren(...pieces(html).childNodes);
  const parsed = (html) => Array.from(pieces(`<table><tbody>${html}</tbody></table>`).querySelectorAll("tr"));

  // Marks of earlier answers end; what was gone goes.
  const settle = (now) => {
    for (const row of rows.querySelectorAll("tr[data-marked]")) {
      if (now - Number(row.dataset.marked) < MARKED_MS) continue;
      if (row.classList.contains("na-gone")) {
        row.remove();
      } else {
        row.classList.remove("na-came");
        row.removeAttribute("data-marked");
        row.querySelector("[data-live-mark]").replaceChildren();
      }
    }
  };

  const apply = (answer) => {
    const now = Date.now();
    settle(now);
    fill("status", answer.status);
    if (answer.totals === undefined) return;
    fill("totals", answer.totals);
    const came = parsed(answer.rows);
    if (answer.reset) {
      rows.replaceChildren(...came);
    } else {
      for (const key of answer.went) {
        const row = byKey(key);
        if (!row || row.classList.contains("na-gone")) continue;
        row.className = "na-gone";
        row.dataset.marked = String(now);
        row.querySelector("[data-live-mark]").replaceChildren(part("gone").content.cloneNode(true));
      }
      for (const row of came) {
        byKey(row.dataset.key)?.remove();
        row.dataset.marked = String(now);
      }
      rows.prepend(...came);
      const kept = Array.from(rows.querySelectorAll("tr:not(.na-gone)"));
      for (const row of kept.slice(most)) row.remove();
    }
    const queues = new Map(answer.queues.map(([key, received, sent]) => [key, [received, sent]]));
    for (const row of rows.querySelectorAll("tr:not(.na-gone)")) {
      const lengths = queues.get(row.dataset.key) || [0, 0];
      row.querySelectorAll("[data-live-queue]").forEach((cell, place) => {
        const text = String(lengths[place]);
        if (cell.textContent !== text && (cell.textContent !== "—" || lengths[place])) cell.textContent = text;
      });
    }
    part("empty").hidden = rows.children.length > 0;
    known = String(answer.snapshot);
  };

  const again = (wait) => {
    window.clearTimeout(timer);
    if (running && !document.hidden) timer = window.setTimeout(() => void beat(), wait);
  };

  const beat = async () => {
    if (!running || document.hidden) return;
    const mine = (turn += 1);
    const began = Date.now();
    if (began - begunAt >= every) begunAt = began;
    let answer = null;
    try {
      const response = await window.fetch(view.dataset.beat + window.location.search, {
        method: "POST",
        body: new URLSearchParams({ known, session }),
        headers: { "X-CSRFToken": csrf, Accept: "application/json" },
        redirect: "manual",
      });
      if (mine !== turn) return;
      if (response.type === "opaqueredirect") return stop(view.dataset.wordOut, { forGood: true });
      if (response.status === 404) return stop(view.dataset.wordGone, { forGood: true });
      if (response.status === 401 || response.status === 403) return stop(view.dataset.wordRefused, { forGood: true });
      if (response.status >= 500) throw new Error(String(response.status));
      answer = await response.json();
    } catch {
      if (mine !== turn) return;
      say(view.dataset.wordLost);
      view.classList.remove("na-live-probing");
      return again(Math.max(every, 2000));
    }
    if (mine !== turn) return;
    if (answer.stopped !== undefined) {
      session = "";
      return stop(answer.stopped);
    }
    session = answer.session;
    apply(answer);
    say(view.dataset.wordLive);
    show(answer.waiting);
    view.dataset.beats = String(Number(view.dataset.beats || 0) + 1);
    // While a probe is under way its end is looked for; else the next turn is waited for.
    const next = Math.max(200, begunAt + every - Date.now());
    again(answer.waiting ? Math.min(every / 2, 1000, next) : next);
  };

  part("pause").addEventListener("click", () => stop(view.dataset.wordPaused));
  part("go").addEventListener("click", () => {
    running = true;
    begunAt = 0;
    say(view.dataset.wordLive);
    show(true);
    void beat();
  });
  document.addEventListener("visibilitychange", () => {
    if (!running) return;
    if (document.hidden) {
      window.clearTimeout(timer);
      turn += 1;
      say(view.dataset.wordHidden);
      show(false);
    } else {
      void beat();
    }
  });

  show(false);
  if (running && document.hidden) say(view.dataset.wordHidden);
  void beat();
})();
