// Where the dots of the map stand, and which names fit beside them. Knows numbers only: no
// document, no words. The same input gives the same picture.
"use strict";
(() => {
  const GAP = 16;

  // What stands together: hosts of a group; a node without a group stands for itself.
  const homeOf = (node) => (node.kind === "host" && node.group_id !== null ? `g${node.group_id}` : node.id);

  const radius = (node) => {
    const size = Math.log10(1 + node.connections);
    if (node.kind === "group") return 9 + 1.6 * size;
    if (node.kind === "host") return 5.5 + 1.5 * size;
    return node.kind === "peers" ? 7 + 1.2 * size : 5.5 + 0.8 * size;
  };

  // One link for all edges from one node to another.
  const linksOf = (edges) => {
    const found = new Map();
    for (const edge of edges) {
      const key = `${edge[0]} ${edge[1]}`;
      let link = found.get(key);
      if (!link) {
        link = { a: edge[0], b: edge[1], connections: 0, edges: [] };
        found.set(key, link);
      }
      link.connections += edge[4];
      link.edges.push(edge);
    }
    return [...found.values()];
  };

  // Sets x and y of every node, in steps short enough for the page to live on: calls onward with
  // how much is done (0 to 1), then onend. Begins with the groups alone, each a disc as large as
  // its hosts need; then every node goes from a spiral in its group's disc to where its
  // connections pull it.
  const layout = (nodes, links, { wide, onward, onend }) => {
    const homes = new Map();
    nodes.forEach((node, number) => {
      node.number = number;
      node.r = radius(node);
      const name = homeOf(node);
      if (!homes.has(name)) homes.set(name, { id: name, members: [] });
      homes.get(name).members.push(node);
      node.home = homes.get(name);
    });
    const discs = [...homes.values()];
    discs.sort((one, other) => other.members.length - one.members.length || (one.id < other.id ? -1 : 1));
    // A small map has room for names between its dots, a large one shows them when zoomed in.
    const room = Math.max(21, Math.min(58, 300 / Math.sqrt(nodes.length)));
    discs.forEach((disc, number) => {
      const count = disc.members.length;
      disc.r = count > 1 ? room * Math.sqrt(count) + 14 : disc.members[0].kind === "host" ? 30 : 26;
      const turn = number * 2.399963;
      const far = 60 * Math.sqrt(number);
      disc.x = Math.cos(turn) * far;
      disc.y = Math.sin(turn) * far;
    });
    const pulls = new Map();
    for (const link of links) {
      const [one, other] = [nodes[link.a].home, nodes[link.b].home];
      if (one === other) continue;
      const key = one.id < other.id ? `${one.id} ${other.id}` : `${other.id} ${one.id}`;
      if (!pulls.has(key)) pulls.set(key, { source: one, target: other, connections: 0 });
      pulls.get(key).connections += link.connections;
    }
    // Who has no connections stands in rows below, and does not push the others apart.
    const pulled = new Set([...pulls.values()].flatMap((pull) => [pull.source, pull.target]));
    const busy = new Set(links.filter((link) => link.a === link.b).map((link) => nodes[link.a].home));
    const lonely = discs.filter((disc) => !pulled.has(disc) && !busy.has(disc) && disc.members.length === 1);
    const apart = new Set(lonely);
    const moving = discs.filter((disc) => !apart.has(disc));
    // Hosts in the middle, the rest of the world around them.
    const outer = (disc) => disc.members[0].kind === "peer" || disc.members[0].kind === "peers";
    const inside = moving.filter((disc) => !outer(disc));
    const reach = 1.08 * Math.sqrt(inside.reduce((sum, disc) => sum + (disc.r + GAP) ** 2, 0)) + 34;
    const coarse = window.d3
      .forceSimulation(moving)
      .force("collide", window.d3.forceCollide((disc) => disc.r + GAP).iterations(3))
      .force("charge", window.d3.forceManyBody().strength((disc) => -14 * disc.r).distanceMax(900))
      .force(
        "link",
        window.d3
          .forceLink([...pulls.values()])
          .distance((pull) => pull.source.r + pull.target.r + 46)
          .strength((pull) => Math.min(0.35, 0.05 + 0.04 * Math.log10(1 + pull.connections))),
      )
      .force("x", window.d3.forceX(0).strength((disc) => (outer(disc) ? 0 : 0.06)))
      .force("y", window.d3.forceY(0).strength((disc) => (outer(disc) ? 0 : 0.06)))
      .force("world", window.d3.forceRadial(reach).strength((disc) => (outer(disc) ? 0.5 : 0)))
      .stop();

    // The groups as they lie are about as wide as high; pulled apart until they have the shape of
    // the window.
    const stretch = () => {
      const span = (of) => Math.max(...moving.map((disc) => of(disc) + disc.r)) - Math.min(...moving.map((disc) => of(disc) - disc.r));
      if (moving.length < 2) return;
      const factor = (wide * span((disc) => disc.y)) / span((disc) => disc.x);
      for (const disc of moving) {
        if (factor > 1) disc.x *= Math.min(factor, 2);
        else disc.y *= Math.min(1 / factor, 2);
      }
    };

    const fine = () => {
      stretch();
      for (const disc of moving) {
        disc.members.forEach((node, number) => {
          const turn = number * 2.399963;
          const far = disc.members.length > 1 ? room * 0.86 * Math.sqrt(number + 0.5) : 0;
          node.x = disc.x + Math.cos(turn) * far;
          node.y = disc.y + Math.sin(turn) * far;
        });
      }
      return window.d3
        .forceSimulation(nodes.filter((node) => !apart.has(node.home)))
        .alpha(0.6)
        .alphaDecay(0.03)
        .force("collide", window.d3.forceCollide((node) => Math.max(node.r + 7, room * 0.72)).iterations(2))
        .force("charge", window.d3.forceManyBody().strength(-26).distanceMax(260))
        .force(
          "link",
          window.d3
            .forceLink(links.map((link) => ({ source: nodes[link.a], target: nodes[link.b] })))
            .distance(70)
            .strength(({ source, target }) => (source.home === target.home ? 0.05 : 0.006)),
        )
        .force("x", window.d3.forceX((node) => node.home.x).strength(0.32))
        .force("y", window.d3.forceY((node) => node.home.y).strength(0.32))
        .stop();
    };

    const rows = () => {
      const placed = nodes.filter((node) => !apart.has(node.home));
      const xs = placed.map((node) => node.x);
      const [left, right] = placed.length ? [Math.min(...xs), Math.max(...xs)] : [-400, 400];
      const bottom = placed.length ? Math.max(...placed.map((node) => node.y)) : 0;
      const step = 110;
      const columns = Math.max(3, Math.floor((right - left) / step) + 1);
      lonely.forEach(({ members: [node] }, number) => {
        const row = Math.floor(number / columns);
        const inRow = Math.min(columns, lonely.length - row * columns);
        node.x = (left + right) / 2 + ((number % columns) - (inRow - 1) / 2) * step;
        node.y = bottom + 70 + row * 38;
      });
    };

    const COARSE = 220;
    const FINE = 150;
    const SLICE_MS = 14;
    let simulation = coarse;
    let step = 0;
    const run = () => {
      const until = performance.now() + SLICE_MS;
      while (step < COARSE + FINE && performance.now() < until) {
        if (step === COARSE) simulation = fine();
        simulation.tick();
        step += 1;
      }
      if (step < COARSE + FINE) {
        onward(step / (COARSE + FINE));
        // A timer, not a frame: a page in a hidden tab goes on as well.
        window.setTimeout(run, 0);
      } else {
        rows();
        onend();
      }
    };
    window.setTimeout(run, 0);
  };

  // The hull of points, as a closed path; of fewer than three points the points themselves.
  const hull = (points) => {
    const sorted = [...points].sort((one, other) => one[0] - other[0] || one[1] - other[1]);
    if (sorted.length < 3) return sorted;
    const turn = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
    const half = (list) => {
      const kept = [];
      for (const point of list) {
        while (kept.length > 1 && turn(kept[kept.length - 2], kept[kept.length - 1], point) <= 0) kept.pop();
        kept.push(point);
      }
      kept.pop();
      return kept;
    };
    return [...half(sorted), ...half(sorted.reverse())];
  };

  // Places names: each wish is {width, height, must, spots: [[left, top], ...]}; the first spot
  // that is free of taken boxes and of dots is used. Returns for each wish its box, or null.
  // Boxes never overlap one another; a wish that must be shown takes its first spot and whatever
  // comes later goes round it.
  const CELL = 64;
  const place = (wishes, dots, { width, height }) => {
    const grid = new Map();
    const cells = (box) => {
      const found = [];
      for (let x = Math.floor(box[0] / CELL); x <= Math.floor(box[2] / CELL); x += 1) {
        for (let y = Math.floor(box[1] / CELL); y <= Math.floor(box[3] / CELL); y += 1) found.push(`${x} ${y}`);
      }
      return found;
    };
    const put = (box) => {
      for (const cell of cells(box)) {
        if (!grid.has(cell)) grid.set(cell, []);
        grid.get(cell).push(box);
      }
    };
    const free = (box, owner) =>
      box[0] >= 2 && box[1] >= 2 && box[2] <= width - 2 && box[3] <= height - 2 &&
      cells(box).every((cell) =>
        (grid.get(cell) || []).every(
          (other) =>
            (other.owner !== undefined && other.owner === owner) ||
            box[2] <= other[0] || box[0] >= other[2] || box[3] <= other[1] || box[1] >= other[3],
        ),
      );
    for (const dot of dots) {
      const box = [dot.x - dot.r, dot.y - dot.r, dot.x + dot.r, dot.y + dot.r];
      box.owner = dot.owner;
      put(box);
    }
    const names = [];
    const clear = (box) =>
      names.every((other) => box[2] <= other[0] || box[0] >= other[2] || box[3] <= other[1] || box[1] >= other[3]);
    return wishes.map((wish) => {
      const boxes = wish.spots.map(([left, top]) => [left, top, left + wish.width, top + wish.height]);
      let box = boxes.find((one) => free(one, wish.owner));
      if (!box && wish.must) {
        box = boxes.find((one) => clear(one) && one[0] >= 2 && one[2] <= width - 2) || boxes.find(clear);
      }
      if (!box) return null;
      put(box);
      names.push(box);
      return box;
    });
  };

  window.netadminMapLayout = { hull, layout, linksOf, place };
})();
