// The description of the API: search while typing, and trying what only reads.
"use strict";

(() => {
  const MOST_CHARACTERS = 200000;

  const search = document.querySelector("[data-api-search]");
  const subjects = [...document.querySelectorAll("[data-api-subject]")];
  const none = document.querySelector("[data-api-none]");

  function narrow() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const subject of subjects) {
      let shown = 0;
      for (const line of subject.querySelectorAll("[data-api-words]")) {
        const fits = words.every((word) => line.dataset.apiWords.includes(word));
        line.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      subject.hidden = shown === 0;
      found += shown;
    }
    none.hidden = found > 0;
  }

  if (search) {
    search.addEventListener("input", narrow);
    const here = document.querySelector(".na-api-index [aria-current]");
    const index = here && here.closest(".na-api-index");
    if (index && index.scrollHeight > index.clientHeight) {
      index.scrollTop = here.offsetTop - index.clientHeight / 3;
    }
  }

  const form = document.querySelector("[data-api-try]");
  const result = document.querySelector("[data-api-result]");
  if (!form || !result) {
    return;
  }
  for (const each of document.querySelectorAll("[data-api-value], [data-api-send]")) {
    each.hidden = false;
  }
  const told = result.querySelector("[data-api-told]");
  const body = result.querySelector("[data-api-body]");

  function address() {
    const asked = new URLSearchParams();
    let path = form.dataset.apiTry;
    for (const field of form.querySelectorAll("[name]")) {
      if (field.dataset.apiIn === "path") {
        path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
      } else if (field.value.trim()) {
        asked.append(field.name, field.value);
      }
    }
    const query = asked.toString();
    return query ? `${path}?${query}` : path;
  }

  function readable(text, type) {
    if (type.startsWith("application/json")) {
      try {
        return JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        return text;
      }
    }
    return text;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = address();
    const began = performance.now();
    result.hidden = false;
    result.setAttribute("aria-busy", "true");
    told.textContent = `GET ${asked}`;
    body.textContent = "";
    try {
      const answer = await fetch(asked, { credentials: "same-origin", cache: "no-store" });
      const text = readable(await answer.text(), answer.headers.get("Content-Type") || "");
      const tookMs = Math.round(performance.now() - began);
      told.textContent = `${answer.status} · ${tookMs} ms · GET ${asked}`;
      body.textContent =
        text.length > MOST_CHARACTERS
          ? `${text.slice(0, MOST_CHARACTERS)}\n… ${result.dataset.cut}`
          : text;
    } catch {
      body.textContent = result.dataset.failed;
    }
    result.removeAttribute("aria-busy");
    result.scrollIntoView({ block: "nearest" });
  });
})();
