"use strict";

const $ = (id) => document.getElementById(id);
const PAPER = "700px"; // A4 upright, between its margins

async function start() {
  const data = JSON.parse($("data").textContent);
  data.trades = await readTrades(data);
  const { equity: kept, drawdown, hold } = data;
  data.curves = { equity: await readCurve(kept), drawdown: await readCurve(drawdown), hold: hold && await readCurve(hold) };
  data.days = await readCurve(data.days);
  data.rolling = { sharpe: await readCurve(data.rolling_sharpe), volatility: await readCurve(data.rolling_volatility) };
  for (const chart of data.charts) chart.levels = await Promise.all(chart.levels.map(readLevel));

  const list = makeList($("trades"), data, pick), candles = $("candles"), equity = $("equity");
  const view = { symbol: 0, trade: null, from: 0, to: 0, most: undefined };

  function draw() {
    if (!data.charts.length) return;
    const shown = drawCandles(candles, data, view);
    const count = new Intl.NumberFormat("en-US").format;
    $("shown").textContent = `${count(shown.bars)} ${shown.timeframe} bars, ${count(shown.trades)} ` +
      (shown.trades === 1 ? "trade" : shown.marked ? "trades" : "trades: zoom in to see them");
    for (const id of ["entry", "exit"]) $(id).hidden = view.trade === null;
    Object.assign(candles.dataset, { timeframe: shown.timeframe, bars: shown.bars, from: view.from, to: view.to });
  }

  function whole() {
    const chart = data.charts[view.symbol];
    view.trade = null;
    if (chart) look(chart.first_ms, chart.end_ms);
    $("trade").hidden = true;
    list.show(null);
    drawEquity(equity, data, null);
  }

  function look(from, to, most) {
    Object.assign(view, { from, to, most });
    draw();
  }

  function pick(i, scroll) {
    if (i === null) return; // the filter leaves no trade
    const t = data.trades;
    view.trade = i;
    view.symbol = t.symbol[i];
    $("symbol").value = view.symbol;
    look(t.view_from[i], t.view_to[i], data.view_bars);
    describe(data, i);
    list.show(i);
    drawEquity(equity, data, [t.entry_time[i], t.exit_time[i]]);
    if (scroll) $("chart").scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  data.symbols.forEach((name, at) => $("symbol").append(new Option(name, at)));
  $("symbol").hidden = data.symbols.length < 2 || !data.charts.length;
  $("symbol").addEventListener("change", () => { view.symbol = Number($("symbol").value); whole(); });
  $("whole").addEventListener("click", whole);
  $("whole").hidden = !data.charts.length;
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    $(id).hidden = !data.trades.n;
    $(id).addEventListener("click", () => pick(list.next(view.trade, step), false));
  }
  for (const id of ["entry", "exit"]) {
    const room = data.view_room * data.timeframe_ms;
    $(id).hidden = true;
    $(id).addEventListener("click", () => {
      const at = data.trades[`${id}_time`][view.trade];
      look(at - room, at + room);
    });
  }

  makeFilters($("filters"), data, list.filter);
  whole();
  drawStudies(data);
  if (data.more) drawMore(data);
  if (data.trades.n) $("study-excursions").on("plotly_click", ({ points }) => pick(points[0].customdata, true));
  if (data.charts.length) listen(candles, data, view, look, pick, whole);
  equity.on("plotly_doubleclick", () => Plotly.relayout(equity, { "xaxis.autorange": true }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    const t = data.trades, i = view.trade;
    draw();
    drawStudies(data);
    if (data.more) drawMore(data);
    drawEquity(equity, data, i === null ? null : [t.entry_time[i], t.exit_time[i]]);
  });
  fitPaper();
  document.body.dataset.ready = "yes";
}

// A chart has the width that it was drawn with: on paper, which is narrower than a window, all that
// lies to the right would be cut off.
function fitPaper() {
  const fit = (width) => {
    document.body.style.width = width;
    for (const div of document.querySelectorAll(".js-plotly-plot")) {
      Plotly.relayout(div, width ? { width: div.clientWidth } : { width: null, autosize: true });
    }
  };
  addEventListener("beforeprint", () => fit(PAPER));
  addEventListener("afterprint", () => fit(""));
}

function listen(candles, data, view, look, pick, whole) {
  candles.on("plotly_relayout", (change) => {
    const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
    const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
    if (from !== undefined) look(toMs(from), toMs(to));
  });
  candles.on("plotly_doubleclick", whole);
  candles.on("plotly_click", ({ points }) => {
    const hit = points.find((point) => point.customdata !== undefined);
    if (hit) pick(hit.customdata, false);
  });
}

// Plotly hands ranges back as text without a zone; they are UTC like everything here.
const toMs = (x) => (typeof x === "number" ? x : Date.parse(`${x.replace(" ", "T")}${x.includes(":") ? "" : "T00:00"}Z`));

function describe(data, i) {
  const t = data.trades, money = format(2), share = (x) => `${format(2)(x * 100)}%`;
  const price = format(Math.max(2, ...data.charts.map((chart) => chart.levels[0].decimals)));
  const side = t.side[i] > 0 ? "long" : "short", total = new Intl.NumberFormat("en-US").format(t.n);
  const facts = [
    ["trade", `${i + 1} of ${total}, ${side} ${data.symbols[t.symbol[i]]}`],
    ["entry", `${showTime(t.entry_time[i])}, ${price(t.entry_price[i])}`],
    ["exit", `${showTime(t.exit_time[i])}, ${price(t.exit_price[i])}`],
    ["reason", data.reasons[t.reason[i]] + (t.ambiguous[i] ? " (take touched in the same candle)" : "")],
    ["stop", price(t.stop[i])], ["take", price(t.take[i])], ["quantity", showQuantity(t.qty[i])],
    ["held", showSpan(t.exit_time[i] - t.entry_time[i])], ["fees", money(t.fees[i])],
    ["funding", money(t.funding[i])],
    ["net", money(t.net[i])], ["R", format(2)(t.r[i])],
    ["MAE", `${share(t.mae[i])}, ${format(2)(t.mae_r[i])} R`], ["MFE", `${share(t.mfe[i])}, ${format(2)(t.mfe_r[i])} R`],
  ];
  $("trade").replaceChildren(...facts.map(([name, value]) => {
    const div = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    div.append(dt, dd);
    return div;
  }));
  $("trade").hidden = false;
}

start().catch((error) => {
  $("trouble").textContent = `The charts could not be drawn: ${error.message}. A browser from 2023 or later is needed.`;
  $("trouble").hidden = false;
  console.error(error);
});
