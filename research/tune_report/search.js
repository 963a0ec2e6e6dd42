"use strict";

// From the lowest to the highest value; told apart on light and on dark ground.
const LOW_TO_HIGH = [[0, "#4a3a78"], [0.5, "#2f8f8b"], [1, "#f0d354"]];
// Marks of trials that do not count.
const STATES = {
  complete: ["circle", "long", 5], pruned: ["triangle-down-open", "soft", 6],
  infeasible: ["x-thin-open", "short", 6], failed: ["cross-thin-open", "loss", 7],
};
// Lines over all params are drawn in so many colours.
const CLASSES = 5;
const LEGEND = { orientation: "h", x: 0, y: 1.01, yanchor: "bottom" };

const plain = (x) => (x === null ? "none" : String(Number(x.toPrecision(6))));

const legendOf = (c) => ({ ...LEGEND, font: { color: c.soft, size: 11 } });

function star(c, x, y, words) {
  return {
    type: "scatter", mode: "markers", name: "winner", x: [x], y: [y], hoverinfo: "text", text: [words],
    marker: { symbol: "star", size: 13, color: c.short, line: { color: c.card, width: 1 } },
  };
}

// An axis over orders of magnitude, with few round marks.
function logAxis(ends) {
  const marks = [];
  for (let ten = 10 ** Math.floor(Math.log10(ends[0])); ten <= ends[1]; ten *= 10) marks.push(ten, 2 * ten, 5 * ten);
  const inside = marks.filter((x) => x >= ends[0] * 0.999 && x <= ends[1] * 1.001), every = Math.ceil(inside.length / 6);
  const shown = inside.filter((_, i) => i % every === 0);
  return { type: "log", tickvals: shown, ticktext: shown.map(plain) };
}

// An axis of values that starts where hardly a trial lies below.
function valueAxis(its, low, values) {
  const known = values.filter((y) => y !== null), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low === null || !(high > low)) return {};
  return { range: [low, high + 0.06 * (high - low)], tickformat: its.unit === "share" ? ".0%" : undefined };
}

function drawHistory(data) {
  const c = colors(), { history, objectives: [its], low, winner } = data, write = writer(its.unit);
  const high = history.value.reduce((most, y) => Math.max(most, y ?? most), low ?? 0);
  const traces = Object.entries(STATES).map(([state, [symbol, color, size]], at) => {
    const floor = (low ?? 0) + (0.02 + 0.03 * at) * (high - (low ?? 0));
    const seen = history.trial.map((_, i) => i).filter((i) => history.state[i] === state);
    const value = (i) => history.value[i];
    return {
      type: "scatter", mode: "markers", name: state, x: seen.map((i) => history.trial[i]),
      y: seen.map((i) => Math.max(value(i) ?? floor, low ?? floor)), hoverinfo: "text",
      text: seen.map((i) => `trial ${history.trial[i]}, ${state}<br>${its.label} ${value(i) === null ? "none" : write(value(i))}`),
      marker: { symbol, size, color: c[color], opacity: state === "complete" ? 0.5 : 0.8, line: { width: 1, color: c[color] } },
    };
  }).filter((trace) => trace.x.length);
  const [x, y] = history.best;
  if (x.length) {
    traces.push({
      type: "scatter", mode: "lines", name: "best so far", x: [...x, history.last], y: [...y, y.at(-1)],
      line: { color: c.gain, width: 2, shape: "hv" }, hovertemplate: `best so far %{y:.4g}<extra></extra>`,
    });
  }
  if (winner && winner.value !== null) traces.push(star(c, winner.trial, winner.value, `winner: trial ${winner.trial}<br>${its.label} ${write(winner.value)}`));
  const layout = studyLayout(c, { name: "trial" }, { name: its.label }, { showlegend: true, legend: legendOf(c), margin: { l: 56, r: 14, t: 30, b: 44 } });
  Object.assign(layout.yaxis, valueAxis(its, low, history.value));
  Plotly.react($("history-chart"), traces, layout, CONFIG);
}

function drawImportance(data) {
  const div = $("importance-chart");
  if (!div) return;
  const c = colors(), names = Object.keys(data.importance), share = Object.values(data.importance);
  div.style.height = `${Math.max(120, 60 + 26 * names.length)}px`;
  const layout = studyLayout(c, { name: "share", ticks: ".0%" }, { name: "" }, { margin: { l: 20, r: 20, t: 8, b: 44 } });
  Object.assign(layout.yaxis, { type: "category", automargin: true, nticks: names.length + 1, showgrid: false });
  Object.assign(layout.xaxis, { rangemode: "tozero" });
  Plotly.react(div, [{
    type: "bar", orientation: "h", x: share, y: names, marker: { color: c.long }, hovertemplate: "%{y}: %{x:.1%}<extra></extra>",
  }], layout, CONFIG);
}

function drawSlices(data) {
  const c = colors(), { objectives: [its], winner, low } = data, write = writer(its.unit);
  data.slices.forEach((slice, at) => {
    const layout = studyLayout(c, { name: "" }, { name: its.label }, { margin: { l: 52, r: 10, t: 8, b: 30 } });
    if (slice.choices.length) Object.assign(layout.xaxis, { tickvals: slice.choices });
    if (slice.log) Object.assign(layout.xaxis, logAxis(slice.ends));
    Object.assign(layout.yaxis, valueAxis(its, low, slice.y));
    const traces = [{
      type: "scatter", mode: "markers", x: slice.x, y: slice.y, hoverinfo: "text",
      text: slice.x.map((x, i) => `${slice.name} ${plain(x)}<br>${its.label} ${write(slice.y[i])}<br>trial ${slice.trial[i]}`),
      marker: { size: 5, opacity: 0.65, color: slice.trial, colorscale: [[0, c.line], [0.4, c.soft], [1, c.long]] },
    }];
    if (winner) traces.push(star(c, winner.params[slice.name], winner.value, `winner: ${slice.name} ${plain(winner.params[slice.name])}`));
    Plotly.react($(`slice-${at}`), traces, layout, CONFIG);
  });
}

