// Draws the map of connections as SVG and lets it be walked by pointer and keyboard. The table on
// the page has the same edges; nothing here is needed to read them. Colours, strokes and what is
// dimmed are in map.css: this script sets geometry, classes and text.
"use strict";
(() => {
  const root = document.querySelector("[data-map]");
  const data = document.getElementById("map-data");
  if (!root || !data || !window.d3 || !window.netadminMapLayout) return;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const { nodes, edges } = JSON.parse(data.textContent);
  const words = read("map-words");
  const urls = read("map-links");
  const { hull, layout, linksOf, place } = window.netadminMapLayout;
  const find = (name) => root.querySelector(`[data-map-${name}]`);
  const [stage, back, svg, progress] = [find("stage"), find("back"), find("svg"), find("progress")];
  const links = linksOf(edges);
  const several = -2;

  const LONGEST_NAME = 36;
  const MOST_EDGE_NAMES = 40;
  const FONT = 11.5;

  const shape = (name, attributes = {}, parent = null) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  };
  const cut = (text) => (text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 1)}…` : text);
  const pencil = document.createElement("canvas").getContext("2d");
  const fonts = { sans: "system-ui, sans-serif", mono: "monospace" };
  const widthOf = (text, size, family = "sans", weight = "") => {
    pencil.font = `${weight} ${size}px ${fonts[family]}`;
    return pencil.measureText(text).width;
  };

  // --- what the picture is made of --------------------------------------------------------------
  const view = { x: 0, y: 0, k: 1, width: 1, height: 1, moved: false };
  const groups = new Map();
  const hues = [...new Set(nodes.filter((node) => node.group_id !== null).map((node) => node.group || ""))].sort();
  const hueOf = (node) => (node.group_id === null ? "none" : String(hues.indexOf(node.group || "") % 12));
  const around = nodes.map(() => []);
  let active = null; // hovered or focused
  let chosen = null;
  let found = new Set();
  let current = null; // the node that Tab reaches
  let held = null; // being dragged

  const layers = {};
  const outline = (node, r) => {
    if (node.kind === "group") {
      const c = r * 0.35;
      return `M${-r + c} ${-r}H${r - c}Q${r} ${-r} ${r} ${-r + c}V${r - c}Q${r} ${r} ${r - c} ${r}H${-r + c}Q${-r} ${r} ${-r} ${r - c}V${-r + c}Q${-r} ${-r} ${-r + c} ${-r}Z`;
    }
    if (node.kind === "host") return `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`;
    if (node.scope === "external") return `M0 ${-r * 1.2}L${r * 1.2} 0L0 ${r * 1.2}L${-r * 1.2} 0Z`;
    return `M${-r * 0.9} ${-r * 0.9}H${r * 0.9}V${r * 0.9}H${-r * 0.9}Z`;
  };

  const portsOf = (link) => {
    const said = [...new Set(link.edges.map((edge) => {
      const port = panel.portWords(edge[3]);
      const programs = edge[6].filter(Boolean);
      return link.edges.length === 1 && programs.length === 1 ? `${programs[0]} → ${port}` : port;
    }))];
    return said.length > 3 ? `${said.slice(0, 3).join(", ")} +${said.length - 3}` : said.join(", ");
  };

  const build = () => {
    for (const name of ["hulls", "links", "tips"]) layers[name] = shape("g", {}, back);
    for (const name of ["nodes", "names"]) {
      layers[name] = shape("g", name === "nodes" ? {} : { "aria-hidden": "true" }, svg);
    }
    for (const node of nodes) {
      if (node.kind !== "host" || node.group_id === null) continue;
      if (!groups.has(node.group_id)) groups.set(node.group_id, { name: node.group, members: [] });
      groups.get(node.group_id).members.push(node);
    }
    for (const group of groups.values()) {
      group.path = shape("path", { class: `na-hull na-hue-${hueOf(group.members[0])}` }, layers.hulls);
      group.text = shape("text", { class: "na-hull-name" }, layers.names);
      group.text.textContent = cut(group.name);
      group.wide = widthOf(cut(group.name), 12, "sans", "650") + 4;
    }
    for (const link of links) {
      const [one, other] = [nodes[link.a], nodes[link.b]];
      around[link.a].push(link);
      if (link.a !== link.b) around[link.b].push(link);
      link.w = (0.8 + 0.95 * Math.log10(1 + link.connections)) * (links.length > 600 ? 0.7 : 1);
      const single = one.kind === "host" && other.kind === "host" && link.edges.every((edge) => edge[5] !== "both");
      link.path = shape("path", { class: `na-link${single ? " na-link-one" : ""}`, "stroke-width": link.w.toFixed(2) }, layers.links);
      link.tip = shape("path", { class: "na-tip" }, layers.tips);
    }
    for (const node of nodes) {
      const kind = node.kind === "host" || node.kind === "group" ? `na-hue-${hueOf(node)}` : `na-node-${node.scope}`;
      const marks = `${node.known ? "" : " na-node-unknown"}${node.in_focus ? "" : " na-node-outside"}`;
      node.g = shape("g", { class: `na-node ${kind}${marks}`, role: "button", tabindex: "-1", id: `map-${node.id}` }, layers.nodes);
      node.g.setAttribute("aria-label", panel.say(words.label, {
        name: node.name, kind: panel.kindWords(node), n: panel.number(node.connections),
      }));
      node.g.node = node;
      node.ring = shape("path", { class: "na-ring" }, node.g);
      if (node.kind === "peers") node.under = shape("path", { class: "na-shape" }, node.g);
      node.shape = shape("path", { class: "na-shape" }, node.g);
      const peer = node.kind === "peer";
      node.label = cut(node.name);
      node.text = shape("text", { class: `na-label${peer ? " na-label-peer" : ""}` }, layers.names);
      node.text.textContent = node.label;
      node.wide = widthOf(node.label, peer ? 10.5 : FONT, peer ? "mono" : "sans") + 3;
    }
    for (const link of links) {
      // Folded addresses have the port in their name.
      const folded = [nodes[link.a], nodes[link.b]].some((node) => node.kind === "peers" && node.port !== several);
      link.said = folded ? "" : portsOf(link);
      link.text = null; // made when it is first shown: most never are
    }
    stage.style.setProperty("--ink-dim", links.length > 200 ? "0.025" : "0.1");
    stage.style.setProperty("--ink", links.length > 600 ? "0.13" : links.length > 200 ? "0.3" : "0.6");
  };

  // --- painting ---------------------------------------------------------------------------------
  const scale = () => Math.max(0.7, Math.min(1.7, Math.sqrt(view.k)));
  // What the edges were drawn for; while a map of many moves, they are moved as one image and
  // drawn anew when it rests, so that it keeps up with the hand.
  const REST_MS = 140;
  const MANY_LINKS = 300;
  const drawn = { x: 0, y: 0, k: 1 };
  let resting = 0;
  const shift = () => {
    const factor = view.k / drawn.k;
    back.style.transform =
      `translate(${view.x - drawn.x * factor}px, ${view.y - drawn.y * factor}px) scale(${factor})`;
  };
  const paint = (moving = false) => {
    const s = scale();
    for (const node of nodes) {
      node.sx = node.x * view.k + view.x;
      node.sy = node.y * view.k + view.y;
      node.sr = node.r * s;
      node.g.setAttribute("transform", `translate(${node.sx.toFixed(1)} ${node.sy.toFixed(1)})`);
      if (node.drawn !== s) {
        node.drawn = s;
        node.ring.setAttribute("d", outline(node, node.sr + 4));
        node.shape.setAttribute("d", outline(node, node.sr));
        if (node.under) {
          node.under.setAttribute("d", outline(node, node.sr));
          node.under.setAttribute("transform", `translate(${(node.sr * 0.45).toFixed(1)} ${(-node.sr * 0.45).toFixed(1)})`);
        }
      }
    }
    if (moving && links.length > MANY_LINKS) {
      const still = view.x === drawn.x && view.y === drawn.y && view.k === drawn.k;
      if (!still) shift();
      else if (held) for (const link of around[held.number]) draw(link);
      window.clearTimeout(resting);
      resting = window.setTimeout(() => paint(), REST_MS);
    } else {
      for (const link of links) draw(link);
      Object.assign(drawn, { x: view.x, y: view.y, k: view.k });
      back.style.transform = "";
    }
    for (const group of groups.values()) {
      group.points = hull(group.members.map((node) => [node.sx, node.sy]));
      group.pad = 22 * Math.min(1, s);
      if (back.style.transform) continue;
      const [first, ...others] = group.points;
      const path = others.length ? `M${first}L${others.join("L")}Z` : `M${first}l0.1 0Z`;
      group.path.setAttribute("d", path);
      group.path.setAttribute("stroke-width", String(2 * group.pad));
    }
    write();
  };

  // A curve that bends a little to its left, so that the way back is another one; a node's link
  // to itself is a loop above it.
  const draw = (link) => {
    const [one, other] = [nodes[link.a], nodes[link.b]];
    const long = 4.5 + link.w * 1.5;
    const half = 2.2 + link.w * 0.8;
    if (one === other) {
      const [x, y, r] = [one.sx, one.sy, one.sr];
      link.path.setAttribute("d", `M${x - r * 0.5} ${y - r}C${x - r * 2} ${y - r * 3.4} ${x + r * 2} ${y - r * 3.4} ${x + r * 0.55} ${y - r - long}`);
      link.tip.setAttribute("d", `M${x + r * 0.5} ${y - r}l${-half} ${-long}h${half * 2}Z`);
      link.mx = x;
      link.my = y - r * 2.9;
      return;
    }
    const [dx, dy] = [other.sx - one.sx, other.sy - one.sy];
    const far = Math.hypot(dx, dy) || 1;
    const bend = Math.min(0.12, 18 / far + 0.03);
    const [cx, cy] = [(one.sx + other.sx) / 2 + dy * bend, (one.sy + other.sy) / 2 - dx * bend];
    const from = Math.hypot(cx - one.sx, cy - one.sy) || 1;
    const to = Math.hypot(other.sx - cx, other.sy - cy) || 1;
    const [ux, uy] = [(other.sx - cx) / to, (other.sy - cy) / to];
    const [sx, sy] = [one.sx + ((cx - one.sx) / from) * (one.sr + 1), one.sy + ((cy - one.sy) / from) * (one.sr + 1)];
    const reach = other.sr * (other.kind === "host" ? 1 : 1.1) + 1.5;
    const [tx, ty] = [other.sx - ux * reach, other.sy - uy * reach];
    const [bx, by] = [tx - ux * long, ty - uy * long];
    const n = (value) => value.toFixed(1);
    link.path.setAttribute("d", `M${n(sx)} ${n(sy)}Q${n(cx)} ${n(cy)} ${n(bx + ux)} ${n(by + uy)}`);
    link.tip.setAttribute("d", `M${n(tx)} ${n(ty)}L${n(bx - uy * half)} ${n(by + ux * half)}L${n(bx + uy * half)} ${n(by - ux * half)}Z`);
    link.mx = 0.25 * one.sx + 0.5 * cx + 0.25 * other.sx;
    link.my = 0.25 * one.sy + 0.5 * cy + 0.25 * other.sy;
  };

  // Names where they fit: what is looked at first, then groups, then by size. A name that does not
  // fit is not shown; zooming in makes room.
  const write = () => {
    const lit = active || chosen;
    const near = new Set(lit ? [lit, ...around[lit.number].flatMap((link) => [nodes[link.a], nodes[link.b]])] : []);
    const wishes = [];
    const dots = [];
    const wish = (text, width, height, spots, extra = {}) => wishes.push({ text, width, height, spots, ...extra });
    const named = (node, must) => {
      const [w, h] = [node.wide, 15];
      const gap = node.sr * (node.kind === "peers" ? 1.5 : node.scope ? 1.2 : 1) + 4;
      wish(node.text, w, h, [
        [node.sx + gap, node.sy - h / 2],
        [node.sx - gap - w, node.sy - h / 2],
        [node.sx - w / 2, node.sy + gap - 2],
        [node.sx - w / 2, node.sy - gap - h + 2],
        [node.sx + gap * 0.7, node.sy + gap * 0.5],
        [node.sx + gap * 0.7, node.sy - gap * 0.5 - h],
      ], { must, owner: node.number, dx: 1, dy: 11 });
    };
    for (const node of nodes) {
      if (node.sx < -20 || node.sy < -20 || node.sx > view.width + 20 || node.sy > view.height + 20) continue;
      // A dimmed dot may have a name over it.
      if (lit && !near.has(node) && !found.has(node)) continue;
      const r = node.sr * (node.scope ? 1.15 : 1) + 1;
      dots.push({ x: node.sx, y: node.sy, r, owner: node.number });
    }
    // The box with the search field and the zoom buttons stand over the picture.
    dots.push({ x: 118, y: 24, r: 14 }, { x: view.width - 60, y: 24, r: 40 });
    if (lit) named(lit, true);
    for (const group of groups.values()) {
      const xs = group.points.map(([x]) => x);
      const ys = group.points.map(([, y]) => y);
      const middle = (Math.min(...xs) + Math.max(...xs)) / 2 - group.wide / 2;
      const [top, bottom] = [Math.min(...ys) - group.pad, Math.max(...ys) + group.pad];
      if (bottom < 0 || top > view.height) {
        group.text.setAttribute("visibility", "hidden");
        continue;
      }
      wish(group.text, group.wide, 16, [
        [middle, top - 17], [middle, bottom + 1], [middle, top + 1], [middle, bottom - 17],
        [Math.max(...xs) + group.pad + 2, (top + bottom) / 2 - 8], [Math.min(...xs) - group.pad - 2 - group.wide, (top + bottom) / 2 - 8],
      ], { dx: group.wide / 2, dy: 12 });
    }
    const order = [...nodes].sort(
      (one, other) =>
        (found.has(other) ? 1 : 0) - (found.has(one) ? 1 : 0) ||
        (other.kind === "group" ? 1 : 0) - (one.kind === "group" ? 1 : 0) ||
        (other.kind === "peers" ? 1 : 0) - (one.kind === "peers" ? 1 : 0) ||
        other.connections - one.connections || one.number - other.number,
    );
    for (const node of order) {
      if (node !== lit && (!lit || near.has(node) || found.has(node))) named(node, found.has(node) && found.size <= 20);
      else if (node !== lit) node.text.setAttribute("visibility", "hidden");
    }
    const shown = (lit ? around[lit.number] : links).filter((link) => link.said);
    for (const link of links) if (link.text) link.text.setAttribute("visibility", "hidden");
    if (shown.length <= MOST_EDGE_NAMES) {
      for (const link of [...shown].sort((one, other) => other.connections - one.connections)) {
        if (!link.text) {
          link.text = shape("text", { class: "na-label na-label-link" }, layers.names);
          link.text.textContent = cut(link.said);
          link.wide = widthOf(cut(link.said), 10.5) + 3;
        }
        const [w, h] = [link.wide, 14];
        wish(link.text, w, h, [[link.mx - w / 2, link.my - h / 2], [link.mx - w / 2, link.my - h - 2], [link.mx - w / 2, link.my + 2]], { dx: w / 2, dy: 10.5 });
      }
    }
    place(wishes, dots, view).forEach((box, number) => {
      const { text, dx, dy } = wishes[number];
      text.setAttribute("visibility", box ? "visible" : "hidden");
      if (box) {
        text.setAttribute("x", (box[0] + dx).toFixed(1));
        text.setAttribute("y", (box[1] + dy).toFixed(1));
      }
    });
  };

  let waiting = false;
  const repaint = () => {
    if (waiting) return;
    waiting = true;
    window.requestAnimationFrame(() => {
      waiting = false;
      paint(true);
    });
  };

  // --- what is looked at ------------------------------------------------------------------------
  const light = () => {
    const lit = active || chosen;
    stage.classList.toggle("na-dim", lit !== null);
    for (const part of stage.querySelectorAll(".na-near")) {
      part.classList.remove("na-near", "na-link-out", "na-link-in", "na-tip-out", "na-tip-in");
    }
    if (lit) {
      lit.g.classList.add("na-near");
      for (const link of around[lit.number]) {
        const way = nodes[link.a] === lit ? "out" : "in";
        nodes[link.a].g.classList.add("na-near");
        nodes[link.b].g.classList.add("na-near");
        link.path.classList.add("na-near", `na-link-${way}`);
        link.tip.classList.add("na-near", `na-tip-${way}`);
      }
    }
    write();
  };

  const look = (node) => {
    if (active === node) return;
    active = node;
    light();
  };

  const choose = (node) => {
    if (chosen) {
      chosen.g.classList.remove("na-chosen-node");
      chosen.g.removeAttribute("aria-pressed");
    }
    chosen = node;
    if (node) {
      node.g.classList.add("na-chosen-node");
      node.g.setAttribute("aria-pressed", "true");
      reachable(node);
      reveal(node);
    }
    panel.show(node);
    const address = window.location.pathname + window.location.search;
    window.history.replaceState(null, "", node ? `${address}#${encodeURIComponent(node.id)}` : address);
    active = null;
    light();
  };

  const reachable = (node) => {
    if (current) current.g.setAttribute("tabindex", "-1");
    current = node;
    node.g.setAttribute("tabindex", "0");
  };

  // --- moving -----------------------------------------------------------------------------------
  const fit = () => {
    const xs = nodes.map((node) => node.x);
    const ys = nodes.map((node) => node.y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const sides = Math.min(90, view.width * 0.12);
    const [above, below] = [76, 44];
    view.k = Math.min(
      (view.width - 2 * sides) / Math.max(1, right - left),
      (view.height - above - below) / Math.max(1, bottom - top),
      1.5,
    );
    view.x = view.width / 2 - ((left + right) / 2) * view.k;
    view.y = above + (view.height - above - below) / 2 - ((top + bottom) / 2) * view.k;
    view.moved = false;
  };

  const zoom = (factor, x = view.width / 2, y = view.height / 2) => {
    const k = Math.max(0.08, Math.min(8, view.k * factor));
    view.x = x - ((x - view.x) * k) / view.k;
    view.y = y - ((y - view.y) * k) / view.k;
    view.k = k;
    view.moved = true;
    repaint();
  };

  const reveal = (node) => {
    const margin = 40;
    const [x, y] = [node.x * view.k + view.x, node.y * view.k + view.y];
    if (x < margin || x > view.width - margin || y < margin || y > view.height - margin) {
      view.x += view.width / 2 - x;
      view.y += view.height / 2 - y;
      view.moved = true;
      repaint();
    }
  };

  const measure = () => {
    const box = stage.getBoundingClientRect();
    [view.width, view.height] = [box.width, box.height];
  };

  const pointers = () => {
    let grip = null;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const node = event.target.closest(".na-node")?.node || null;
      grip = { node, x: event.clientX, y: event.clientY, far: 0 };
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      if (!grip) {
        look(event.target.closest?.(".na-node")?.node || null);
        return;
      }
      const [dx, dy] = [event.clientX - grip.x, event.clientY - grip.y];
      grip.far += Math.abs(dx) + Math.abs(dy);
      if (grip.far < 4) return;
      svg.classList.add("na-moving");
      [grip.x, grip.y] = [event.clientX, event.clientY];
      if (grip.node) {
        grip.node.x += dx / view.k;
        grip.node.y += dy / view.k;
        held = grip.node;
      } else {
        view.x += dx;
        view.y += dy;
      }
      view.moved = true;
      repaint();
    });
    const drop = (event) => {
      if (!grip) return;
      const { node, far } = grip;
      grip = null;
      held = null;
      svg.classList.remove("na-moving");
      if (event.type === "pointerup" && far < 4) {
        if (node) node.g.focus({ preventScroll: true });
        choose(node === chosen ? null : node);
      }
    };
    svg.addEventListener("pointerup", drop);
    svg.addEventListener("pointercancel", drop);
    svg.addEventListener("pointerleave", () => look(null));
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = svg.getBoundingClientRect();
      const lines = event.deltaMode === 1 ? 16 : 1;
      zoom(Math.exp(-event.deltaY * lines * 0.0016), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    root.addEventListener("click", (event) => {
      const kind = event.target.closest("[data-map-zoom]")?.dataset.mapZoom;
      if (kind === "in") zoom(1.35);
      else if (kind === "out") zoom(1 / 1.35);
      else if (kind === "fit") {
        fit();
        repaint();
      }
    });
  };

  // The neighbour in the direction of an arrow key; where none is there, any node there.
  const towards = (from, [kx, ky]) => {
    const best = (candidates) => {
      let [nearest, least] = [null, Infinity];
      for (const node of candidates) {
        if (node === from) continue;
        const [dx, dy] = [node.sx - from.sx, node.sy - from.sy];
        const far = Math.hypot(dx, dy) || 1;
        const along = (dx * kx + dy * ky) / far;
        if (along < 0.5) continue;
        const cost = far * (2 - along);
        if (cost < least) [nearest, least] = [node, cost];
      }
      return nearest;
    };
    const near = around[from.number].flatMap((link) => [nodes[link.a], nodes[link.b]]);
    return best(near) || best(nodes);
  };

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const keys = () => {
    svg.addEventListener("keydown", (event) => {
      const node = event.target.closest?.(".na-node")?.node || current;
      if (event.ctrlKey || event.metaKey || event.altKey || !node) return;
      const done = () => event.preventDefault();
      if (ARROWS[event.key]) {
        done();
        const next = towards(node, ARROWS[event.key]);
        if (next) {
          reachable(next);
          reveal(next);
          next.g.focus({ preventScroll: true });
        }
      } else if (event.key === "Enter" || event.key === " ") {
        done();
        choose(node === chosen ? null : node);
      } else if (event.key === "Escape") {
        done();
        choose(null);
      } else if (event.key === "+" || event.key === "=") {
        done();
        zoom(1.35);
      } else if (event.key === "-") {
        done();
        zoom(1 / 1.35);
      } else if (event.key === "0") {
        done();
        fit();
        repaint();
      }
    });
    // Not on the drawing itself: Chromium lets Tab stop at an svg that listens for focus.
    stage.addEventListener("focusin", (event) => {
      const node = event.target.node;
      if (node && event.target.matches(":focus-visible")) {
        reachable(node);
        look(node);
      }
    });
    stage.addEventListener("focusout", () => look(null));
  };

  const search = () => {
    const [input, output] = [find("find"), find("found")];
    let turn = -1;
    const mark = () => {
      const text = input.value.trim().toLowerCase();
      const has = (node) => `${node.name} ${node.group || ""}`.toLowerCase().includes(text);
      found = new Set(text ? nodes.filter(has) : []);
      for (const node of nodes) node.g.classList.toggle("na-node-found", found.has(node));
      output.textContent = text ? panel.say(words.found, { n: found.size }) : "";
      turn = -1;
      write();
    };
    input.addEventListener("input", mark);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && found.size) {
        event.preventDefault();
        turn = (turn + 1) % found.size;
        choose([...found].sort((one, other) => other.connections - one.connections)[turn]);
      } else if (event.key === "Escape") {
        input.value = "";
        mark();
      }
    });
  };

  // --- beginning --------------------------------------------------------------------------------
  const panel = window.netadminMapPanel.make({
    box: find("panel"), legend: find("legend"), nodes, links, words, urls,
    onchoose: (node) => choose(node),
    onclose: () => {
      const last = chosen;
      choose(null);
      if (last) last.g.focus({ preventScroll: true });
    },
  });

  const begin = () => {
    const started = performance.now();
    build();
    measure();
    fit();
    paint();
    progress.remove();
    reachable([...nodes].sort((one, other) => other.connections - one.connections)[0]);
    pointers();
    keys();
    search();
    new ResizeObserver(() => {
      measure();
      if (!view.moved) fit();
      repaint();
    }).observe(stage);
    const asked = decodeURIComponent(window.location.hash.slice(1));
    const node = nodes.find((one) => one.id === asked);
    if (node) choose(node);
    root.dataset.paintMs = String(Math.round(performance.now() - started));
    root.dataset.drawn = String(nodes.length);
  };

  root.hidden = false;
  measure();
  const started = performance.now();
  layout(nodes, links, {
    wide: Math.max(0.6, Math.min(2.2, (view.width - 150) / (view.height - 120))),
    onward: (done) => {
      progress.textContent = panel.say(words.laying, { n: Math.round(done * 100) });
    },
    onend: () => {
      root.dataset.layoutMs = String(Math.round(performance.now() - started));
      begin();
    },
  });
})();
