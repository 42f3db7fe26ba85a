// What the pages do beyond HTML: menus, copy, theme, ages that stay true, polling while visible.
// Everything hangs on data- attributes; nothing here is needed to read a page.
"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // --- theme ---------------------------------------------------------------------------------
  const showTheme = () => {
    const choice = document.documentElement.dataset.themeChoice || "auto";
    for (const button of all("[data-theme-toggle]")) {
      button.hidden = false;
      const label = button.getAttribute(`data-label-${choice}`);
      button.title = label;
      button.setAttribute("aria-label", label);
      for (const icon of all("[data-theme-icon]", button)) {
        icon.hidden = icon.dataset.themeIcon !== choice;
      }
    }
  };
  document.addEventListener("netadmin:theme", showTheme);

  // --- toast and copy ------------------------------------------------------------------------
  let toastTimer = 0;
  const toast = (text) => {
    const box = document.querySelector("[data-toast]");
    if (!box) return;
    box.textContent = text;
    box.classList.add("na-on");
    window.clearTimeout(toastTimer);
    toastTimer = window.setTimeout(() => {
      box.classList.remove("na-on");
    }, 1600);
  };

  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
    } else {
      // Plain http on a LAN has no clipboard API.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    toast(`${document.body.dataset.copied}: ${text.length > 60 ? text.slice(0, 60) + "…" : text}`);
  };

  // --- clicks --------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    for (const menu of all("[data-menu][open]")) {
      if (!menu.contains(target)) menu.open = false;
    }
    const toggle = target.closest("[data-theme-toggle]");
    if (toggle) window.netadminTheme.next();
    const button = target.closest("[data-copy]");
    if (button) {
      event.preventDefault();
      const source = button.dataset.copy || document.querySelector(button.dataset.copyFrom)?.textContent;
      if (source) void copy(source);
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm || form.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (form.hasAttribute("data-drop-empty")) {
      // Filters live in the URL: leave out what was not filled in.
      for (const field of form.elements) {
        if (field.name && field.value === "" && field.type !== "submit") field.disabled = true;
      }
    }
  });
  window.addEventListener("pageshow", () => {
    for (const form of all("form[data-drop-empty]")) {
      for (const field of form.elements) field.disabled = false;
    }
  });

  // A text too long for a form's field goes as a file, which may be far longer.
  document.addEventListener("formdata", (event) => {
    const { longField, longFile } = event.target.dataset;
    const text = longField ? event.formData.get(longField) : "";
    if (typeof text !== "string" || text.length < 500000) return;
    if (event.formData.get(longFile)?.size) return;
    event.formData.delete(longField);
    event.formData.set(longFile, new File([text], "pasted.txt", { type: "text/plain" }));
  });

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field instanceof Element && field.hasAttribute("data-submit-on-change")) {
      field.form.requestSubmit();
    }
  });

  // --- keys ----------------------------------------------------------------------------------
  const typing = (element) =>
    element instanceof HTMLElement &&
    (element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of all("[data-menu][open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.key === "/" && plain && !typing(event.target)) {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    }
  });

  // --- ages ----------------------------------------------------------------------------------
  const ages = () => {
    const words = JSON.parse(document.body.dataset.agoWords || "[]");
    if (words.length !== 5) return;
    const now = Date.now();
    for (const element of all("time[data-ago]")) {
      const seconds = Math.floor((now - Date.parse(element.dateTime)) / 1000);
      let text = words[0];
      if (seconds >= 48 * 3600) text = words[4].replace("{n}", Math.floor(seconds / 86400));
      else if (seconds >= 5400) text = words[3].replace("{n}", Math.floor(seconds / 3600));
      else if (seconds >= 90) text = words[2].replace("{n}", Math.floor(seconds / 60));
      else if (seconds >= 5) text = words[1].replace("{n}", seconds);
      if (element.textContent !== text) element.textContent = text;
    }
  };
  window.setInterval(() => {
    if (!document.hidden) ages();
  }, 5000);

  // --- live parts ------------------------------------------------------------------------------
  // <div data-live="10"> asks htmx (hx-trigger="netadmin:poll") for itself every 10 s while the
  // page is seen, at once when it is seen again or "netadmin:news" comes, and never while somebody
  // types, ticks, selects text or has a menu of it open: nothing moves under the hand.
  const polled = new WeakMap();
  const busy = (element) => {
    const selection = document.getSelection();
    return (
      element.contains(document.activeElement) && typing(document.activeElement) ||
      all("form[method=post] input", element).some((field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked) ||
      element.querySelector("details[open]") !== null ||
      (selection !== null && !selection.isCollapsed && element.contains(selection.anchorNode))
    );
  };
  const poll = () => {
    if (document.hidden || !window.htmx) return;
    const now = Date.now();
    for (const element of all("[data-live]")) {
      if (!polled.has(element)) polled.set(element, now); // new, with the page or in place of another
      const due = polled.get(element) + Number(element.dataset.live) * 1000;
      if (now >= due && !busy(element)) {
        polled.set(element, now);
        window.htmx.trigger(element, "netadmin:poll");
      }
    }
  };
  poll();
  window.setInterval(poll, 1000);
  document.addEventListener("netadmin:news", () => {
    for (const element of all("[data-live]")) polled.set(element, 0);
    poll();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      ages();
      poll();
    }
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // A login page that answers a poll (the session ended) is no part of this page.
    const status = event.detail.xhr.status;
    if (event.detail.xhr.responseURL.includes("/login")) {
      event.detail.shouldSwap = false;
      window.location.reload();
    } else if (status >= 400) {
      event.detail.shouldSwap = false;
    }
  });
  document.addEventListener("netadmin:reload", () => window.location.reload());

  // --- time travel -----------------------------------------------------------------------------
  // The range slider walks whole snapshots of the host; without it the field and links do.
  const slider = () => {
    for (const box of all("[data-time-range]")) {
      const source = document.getElementById(box.dataset.timeRange);
      const { base, points, current } = JSON.parse(source?.textContent || '{"points": []}');
      if (points.length < 2) continue;
      const input = box.querySelector("input");
      const output = box.parentElement.querySelector("[data-time-shown]");
      input.max = String(points.length - 1);
      input.value = String(current);
      const show = () => {
        const [label] = points[Number(input.value)];
        output.textContent = label;
        input.setAttribute("aria-valuetext", label);
      };
      input.addEventListener("input", show);
      input.addEventListener("change", () => {
        const [, stamp] = points[Number(input.value)];
        const at = stamp ? `${base === "?" ? "" : "&"}at=${encodeURIComponent(stamp)}` : "";
        window.location.assign(window.location.pathname + base + at);
      });
      // Back from where it led to, it stands where this page is.
      window.addEventListener("pageshow", () => {
        input.value = String(current);
        show();
      });
      show();
      box.hidden = false;
    }
  };

  // The script is deferred: the document is parsed when it runs.
  showTheme();
  slider();
  ages();
})();
