// Draws the series of the timeline routes with uPlot; gaps stay gaps, failed probes are marked.
"use strict";
(() => {
  const COLOURS = {
    ESTABLISHED: ["#1c6fb8", "#6cb4ee"],
    LISTEN: ["#22863a", "#4cc46a"],
    TIME_WAIT: ["#8a6d00", "#e0bb45"],
    CLOSE_WAIT: ["#c92a2a", "#ff6b6b"],
    SYN_RECV: ["#a33ea1", "#d98ad7"],
    SYN_SENT: ["#7048e8", "#a68cff"],
    FIN_WAIT1: ["#0b7285", "#4fc3d4"],
    FIN_WAIT2: ["#2b8a8a", "#6fd6d0"],
    rx_bytes: ["#1c6fb8", "#6cb4ee"],
    rx_packets: ["#1c6fb8", "#6cb4ee"],
    tx_bytes: ["#b8532a", "#f0986f"],
    tx_packets: ["#b8532a", "#f0986f"],
  };
  const OTHERS = [["#5c636b", "#aab4bf"], ["#b8532a", "#f0986f"], ["#4c6ef5", "#91a7ff"], ["#868e46", "#c8cf8a"]];
  const dark = () => document.documentElement.dataset.bsTheme === "dark";
  const token = (name) => {
    // light-dark() is resolved only where a colour is used, so use it.
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    probe.style.color = `var(${name})`;
    const colour = window.getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };

  const note = (box, text) => {
    const paragraph = document.createElement("p");
    paragraph.className = "na-chart-note";
    paragraph.textContent = text;
    box.replaceChildren(paragraph);
  };

  const fetchSeries = async (box) => {
    const until = Number(box.dataset.until) || Math.floor(Date.now() / 1000);
    const query = new URLSearchParams({
      host: box.dataset.host,
      by: box.dataset.by,
      since: new Date((until - Number(box.dataset.span)) * 1000).toISOString(),
      until: new Date(until * 1000).toISOString(),
    });
    if (box.dataset.interface) query.set("interface", box.dataset.interface);
    const answer = await window.fetch(`${box.dataset.chart}?${query}`, { headers: { Accept: "application/json" } });
    const body = await answer.json();
    if (!body.success) throw new Error(body.message);
    return body.data;
  };

  // A value per second in a readable unit: bytes by 1024, all else by 1000.
  const perSecond = (unit) => (value) => {
    if (value === null || value === undefined) return "—";
    const step = unit === "bytes" ? 1024 : 1000;
    const units = unit === "bytes" ? [" B", " KB", " MB", " GB", " TB"] : ["", " k", " M", " G", " T"];
    let place = 0;
    while (Math.abs(value) >= step && place < units.length - 1) {
      value /= step;
      place += 1;
    }
    return `${Math.abs(value) >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)}${units[place]}/s`;
  };

  // Steps of the axis that are round numbers in that unit.
  const BINARY = Array.from({ length: 50 }, (_none, power) => 2 ** power);

  const draw = (box, data) => {
    const names = Object.keys(data.series).sort((a, b) => peak(data.series[b]) - peak(data.series[a]));
    const axis = token("--na-muted");
    const line = token("--na-line");
    const words = JSON.parse(box.dataset.words || "{}");
    const shown = box.dataset.unit ? perSecond(box.dataset.unit) : null;
    const counts = { size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5] };
    const rates = { size: 76, values: (_chart, values) => values.map(shown), ...(box.dataset.unit === "bytes" ? { incrs: BINARY } : {}) };
    let other = 0;
    const series = names.map((name) => {
      const pair = COLOURS[name] || OTHERS[other++ % OTHERS.length];
      const series = { label: words[name] || name, stroke: pair[dark() ? 1 : 0], width: 1.6, points: { show: data.times.length < 3 }, spanGaps: false };
      if (shown) series.value = (_chart, value) => shown(value);
      return series;
    });
    const zone = box.dataset.zone;
    const options = {
      tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), zone),
      width: Math.max(box.clientWidth - 24, 240),
      height: 260,
      series: [{ value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, ...series],
      axes: [
        { stroke: axis, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, values: [
          [31536000, "{YYYY}", null, null, null, null, null, null, 1],
          [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
          [3600, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          [60, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
        ] },
        { stroke: axis, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, ...(shown ? rates : counts) },
      ],
      scales: { y: { range: (_chart, _low, high) => [0, Math.max(1, Math.ceil((high || 1) * 1.05))] } },
      cursor: { points: { size: 6 } },
      hooks: {
        draw: [
          (chart) => {
            // Failed probes: short red ticks on the time axis.
            const { ctx, bbox } = chart;
            ctx.save();
            ctx.fillStyle = token("--na-bad-colour");
            for (const [time] of data.failed || []) {
              const x = chart.valToPos(time, "x", true);
              if (x >= bbox.left && x <= bbox.left + bbox.width) ctx.fillRect(x - 1, bbox.top + bbox.height - 6, 2, 6);
            }
            ctx.restore();
          },
        ],
      },
    };
    box.replaceChildren();
    return new window.uPlot(options, [data.times, ...names.map((name) => data.series[name])], box);
  };

  const peak = (values) => values.reduce((most, value) => (value > most ? value : most), 0);

  const start = async (box) => {
    let chart = null;
    let data = null;
    const redraw = () => {
      if (data === null) return;
      chart?.destroy();
      chart = draw(box, data);
    };
    const load = async () => {
      try {
        data = await fetchSeries(box);
      } catch (error) {
        if (data === null) note(box, `${box.dataset.error} ${error.message || ""}`);
        return;
      }
      if (data.times.length < 2 || Object.keys(data.series).length === 0) {
        data = null;
        note(box, box.dataset.empty);
        return;
      }
      redraw();
      box.dataset.drawn = "true";
    };
    await load();
    document.addEventListener("netadmin:theme", redraw);
    let width = box.clientWidth;
    new ResizeObserver(() => {
      if (chart !== null && Math.abs(box.clientWidth - width) > 4) {
        width = box.clientWidth;
        chart.setSize({ width: Math.max(width - 24, 240), height: 260 });
      }
    }).observe(box);
    if (!box.dataset.until) {
      window.setInterval(() => {
        if (!document.hidden) void load();
      }, 60_000);
    }
  };

  for (const box of document.querySelectorAll("[data-chart]")) void start(box);
})();
