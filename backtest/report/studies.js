"use strict";

// More marks than this make a cloud that only costs time; then every n-th trade is drawn.
const MARKS_MOST = 3000;

// How often values fall between edges a round step apart, of which 0 is one. Where a few lie so far
// out that they would press all others into one bar, the outermost bars hold what lies beyond.
function histogram(values) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort(), n = sorted.length;
  if (!n) return null;
  let low = sorted[0], high = sorted[n - 1];
  const inner = [sorted[Math.floor(0.01 * (n - 1))], sorted[Math.ceil(0.99 * (n - 1))]];
  const cut = high - low > 2 * (inner[1] - inner[0]) && inner[1] > inner[0];
  if (cut) [low, high] = inner;
  const step = roundUp((high - low || Math.abs(high) || 1) / 32);
  const first = Math.floor(low / step), counts = new Array(Math.floor(high / step) - first + 1).fill(0);
  for (const value of sorted) counts[Math.max(0, Math.min(counts.length - 1, Math.floor(value / step) - first))]++;
  return { step, counts, cut, edges: counts.map((_, i) => (first + i) * step) };
}

function roundUp(x) {
  const ten = 10 ** Math.floor(Math.log10(x));
  return [1, 2, 2.5, 5, 10].map((k) => k * ten).find((k) => k >= x * (1 - 1e-9)) ?? 10 * ten;
}

function drawHistogram(div, values, what, show, one, signed) {
  const c = colors(), found = histogram(values);
  if (!found) return;
  const { step, counts, cut, edges } = found, last = counts.length - 1;
  const color = (edge) => (!signed ? c.long : edge + step / 2 > 0 ? c.gain : c.loss);
  const range = (edge, i) => (cut && i === last ? `${show(edge)} and more` : cut && i === 0 && edge < 0 ? `${show(edge + step)} and less`
    : `${show(edge)} to ${show(edge + step)}`);
  const name = what.name + (cut ? " (outermost bars: all beyond)" : "");
  const trace = {
    type: "bar", x: edges.map((edge) => edge + step / 2), y: counts, width: counts.map(() => step),
    marker: { color: edges.map(color), line: { width: 0.5, color: c.card } }, hoverinfo: "text", textposition: "none",
    text: edges.map((edge, i) => `${range(edge, i)}<br>${format(0)(counts[i])} ${counts[i] === 1 ? one : `${one}s`}`),
  };
  Plotly.react(div, [trace], studyLayout(c, { ...what, name }, `${one}s`, { bargap: 0 }), CONFIG);
}

function studyLayout(c, x, y, more = {}) {
  const title = (text) => ({ text, font: { color: c.soft, size: 11 }, standoff: 6 });
  return layoutOf(c, {
    margin: { l: 52, r: 14, t: 10, b: 44 }, showlegend: false, hovermode: "closest", dragmode: false, uirevision: "same",
    xaxis: axis(c, { title: title(x.name), showgrid: false, tickformat: x.ticks, fixedrange: true, nticks: 7 }),
    yaxis: axis(c, { title: title(y.name ?? y), tickformat: y.ticks, fixedrange: true, nticks: 6, rangemode: y.name ? "normal" : "tozero" }),
    ...more,
  });
}

function drawExcursions(div, data) {
  const c = colors(), t = data.trades, two = format(2), every = Math.ceil(t.n / MARKS_MOST);
  const seen = Array.from({ length: Math.ceil(t.n / every) }, (_, k) => k * every);
  const trace = (chosen, name, color) => ({
    ...marks(chosen, name, t.mae_r, t.mfe_r, { color, size: 5, opacity: 0.55 },
      (i) => `${name} ${i + 1}<br>MAE ${two(t.mae_r[i])} R, MFE ${two(t.mfe_r[i])} R<br>net ${two(t.r[i])} R`),
  });
  const traces = [
    trace(seen.filter((i) => !(t.net[i] > 0)), "lost", c.loss), trace(seen.filter((i) => t.net[i] > 0), "won", c.gain),
  ];
  const legend = { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { color: c.soft, size: 11 } };
  const axes = [{ name: "MAE, R" }, { name: "MFE, R" }];
  Plotly.react(div, traces, { ...studyLayout(c, ...axes), margin: { l: 52, r: 14, t: 26, b: 44 }, showlegend: true, legend }, CONFIG);
}

function holdingUnit(longest) {
  if (longest < 3 * 3600e3) return ["minutes", 60e3];
  return longest < 72 * 3600e3 ? ["hours", 3600e3] : ["days", 86400e3];
}

function drawStudies(data) {
  const t = data.trades, two = format(2), percent = (x) => `${two(x * 100)}%`;
  const moved = data.days.y.filter((x) => x !== 0), flat = data.days.y.length - moved.length;
  $("flat").textContent = flat ? `, without ${format(0)(flat)} at 0` : "";
  drawHistogram($("daily"), moved, { name: "return of a day", ticks: ".1%" }, percent, "day", true);
  if (t.n) {
    drawHistogram($("study-r"), t.r, { name: "net, R" }, two, "trade", true);
    drawHistogram($("study-net"), t.net, { name: "net" }, two, "trade", true);
    const held = t.exit_time.map((end, i) => end - t.entry_time[i]);
    const [unit, ms] = holdingUnit(held.reduce((most, x) => Math.max(most, x), 0));
    drawHistogram($("study-held"), held.map((x) => x / ms), { name: unit }, format(1), "trade", false);
    drawExcursions($("study-excursions"), data);
  }
  drawRolling($("rolling"), data);
}

function drawRolling(div, data) {
  const c = colors(), { sharpe, volatility } = data.rolling;
  const line = (curve, color, words, more) => ({
    type: "scatter", mode: "lines", x: curve.x, y: curve.y, line: { color, width: 1.4 }, hovertemplate: words, ...more,
  });
  const title = (text) => ({ text, font: { color: c.soft, size: 11 }, standoff: 6 });
  const layout = layoutOf(c, {
    margin: { l: 62, r: 16, t: 10, b: 44 }, showlegend: false, hovermode: "x", dragmode: false, uirevision: "same",
    xaxis: axis(c, { type: "date", anchor: "y2", showgrid: false, fixedrange: true, hoverformat: "%Y-%m-%d" }),
    yaxis: axis(c, { domain: [0.4, 1], title: title("Sharpe"), fixedrange: true, nticks: 6 }),
    yaxis2: axis(c, { domain: [0, 0.32], title: title("volatility"), tickformat: ".0%", rangemode: "tozero", fixedrange: true, nticks: 4 }),
  });
  Plotly.react(div, [
    line(sharpe, c.long, "Sharpe %{y:.2f}<extra></extra>"),
    line(volatility, c.short, "volatility %{y:.1%}<extra></extra>", { yaxis: "y2" }),
  ], layout, CONFIG);
}
