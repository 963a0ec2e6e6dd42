"use strict";

const PIXELS_A_BAR = 1.7;
// Beyond this many trades in sight, levels and exits would only hide each other.
const DETAILED_TRADES = 250;
// And beyond this many, entries would hide the candles.
const MARKED_TRADES = 1500;
// Reasons that have no mark of their own get one of these.
const MORE_EXITS = ["hexagon-open", "star-open", "hourglass-open", "pentagon-open", "bowtie-open"];
const EXITS = {
  stop: ["x-thin-open", "loss"], take: ["circle-open", "gain"], signal: ["diamond-open", "ink"],
  reversal: ["square-open", "ink"],
};
const CONFIG = { displayModeBar: false, doubleClick: false, doubleClickDelay: 500, responsive: true, showTips: false };

const pad = (n, size = 2) => String(n).padStart(size, "0");

function showTime(ms) {
  const d = new Date(ms), seconds = ms % 60000 ? `:${pad(d.getUTCSeconds())}` : "";
  const rest = ms % 1000 ? `.${pad(ms % 1000, 3)}` : "";
  return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ` +
    `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}${seconds}${rest}`;
}

const format = (digits) => {
  const made = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (x) => (Number.isFinite(x) ? made.format(x).replace("-", "−") : "–");
};

function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted.length ? sorted[Math.round(share * (sorted.length - 1))] : 0;
}

// How values of a unit are written.
function writer(unit) {
  const two = format(2), none = format(0), one = format(1);
  switch (unit) {
    case "share": return (x) => `${one(x * 100)}%`;
    case "count": return none;
    case "money": return two;
    case "days": return (x) => `${one(x)} d`;
    case "minutes": return (x) => `${none(x)} min`;
    case "r": return (x) => `${format(3)(x)} R`;
    case "time": return showTime;
  }
  return two;
}

function colors() {
  const style = getComputedStyle(document.documentElement), found = {};
  for (const name of "page card ink soft line long short gain loss body".split(" ")) {
    found[name] = style.getPropertyValue(`--${name}`).trim();
  }
  return found;
}

function axis(c, more) {
  return {
    gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, tickcolor: c.line,
    tickfont: { color: c.soft, size: 11 }, ...more,
  };
}

function layoutOf(c, more) {
  const coarse = matchMedia("(pointer: coarse)").matches;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, color: c.ink, size: 12 },
    hoverlabel: { bgcolor: c.card, bordercolor: c.line, font: { color: c.ink, size: 12 }, align: "left" },
    // A finger that wants to scroll the page must not zoom.
    dragmode: coarse ? false : "zoom",
    ...more,
  };
}

function drawEquity(div, data, marked) {
  const c = colors(), { equity, drawdown, hold } = data.curves;
  const lines = [
    { name: "equity", x: equity.x, y: equity.y, line: { color: c.long, width: 1.4 }, hovertemplate: "equity %{y:,.2f}<extra></extra>" },
    {
      name: "drawdown", showlegend: false, x: drawdown.x, y: drawdown.y, yaxis: "y2", fill: "tozeroy", fillcolor: `${c.loss}33`,
      line: { color: c.loss, width: 1 }, hovertemplate: "drawdown %{y:.2%}<extra></extra>",
    },
  ];
  if (hold) {
    lines.push({ name: "buy and hold", x: hold.x, y: hold.y, line: { color: c.soft, width: 1.1 }, hovertemplate: "buy and hold %{y:,.2f}<extra></extra>" });
  }
  const band = marked && {
    type: "rect", xref: "x", yref: "paper", x0: marked[0], x1: marked[1], y0: 0, y1: 1,
    fillcolor: c.short, opacity: 0.35, line: { width: 1, color: c.short },
  };
  const start = { type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: equity.y[0], y1: equity.y[0],
    line: { color: c.soft, width: 1, dash: "dot" } };
  const layout = layoutOf(c, {
    margin: { l: 62, r: 16, t: 26, b: 42 }, showlegend: Boolean(hold), hovermode: "x", uirevision: "same",
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { color: c.soft, size: 11 } },
    xaxis: axis(c, { type: "date", anchor: "y2", showgrid: false, hoverformat: "%Y-%m-%d %H:%M" }),
    yaxis: axis(c, { domain: [0.34, 1], tickformat: ",", fixedrange: true }),
    yaxis2: axis(c, { domain: [0, 0.27], tickformat: ".0%", rangemode: "tozero", nticks: 4, fixedrange: true }),
    shapes: band ? [start, band] : [start],
  });
  const made = lines.map((line) => ({ type: "scatter", mode: "lines", ...line }));
  return Plotly.react(div, made, layout, CONFIG);
}

// Everything in sight between two times: bars, trades, their stops and takes.
function drawCandles(div, data, view) {
  const c = colors(), chart = data.charts[view.symbol], trades = data.trades;
  const most = view.most ?? Math.max(150, Math.round(div.clientWidth / PIXELS_A_BAR));
  const bars = barsBetween(chart, data.steps, view.from, view.to, most);
  const seen = [];
  for (let i = 0; i < trades.n; i++) {
    if (trades.symbol[i] === view.symbol && trades.exit_time[i] >= view.from && trades.entry_time[i] <= view.to) seen.push(i);
  }
  const detailed = seen.length <= DETAILED_TRADES;
  const traces = [candleTrace(c, bars, format(chart.levels[0].decimals))];
  if (detailed) traces.push(...levelTraces(c, trades, seen), ...pathTraces(c, trades, seen));
  const marked = seen.length <= MARKED_TRADES;
  if (marked) traces.push(...entryTraces(c, trades, seen, detailed));
  if (detailed) traces.push(...exitTraces(c, data, seen));
  const layout = layoutOf(c, {
    margin: { l: 62, r: 16, t: 8, b: 42 }, hovermode: "closest", hoverdistance: 12,
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { color: c.soft, size: 11 }, itemsizing: "trace" },
    uirevision: "same",
    xaxis: axis(c, { type: "date", range: [view.from, view.to], rangeslider: { visible: false }, uirevision: Math.random(), showgrid: false }),
    yaxis: axis(c, { range: priceRange(bars, trades, detailed ? seen : []), tickformat: ",", fixedrange: true }),
    shapes: view.trade === null ? [] : boxes(c, trades, view.trade),
  });
  Plotly.react(div, traces, layout, CONFIG);
  return { bars: bars.time.length, timeframe: bars.step.name, trades: seen.length, marked };
}

function candleTrace(c, bars, price) {
  const text = bars.time.map((t, i) => `${showTime(t)}<br>open ${price(bars.open[i])}<br>high ${price(bars.high[i])}` +
    `<br>low ${price(bars.low[i])}<br>close ${price(bars.close[i])}`);
  return {
    type: "candlestick", name: "candles", showlegend: false, x: bars.x, open: bars.open, high: bars.high,
    low: bars.low, close: bars.close, text, hoverinfo: "text", whiskerwidth: 0,
    increasing: { line: { color: c.body, width: 1 }, fillcolor: c.card },
    decreasing: { line: { color: c.body, width: 1 }, fillcolor: c.body },
  };
}

// One trace for many lines: null lifts the pen.
function strokes(seen, from, to) {
  const x = [], y = [];
  for (const i of seen) {
    const [x0, y0] = from(i), [x1, y1] = to(i);
    if (Number.isFinite(y0) && Number.isFinite(y1)) {
      x.push(x0, x1, null);
      y.push(y0, y1, null);
    }
  }
  return { type: "scatter", mode: "lines", x, y, hoverinfo: "skip" };
}

function levelTraces(c, t, seen) {
  const level = (name, prices, color) => ({
    ...strokes(seen, (i) => [t.entry_time[i], prices[i]], (i) => [t.exit_time[i], prices[i]]),
    name, line: { color, width: 1.3 },
  });
  return [level("stop", t.stop, c.loss), level("take", t.take, c.gain)];
}

function pathTraces(c, t, seen) {
  const path = (chosen, color) => ({
    ...strokes(chosen, (i) => [t.entry_time[i], t.entry_price[i]], (i) => [t.exit_time[i], t.exit_price[i]]),
    showlegend: false, line: { color, width: 1.3, dash: "dot" },
  });
  return [path(seen.filter((i) => t.net[i] > 0), c.gain), path(seen.filter((i) => !(t.net[i] > 0)), c.loss)];
}

function marks(seen, name, x, y, marker, words) {
  return {
    type: "scatter", mode: "markers", name, x: seen.map((i) => x[i]), y: seen.map((i) => y[i]), marker,
    customdata: seen, text: seen.map(words), hoverinfo: "text",
  };
}

function entryTraces(c, t, seen, detailed) {
  const money = format(2), size = detailed ? 10 : 6;
  return [[1, "long", "triangle-up"], [-1, "short", "triangle-down"]].map(([side, name, symbol]) =>
    marks(seen.filter((i) => t.side[i] === side), `${name} entry`, t.entry_time, t.entry_price,
      { symbol, size, color: c[name], opacity: detailed ? 1 : 0.6, line: { color: c.card, width: detailed ? 1 : 0 } },
      (i) => `${name} ${i + 1}, ${showTime(t.entry_time[i])}<br>net ${money(t.net[i])}`));
}

function exitTraces(c, data, seen) {
  const t = data.trades, money = format(2);
  return data.reasons.map((reason, at) => {
    const [symbol, color] = EXITS[reason] ?? [MORE_EXITS[at % MORE_EXITS.length], "soft"];
    return marks(seen.filter((i) => t.reason[i] === at), `exit: ${reason}`, t.exit_time, t.exit_price,
      { symbol, size: 8, color: c[color], line: { width: 2, color: c[color] } },
      (i) => `exit ${i + 1}: ${reason}, ${showTime(t.exit_time[i])}<br>net ${money(t.net[i])}`);
  }).filter((trace) => trace.x.length);
}

// What the chosen trade risked and what it was after.
function boxes(c, t, i) {
  const box = (level, color) => ({
    type: "rect", layer: "below", x0: t.entry_time[i], x1: t.exit_time[i], y0: t.entry_price[i], y1: level,
    fillcolor: color, opacity: 0.13, line: { width: 0 },
  });
  return [[t.stop[i], c.loss], [t.take[i], c.gain]]
    .filter(([level]) => Number.isFinite(level)).map(([level, color]) => box(level, color));
}

function priceRange(bars, t, seen) {
  let low = Infinity, high = -Infinity;
  const widen = (x) => { if (Number.isFinite(x)) { low = Math.min(low, x); high = Math.max(high, x); } };
  bars.low.forEach(widen);
  bars.high.forEach(widen);
  for (const i of seen) [t.stop[i], t.take[i], t.entry_price[i], t.exit_price[i]].forEach(widen);
  if (low > high) return undefined; // nothing there: a gap in the data
  const room = (high - low) * 0.04 || high * 0.001;
  return [low - room, high + room];
}
