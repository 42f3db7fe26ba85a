// Draws series of the timeline routes with uPlot: gaps stay gaps, failed probes, peaks and marks
// are shown, a click leads to that time. Everything hangs on the data- attributes of _chart.html.
"use strict";
(() => {
  const HEIGHT = 260;
  const heightOf = (box) => Number(box.dataset.height) || HEIGHT;
  const COLOURS = new Map([
    ["ESTABLISHED", ["#1c6fb8", "#6cb4ee"]],
    ["LISTEN", ["#22863a", "#4cc46a"]],
    ["TIME_WAIT", ["#8a6d00", "#e0bb45"]],
    ["CLOSE_WAIT", ["#c92a2a", "#ff6b6b"]],
    ["SYN_RECV", ["#a33ea1", "#d98ad7"]],
    ["SYN_SENT", ["#7048e8", "#a68cff"]],
    ["FIN_WAIT1", ["#0b7285", "#4fc3d4"]],
    ["FIN_WAIT2", ["#2b8a8a", "#6fd6d0"]],
    ["opened", ["#22863a", "#4cc46a"]],
    ["closed", ["#b8532a", "#f0986f"]],
    ["external", ["#b8532a", "#f0986f"]],
    ["private", ["#1c6fb8", "#6cb4ee"]],
    ["loopback", ["#5c636b", "#aab4bf"]],
    ["rx_bytes", ["#1c6fb8", "#6cb4ee"]],
    ["rx_packets", ["#1c6fb8", "#6cb4ee"]],
    ["tx_bytes", ["#b8532a", "#f0986f"]],
    ["tx_packets", ["#b8532a", "#f0986f"]],
  ]);
  const OTHERS = [
    ["#1c6fb8", "#6cb4ee"], ["#b8532a", "#f0986f"], ["#22863a", "#4cc46a"], ["#7048e8", "#a68cff"],
    ["#8a6d00", "#e0bb45"], ["#a33ea1", "#d98ad7"], ["#0b7285", "#4fc3d4"], ["#5c636b", "#aab4bf"],
  ];
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
    const address = new URL(box.dataset.chart, window.location.href);
    address.searchParams.set("since", new Date((until - Number(box.dataset.span)) * 1000).toISOString());
    address.searchParams.set("until", new Date(until * 1000).toISOString());
    const answer = await window.fetch(address, { headers: { Accept: "application/json" } });
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
  const counted = (value) => (value === null || value === undefined ? "—" : String(value));

  // Steps of the axis that are round numbers in that unit.
  const BINARY = Array.from({ length: 50 }, (_none, power) => 2 ** power);
  const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6];

  const peak = (values) => values.reduce((most, value) => (value > most ? value : most), 0);

  // Each line on top of those after it, so that the first is the sum; what is hidden counts nothing.
  const stacked = (data, names, isShown) => {
    const sums = new Array(data.times.length).fill(0);
    const layers = new Array(names.length);
    for (let place = names.length - 1; place >= 0; place -= 1) {
      const values = data.series[names[place]];
      layers[place] = values.map((value, index) => {
        if (isShown(place) && value !== null) sums[index] += value;
        return value === null ? null : sums[index];
      });
    }
    return layers;
  };

  // (time, words, kind, exact time) of what happened: given by the page, or by the route.
  const marksOf = (box, data) => {
    const source = document.getElementById(box.dataset.marks);
    return [...JSON.parse(source?.textContent || "[]"), ...(data.marks || [])];
  };

  const draw = (box, data) => {
    const names = Object.keys(data.series).sort((a, b) => peak(data.series[b]) - peak(data.series[a]));
    const isStacked = box.dataset.kind === "stacked";
    const axis = token("--na-muted");
    const line = token("--na-line");
    const words = new Map(Object.entries(JSON.parse(box.dataset.words || "{}")));
    const shown = box.dataset.unit ? perSecond(box.dataset.unit) : counted;
    const most = new Map(Object.entries(data.most || {}));
    const marks = marksOf(box, data);
    const counts = { size: 56, incrs: WHOLE };
    const rates = { size: 76, values: (_chart, values) => values.map(shown), ...(box.dataset.unit === "bytes" ? { incrs: BINARY } : {}) };
    let other = 0;
    const series = names.map((name) => {
      const pair = COLOURS.get(name) || OTHERS[other++ % OTHERS.length];
      const stroke = pair[dark() ? 1 : 0];
      return {
        label: words.get(name) || name,
        stroke,
        width: 1.6,
        points: { show: data.times.length < 3 },
        spanGaps: false,
        ...(isStacked ? { fill: `${stroke}66` } : {}),
        value: (_chart, _value, _place, index) => {
          if (index === null || index === undefined) return "—";
          const value = data.series[name][index];
          const top = most.get(name)?.[index];
          if (top === undefined || top === null || top <= value) return shown(value);
          return box.dataset.peak.replace("%(value)s", shown(value)).replace("%(most)s", shown(top));
        },
      };
    });
    const bands = isStacked ? names.slice(1).map((_name, place) => ({ series: [place + 1, place + 2] })) : [];
    const zone = box.dataset.zone;
    const drawPeaks = (chart) => {
      // From each point up to the most since the point before, so that a short flood is seen.
      if (isStacked || most.size === 0) return;
      const { ctx } = chart;
      names.forEach((name, place) => {
        const tops = most.get(name);
        if (!tops || !chart.series[place + 1].show) return;
        ctx.strokeStyle = series[place].stroke;
        ctx.globalAlpha = 0.45;
        ctx.lineWidth = 2;
        ctx.beginPath();
        data.times.forEach((time, index) => {
          const value = data.series[name][index];
          if (value === null || tops[index] === null || tops[index] <= value) return;
          const x = chart.valToPos(time, "x", true);
          ctx.moveTo(x, chart.valToPos(value, "y", true));
          ctx.lineTo(x, chart.valToPos(tops[index], "y", true));
        });
        ctx.stroke();
      });
    };
    const drawMarks = (chart) => {
      const { ctx, bbox } = chart;
      const colours = { alert: token("--na-bad-colour"), change: token("--na-warn-colour"), info: token("--na-new-colour") };
      for (const [time, , kind] of marks) {
        const x = chart.valToPos(time, "x", true);
        ctx.fillStyle = colours[kind] || colours.info;
        ctx.globalAlpha = 0.5;
        ctx.fillRect(x - 0.5, bbox.top, 1, bbox.height);
        ctx.globalAlpha = 1;
        ctx.beginPath();
        ctx.moveTo(x - 5, bbox.top);
        ctx.lineTo(x + 5, bbox.top);
        ctx.lineTo(x, bbox.top + 9);
        ctx.fill();
      }
    };
    const drawFailures = (chart) => {
      // Short red ticks on the time axis.
      const { ctx, bbox } = chart;
      ctx.fillStyle = token("--na-bad-colour");
      for (const [time] of data.failed || []) {
        ctx.fillRect(chart.valToPos(time, "x", true) - 1, bbox.top + bbox.height - 6, 2, 6);
      }
    };
    const options = {
      tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), zone),
      width: Math.max(box.clientWidth - 24, 240),
      height: heightOf(box),
      series: [{ label: box.dataset.time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, ...series],
      bands,
      axes: [
        { stroke: axis, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, values: [
          [31536000, "{YYYY}", null, null, null, null, null, null, 1],
          [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
          [3600, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          [60, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
        ] },
        { stroke: axis, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, ...(box.dataset.unit ? rates : counts) },
      ],
      scales: { y: { range: (chart, _low, high) => {
        let top = high || 1;
        if (!isStacked) {
          names.forEach((name, place) => {
            if (chart.series[place + 1].show && most.has(name)) top = Math.max(top, peak(most.get(name)));
          });
        }
        return [0, Math.max(1, Math.ceil(top * 1.05))];
      } } },
      cursor: { points: { size: 6 } },
      hooks: {
        draw: [
          (chart) => {
            const { ctx, bbox } = chart;
            ctx.save();
            ctx.beginPath();
            ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
            ctx.clip();
            for (const paint of [drawPeaks, drawMarks, drawFailures]) {
              ctx.save();
              paint(chart);
              ctx.restore();
            }
            ctx.restore();
          },
        ],
        setSeries: [
          (chart, _place, changed) => {
            if (!isStacked || changed.show === undefined) return;
            const shownNow = (place) => chart.series[place + 1].show;
            const visible = names.map((_name, place) => place).filter(shownNow);
            chart.delBand(null);
            visible.slice(1).forEach((place, before) => chart.addBand({ series: [visible[before] + 1, place + 1] }));
            chart.setData([data.times, ...stacked(data, names, shownNow)], false);
            chart.redraw();
          },
        ],
      },
    };
    box.replaceChildren();
    const layers = isStacked ? stacked(data, names, () => true) : names.map((name) => data.series[name]);
    const chart = new window.uPlot(options, [data.times, ...layers], box);
    if (box.dataset.atUrl) takeClicks(box, chart, data, marks);
    return chart;
  };

  // A click leads to the time of the point under it, or of a mark; a drag zooms, a double click
  // goes back, and neither is a click.
  const NEAR_PX = 6;
  const DOUBLE_MS = 260;
  const takeClicks = (box, chart, data, marks) => {
    let from = null;
    let waiting = 0;
    box.classList.add("na-chart-click");
    chart.over.addEventListener("mousedown", (event) => {
      from = event.button === 0 ? [event.clientX, event.clientY] : null;
    });
    chart.over.addEventListener("dblclick", () => window.clearTimeout(waiting));
    chart.over.addEventListener("click", (event) => {
      if (from === null || Math.hypot(event.clientX - from[0], event.clientY - from[1]) > 3) return;
      const left = event.clientX - chart.over.getBoundingClientRect().left;
      const mark = marks.find(([time]) => Math.abs(chart.valToPos(time, "x") - left) < NEAR_PX);
      const at = mark?.[3] || new Date(data.times[chart.posToIdx(left)] * 1000).toISOString();
      const address = new URL(box.dataset.atUrl, window.location.href);
      address.searchParams.set("at", at.replace(".000Z", "Z"));
      window.clearTimeout(waiting);
      waiting = window.setTimeout(() => window.location.assign(address), DOUBLE_MS);
    });
  };

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
        chart = null;
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
        chart.setSize({ width: Math.max(width - 24, 240), height: heightOf(box) });
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
