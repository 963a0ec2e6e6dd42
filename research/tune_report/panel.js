"use strict";

// A level across a chart, or up it.
function level(c, at, color, up = false) {
  const ends = up ? { xref: "x", x0: at, x1: at, yref: "paper", y0: 0, y1: 1 } : { xref: "paper", x0: 0, x1: 1, yref: "y", y0: at, y1: at };
  return { type: "line", ...ends, line: { color: c[color], width: 1.4, dash: "dot" } };
}

function said(c, at, text, color, up = false) {
  const place = up ? { x: at, xref: "x", y: 1, yref: "paper", yanchor: "top", xanchor: "left" } : { x: 1, xref: "paper", xanchor: "right", y: at, yref: "y", yanchor: "bottom" };
  return { ...place, text, showarrow: false, font: { color: c[color], size: 11 } };
}

const inUnit = (its) => (its.unit === "share" ? ".0%" : undefined);

function drawLogits(panel) {
  const div = $("logits-chart");
  if (!div) return;
  drawHistogram(div, panel.logits, { name: "logit of the rank out of sample; below 0: lower half" }, format(2), "hundredth", true);
}

function drawPlacebo(panel, its) {
  const div = $("placebo-chart");
  if (!div) return;
  const c = colors(), { best, score } = panel.placebo, write = writer(its.unit);
  const layout = studyLayout(c, { name: its.label, ticks: inUnit(its) }, { name: "" }, { margin: { l: 16, r: 16, t: 10, b: 44 }, shapes: [level(c, score, "short", true)], annotations: [said(c, score, " the real search", "short", true)] });
  Object.assign(layout.yaxis, { visible: false, range: [-1, 1] });
  const sorted = [...best].sort((a, b) => a - b);
  Plotly.react(div, [
    // Beside each other, or equal ones would hide each other.
    { type: "scatter", mode: "markers", x: sorted, y: sorted.map((_, i) => 0.5 * Math.sin(i * 2.4)), marker: { size: 9, color: c.long, opacity: 0.7 },
      hoverinfo: "text", text: sorted.map((x) => `shuffled: ${its.label} ${write(x)}`) },
    { type: "scatter", mode: "markers", x: [score], y: [0], marker: { symbol: "star", size: 14, color: c.short }, hoverinfo: "text", text: [`real: ${its.label} ${write(score)}`] },
  ], layout, CONFIG);
}

function drawPlateau(plateau, its) {
  const div = $("plateau-chart");
  if (!div) return;
  const c = colors(), { rank, score, least, winner } = plateau, write = writer(its.unit);
  const layout = studyLayout(c, { name: "neighbour, best first" }, { name: its.label, ticks: inUnit(its) }, {
    shapes: [level(c, least, "loss"), ...(winner === null ? [] : [level(c, winner, "short")])],
    annotations: [said(c, least, "must keep", "loss"), ...(winner === null ? [] : [said(c, winner, "winner", "short")])],
  });
  Plotly.react(div, [{
    type: "bar", x: rank, y: score, marker: { color: score.map((y) => (y >= least ? c.gain : c.loss)), opacity: 0.75 }, hoverinfo: "text",
    textposition: "none", text: score.map((y, i) => `neighbour ${rank[i]}<br>${its.label} ${write(y)}`),
  }], layout, CONFIG);
}

function drawFolds(panel) {
  const div = $("folds-chart");
  if (!div) return;
  const c = colors(), day = (ms) => showTime(ms).slice(0, 10), values = panel.folds.map(([, , sharpe]) => sharpe);
  const layout = studyLayout(c, { name: "from" }, { name: "Sharpe" });
  Object.assign(layout.xaxis, { type: "category" });
  Plotly.react(div, [{
    type: "bar", x: panel.folds.map(([from]) => day(from)), y: values, marker: { color: values.map((y) => (y > 0 ? c.gain : c.loss)) },
    hoverinfo: "text", textposition: "none", text: panel.folds.map(([from, to, y]) => `${day(from)} to ${day(to)}<br>Sharpe ${y === null ? "none" : format(2)(y)}`),
  }], layout, CONFIG);
}

