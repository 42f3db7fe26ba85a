// The panel beside the map: the edges of the node that is chosen, and links to look further.
// Everything that a host said goes in as text.
"use strict";
(() => {
  const MOST = 60;
  const SEVERAL = -2;

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null && value !== "") made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  const make = ({ box, legend, nodes, links, words, urls, onchoose, onclose }) => {
    const say = (text, values) =>
      Object.entries(values).reduce((said, [name, value]) => said.replaceAll(`{${name}}`, String(value)), text);
    const number = (value) => value.toLocaleString("en").replaceAll(",", "\u202f");

    const address = (path, query) => {
      const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
      return asked.size ? `${path}?${asked}` : path;
    };
    const hostUrl = (host, query = {}) =>
      address(urls.host.replace("/0/", `/${host}/`), { ...query, at: urls.at });

    const portWords = (port) => (port === SEVERAL ? words.other_ports : port === null ? words.no_port : String(port));

    const kindWords = (node) => {
      if (node.kind === "host") return node.group ? `${words.host} · ${node.group}` : words.host;
      if (node.kind === "group") return `${words.group} · ${say(words.members, { n: node.members })}`;
      return words[node.kind === "peers" ? `peers_${node.scope}` : node.scope];
    };

    // The connections of an edge on the page of the host that is chosen, else of either.
    const socketsUrl = (edge, chosen) => {
      const [a, b, protocol, port, , seen, , , clientIp, serverIp] = edge;
      const [source, target] = [nodes[a], nodes[b]];
      const outward = source.host !== null && seen !== "server" && (target !== chosen || seen === "client");
      const host = outward ? source.host : target.host;
      if (host === null || host === undefined) return "";
      const query = { direction: outward ? "out" : "in", proto: protocol };
      if (port !== null && port !== SEVERAL) query[outward ? "remote_port" : "local_port"] = String(port);
      const ip = outward ? serverIp : clientIp;
      if (ip) query.remote_ip = ip;
      return hostUrl(host, query);
    };

    const here = new URLSearchParams(window.location.search);
    const mapUrl = (changes) => {
      const asked = new URLSearchParams(here);
      asked.delete("page");
      for (const [name, value] of Object.entries(changes)) asked.set(name, value);
      return `?${asked}`;
    };

    const linksOf = (node) => {
      const listed = [];
      const link = (url, text) => listed.push(element("a", { class: "btn btn-sm", href: url }, text));
      if (node.kind === "host") link(hostUrl(node.host), words.open_host);
      if (node.kind === "group" && node.group) link(mapUrl({ group: node.group, nodes: "hosts" }), words.open_group);
      if (node.kind === "peer" && urls.hunt) link(address(urls.hunt, { ip: node.name }), words.hunt);
      if (node.kind === "peers") {
        const changes = { peers: "all", scope: node.scope };
        if (node.port !== null && node.port !== SEVERAL) changes.port = String(node.port);
        link(mapUrl(changes), words.unfold);
      } else if (node.kind !== "group" || node.group) {
        link(mapUrl({ q: node.name }), words.alone);
      }
      return listed;
    };

    const row = (edge, node, outward) => {
      const other = nodes[outward ? edge[1] : edge[0]];
      const [client, server] = [edge[6], edge[7]].map((list) => list.filter(Boolean).join(", "));
      const programs = [client, server].filter(Boolean).join(" → ");
      const button = element("button", { type: "button", class: "na-map-to" }, other.name);
      button.addEventListener("click", () => onchoose(other));
      const url = socketsUrl(edge, node);
      const count = number(edge[4]);
      const label = say(words.sockets, { n: count, source: nodes[edge[0]].name, target: nodes[edge[1]].name });
      const oneEnd = nodes[edge[0]].kind === "host" && nodes[edge[1]].kind === "host" && edge[5] !== "both";
      return element(
        "li",
        {},
        element("span", {}, button),
        element(
          "span",
          { class: "na-map-count" },
          url ? element("a", { href: url, "aria-label": label }, count) : count,
        ),
        element(
          "span",
          { class: "na-second" },
          element("span", { class: "na-mono" }, `${portWords(edge[3])} ${edge[2]}`),
          programs ? ` · ${programs}` : "",
          oneEnd ? ` · ${words.one_end}` : "",
        ),
      );
    };

    const list = (title, edges, node, outward) => {
      if (!edges.length) return [];
      edges.sort((one, other) => other[4] - one[4]);
      const sum = edges.reduce((total, edge) => total + edge[4], 0);
      const more = edges.length - MOST;
      return [
        element("h3", {}, `${title} · ${number(sum)}`),
        element("ul", { class: "na-map-edges" }, ...edges.slice(0, MOST).map((edge) => row(edge, node, outward))),
        ...(more > 0 ? [element("p", { class: "na-muted" }, say(words.more, { n: number(more) }))] : []),
      ];
    };

    const show = (node) => {
      box.hidden = !node;
      legend.hidden = Boolean(node);
      if (!node) {
        box.replaceChildren();
        return;
      }
      const mine = links.filter((link) => nodes[link.a] === node || nodes[link.b] === node);
      const edges = mine.flatMap((link) => link.edges);
      const close = element("button", { type: "button", class: "btn btn-sm btn-quiet", "aria-label": words.close }, "×");
      close.addEventListener("click", onclose);
      const remarks = [];
      if (node.claimed_by.length) remarks.push(say(words.claimed, { n: node.claimed_by.length }));
      if (!node.known) remarks.push(words.unknown);
      else if (!node.in_focus) remarks.push(words.outside);
      const out = edges.filter((edge) => nodes[edge[0]] === node);
      const incoming = edges.filter((edge) => nodes[edge[1]] === node);
      box.replaceChildren(
        element("div", { class: "na-map-head" }, element("h2", {}, node.name), close),
        element("p", { class: "na-map-kind" }, kindWords(node)),
        ...remarks.map((text) => element("p", { class: "na-muted" }, text)),
        element("div", { class: "na-map-links" }, ...linksOf(node)),
        ...list(words.out, out, node, true),
        ...list(words.in, incoming, node, false),
        ...(edges.length ? [] : [element("p", { class: "na-muted" }, words.none)]),
      );
    };

    return { kindWords, number, portWords, say, show };
  };

  window.netadminMapPanel = { make };
})();