function drawPairs(data) {
  const c = colors(), { objectives: [its], winner } = data, write = writer(its.unit);
  data.pairs.forEach((pair, at) => {
    const known = pair.z.flat().filter((z) => z !== null), zmin = quantile(known, 0.1), zmax = quantile(known, 1);
    const ticks = Array.from({ length: 4 }, (_, i) => zmin + i * (zmax - zmin) / 3);
    const layout = studyLayout(c, { name: pair.x }, { name: pair.y }, { margin: { l: 56, r: 8, t: 10, b: 44 } });
    pair.log.forEach((log, i) => {
      const at = i ? pair.ys : pair.xs;
      if (log) Object.assign(layout[i ? "yaxis" : "xaxis"], logAxis([at[0], at.at(-1)]));
    });
    const traces = [
      {
        type: "contour", x: pair.xs, y: pair.ys, z: pair.z, zmin, zmax: zmax > zmin ? zmax : zmin + 1, colorscale: LOW_TO_HIGH,
        connectgaps: false, ncontours: 12, line: { width: 0.5, color: c.card },
        customdata: pair.z.map((line) => line.map((z) => (z === null ? "" : write(z)))),
        hovertemplate: `${pair.x} %{x:.4g}<br>${pair.y} %{y:.4g}<br>${its.label} %{customdata}<extra></extra>`,
        colorbar: { thickness: 8, outlinewidth: 0, tickvals: ticks, ticktext: ticks.map(write), tickfont: { color: c.soft, size: 10 } },
      },
      { type: "scatter", mode: "markers", x: pair.cloud[0], y: pair.cloud[1], hoverinfo: "skip", marker: { size: 3, color: "#fff", opacity: 0.55, line: { width: 0.5, color: "#222" } } },
    ];
    if (winner) traces.push(star(c, winner.params[pair.x], winner.params[pair.y], "winner"));
    Plotly.react($(`pair-${at}`), traces, layout, CONFIG);
  });
}

function drawLines(data) {
  const div = $("lines-chart");
  if (!div) return;
  const c = colors(), { lines, objectives: [its] } = data, write = writer(its.unit);
  const names = [...lines.names, its.label], n = lines.value.length;
  const low = quantile(lines.value, 0.05), high = quantile(lines.value, 1);
  const height = (y) => Math.max(0, (y - low) / (high - low || 1));
  const traces = Array.from({ length: CLASSES }, (_, k) => {
    const trace = { type: "scatter", mode: "lines", x: [], y: [], hoverinfo: "skip" };
    for (let i = Math.floor(k * n / CLASSES); i < Math.floor((k + 1) * n / CLASSES); i++) {
      trace.x.push(...names.keys(), null);
      trace.y.push(...lines.places[i], height(lines.value[i]), null);
    }
    const best = k === CLASSES - 1;
    return { ...trace, opacity: best ? 0.75 : 0.14 + 0.1 * k, line: { color: best ? c.long : c.soft, width: best ? 1.5 : 1 } };
  });
  const ends = [...lines.ends.map((two) => two.map(plain)), [write(low), write(high)]];
  const note = (x, y, text, yanchor) => ({ x, y, text, showarrow: false, yanchor, xanchor: "center", font: { color: c.soft, size: 10 } });
  const layout = studyLayout(c, { name: "" }, { name: "" }, {
    margin: { l: 24, r: 24, t: 12, b: 60 },
    annotations: ends.flatMap(([a, b], x) => [note(x, -0.02, a, "top"), note(x, 1.02, b, "bottom")]),
  });
  Object.assign(layout.xaxis, { tickvals: [...names.keys()], ticktext: names, showgrid: true, range: [-0.3, names.length - 0.7], nticks: 0 });
  Object.assign(layout.yaxis, { visible: false, range: [-0.1, 1.1] });
  Plotly.react(div, traces, layout, CONFIG);
}

function drawFronts(data) {
  if (!data.front) return;
  const c = colors(), [first, ...others] = data.objectives;
  others.forEach((other, at) => {
    const [a, b] = [first, other].map((one) => writer(one.unit));
    const cloud = ({ trial, values }, name, marker) => ({
      type: "scatter", mode: "markers", name, x: values[0], y: values[at + 1], marker, hoverinfo: "text",
      text: trial.map((number, i) => `trial ${number}<br>${first.label} ${a(values[0][i])}<br>${other.label} ${b(values[at + 1][i])}`),
    });
    const layout = studyLayout(c, { name: first.label, ticks: first.unit === "share" ? ".0%" : undefined },
      { name: other.label, ticks: other.unit === "share" ? ".0%" : undefined },
      { showlegend: true, legend: legendOf(c), margin: { l: 56, r: 14, t: 30, b: 44 } });
    Plotly.react($(`front-${at}`), [
      cloud(data.front.behind, "other trials", { size: 5, color: c.soft, opacity: 0.4 }),
      cloud(data.front.on, "on the front", { size: 8, color: c.long, line: { width: 1, color: c.card } }),
    ], layout, CONFIG);
  });
}
