const $ = (id) => document.getElementById(id);
// Columns and rows: with more of them numbers would not fit into their cells.
const MOST_ACROSS = 8, MOST_UP = 16;
// A few far values must not take the colours from all others: this share lies inside the scale.
const INSIDE = 0.95;

// One scale for all maps of a figure, or their colours could not be compared.
function scaleOf(data, its, values) {
  const known = values.flat(2).filter((x) => x !== null), c = data.colors;
  const ordered = (colors) => its.sign > 0 ? colors : colors.reverse();
  if (its.turn !== null) {
    const reach = quantile(known.map((x) => Math.abs(x - its.turn)), INSIDE) || 1;
    const [a, b, d] = ordered([c.loss, c.even, c.gain]);
    return { zmin: its.turn - reach, zmax: its.turn + reach, colorscale: [[0, a], [0.5, b], [1, d]] };
  }
  const [low, high] = [1 - INSIDE, INSIDE].map((share) => quantile(known, share));
  const [a, b] = ordered([c.faint, c.strong]);
  return { zmin: low, zmax: high > low ? high : low + 1, colorscale: [[0, a], [1, b]] };
}

function hover(map, cells, its, write) {
  return cells.median.map((line, i) => line.map((median, j) => {
    const where = `${map.y} ${map.y_labels[i]}<br>${map.x} ${map.x_labels[j]}`;
    if (median === null) return `${where}<br>no value`;
    return `${where}<br>${its.label}: median ${write(median)}, best ${write(cells.best[i][j])}` +
      `<br>${format(0)(cells.n[i][j])} with a value`;
  }));
}

function drawMap(div, data, map, key, statistic, scale) {
  const c = colors(), its = data.figures[key], cells = map.cells[key], z = cells[statistic];
  const write = writer(its.unit), none = z.map((line) => line.map((x) => x === null ? 1 : null));
  const place = { type: "heatmap", x: map.x_labels, y: map.y_labels, xgap: 1, ygap: 1, customdata: hover(map, cells, its, write) };
  const written = map.x_labels.length <= MOST_ACROSS && map.y_labels.length <= MOST_UP;
  const ticks = Array.from({ length: 5 }, (_, i) => scale.zmin + i * (scale.zmax - scale.zmin) / 4);
  const traces = [
    {
      ...place, ...scale, z, hovertemplate: "%{customdata}<extra></extra>",
      text: z.map((line) => line.map((x) => x === null ? "" : write(x))),
      texttemplate: written ? "%{text}" : "", textfont: { size: 11 },
      colorbar: { thickness: 10, outlinewidth: 0, tickvals: ticks, ticktext: ticks.map(write), tickfont: { color: c.soft, size: 11 } },
    },
    {
      ...place, z: none, colorscale: [[0, data.colors.none], [1, data.colors.none]], showscale: false,
      hovertemplate: "%{customdata}<extra></extra>", text: none.map((line) => line.map((x) => x === null ? "" : "×")),
      texttemplate: written ? "%{text}" : "", textfont: { size: 11, color: "#5c6268" },
    },
  ];
  const named = (name) => axis(c, { type: "category", title: { text: name, font: { size: 12, color: c.ink } }, automargin: true, showgrid: false });
  Plotly.react(div, traces, layoutOf(c, {
    margin: { l: 50, r: 10, t: 12, b: 60 }, xaxis: named(map.x), yaxis: named(map.y), dragmode: false,
  }), CONFIG);
}

function start() {
  const data = JSON.parse($("data").textContent), figure = $("figure"), statistic = $("statistic");
  for (const [key, its] of Object.entries(data.figures)) figure.append(new Option(its.label, key));
  figure.value = data.objective;
  const charts = data.maps.map((map) => {
    const div = document.createElement("div");
    div.className = "chart";
    div.dataset.map = `${map.x},${map.y}`;
    $("maps").append(div);
    return div;
  });
  function draw() {
    const key = figure.value, values = data.maps.map((map) => map.cells[key][statistic.value]);
    const scale = scaleOf(data, data.figures[key], values);
    data.maps.forEach((map, at) => drawMap(charts[at], data, map, key, statistic.value, scale));
  }
  for (const select of [figure, statistic]) select.addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  document.body.dataset.ready = "yes";
}

start();