function drawMonteCarlo(panel) {
  const div = $("montecarlo-chart");
  if (!div) return;
  const c = colors(), { levels, shuffled, drawn } = panel.montecarlo;
  const line = (name, y, color) => ({
    type: "scatter", mode: "lines+markers", name, x: levels, y, line: { color, width: 1.6 }, hovertemplate: `${name}: %{y:.1%} at %{x:.0%}<extra></extra>`,
  });
  Plotly.react(div, [line("shuffled", shuffled, c.long), line("drawn in blocks", drawn, c.short)],
    studyLayout(c, { name: "quantile", ticks: ".0%" }, { name: "max drawdown", ticks: ".0%" }, { showlegend: true, legend: legendOf(c), margin: { l: 56, r: 14, t: 30, b: 44 } }), CONFIG);
}

function drawEntries(panel) {
  const div = $("entries-chart");
  if (!div) return;
  const c = colors(), { levels, random, found } = panel.entries;
  Plotly.react(div, [{
    type: "scatter", mode: "lines+markers", x: levels, y: random, line: { color: c.long, width: 1.6 }, hovertemplate: "random: %{y:.1%} at %{x:.0%}<extra></extra>",
  }], studyLayout(c, { name: "quantile", ticks: ".0%" }, { name: "total return", ticks: ".0%" }, { shapes: [level(c, found, "short")], annotations: [said(c, found, "the winner", "short")] }), CONFIG);
}

function drawWindows(walk, curve) {
  const c = colors(), percent = format(1);
  const band = ([x0, x1], at) => ({ type: "rect", layer: "below", xref: "x", yref: "paper", x0, x1, y0: 0, y1: 1, fillcolor: c.soft, opacity: at % 2 ? 0.06 : 0.16, line: { width: 0 } });
  const heights = walk.windows.map(({ end: to }) => {
    const at = Math.min(lowerBound(curve.x, to), curve.x.length - 1);
    return [curve.x[at], curve.y[at]];
  });
  const layout = studyLayout(c, { name: "" }, { name: "account" }, { shapes: walk.spans.map(band), margin: { l: 62, r: 14, t: 10, b: 36 } });
  Object.assign(layout.xaxis, { type: "date", hoverformat: "%Y-%m-%d %H:%M" });
  Object.assign(layout.yaxis, { tickformat: "," });
  Plotly.react($("windows-chart"), [
    { type: "scatter", mode: "lines", x: curve.x, y: curve.y, line: { color: c.long, width: 1.4 }, hovertemplate: "account %{y:,.2f}<extra></extra>" },
    { type: "scatter", mode: "markers", x: heights.map(([x]) => x), y: heights.map(([, y]) => y), marker: { size: 7, color: walk.windows.map((one) => (one.total_return > 0 ? c.gain : c.loss)) },
      hoverinfo: "text", text: walk.windows.map((one, i) => `window ${i + 1}: ${percent(one.total_return * 100)}%<br>Sharpe ${one.sharpe === null ? "none" : format(2)(one.sharpe)}`) },
  ], layout, CONFIG);
}

function drawOver(walk) {
  const c = colors();
  Object.entries(walk.params).forEach(([name, values], at) => {
    const layout = studyLayout(c, { name: "window" }, { name: " " }, { margin: { l: 44, r: 10, t: 8, b: 40 } });
    Object.assign(layout.xaxis, { tick0: 1, dtick: Math.ceil(values.length / 8) });
    Plotly.react($(`over-${at}`), [{
      type: "scatter", mode: "lines+markers", x: values.map((_, i) => i + 1), y: values, line: { color: c.long, width: 1.2, shape: "hvh" },
      hoverinfo: "text", text: values.map((y, i) => `window ${i + 1}<br>${name} ${plain(y)}`),
    }], layout, CONFIG);
  });
}
