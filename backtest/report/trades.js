"use strict";

const ROW_HEIGHT = 29;
// More rows than this are made only while in sight; fewer can be searched and printed.
const ALL_ROWS = 500;

function columnsOf(data) {
  const t = data.trades, money = format(2), share = format(2), r = format(2), whole = format(0);
  const price = format(Math.max(2, ...data.charts.map((chart) => chart.levels[0].decimals)));
  const percent = (x) => `${share(x * 100)}%`;
  const sign = (i) => (t.net[i] > 0 ? "gain" : t.net[i] < 0 ? "loss" : "");
  const held = t.exit_time.map((end, i) => end - t.entry_time[i]);
  const column = (label, values, show, more = {}) => ({ label, key: (i) => values[i], show: (i) => show(values[i]), ...more });
  const columns = [
    { label: "#", key: (i) => i, show: (i) => whole(i + 1) },
    { label: "side", key: (i) => t.side[i], show: (i) => (t.side[i] > 0 ? "long" : "short"),
      style: (i) => `text ${t.side[i] > 0 ? "long" : "short"}`, text: true },
    column("entry", t.entry_time, showTime),
    column("exit", t.exit_time, showTime),
    column("held", held, showSpan),
    column("reason", t.reason, (at) => data.reasons[at], { text: true, style: () => "text" }),
    column("entry price", t.entry_price, price),
    column("exit price", t.exit_price, price),
    column("qty", t.qty, showQuantity),
    column("fees", t.fees, money),
    column("funding", t.funding, money),
    column("net", t.net, money, { style: sign }),
    column("R", t.r, r, { style: sign }),
    column("MAE", t.mae, percent),
    column("MFE", t.mfe, percent),
    column("MAE R", t.mae_r, r),
    column("MFE R", t.mfe_r, r),
  ];
  if (data.symbols.length > 1) {
    columns.splice(1, 0, column("symbol", t.symbol, (at) => data.symbols[at], { text: true, style: () => "text" }));
  }
  return columns;
}

const showQuantity = (x) => String(Number(x.toPrecision(10)));

function showSpan(ms) {
  if (ms < 60000) return `${format(1)(ms / 1000)} s`;
  const minutes = Math.round(ms / 60000), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (days) return `${days} d ${hours % 24} h`;
  return hours ? `${hours} h ${pad(minutes % 60)}` : `${minutes} min`;
}

// Choices above the list: each says of a trade whether it stays.
function makeFilters(box, data, changed) {
  const t = data.trades, found = document.createElement("span");
  const inUse = (values, names) => names.map((name, at) => [name, (i) => values[i] === at]).filter(([, test]) => values.some((_, i) => test(i)));
  const kinds = [
    ["symbols", inUse(t.symbol, data.symbols)],
    ["sides", [["long", (i) => t.side[i] > 0], ["short", (i) => t.side[i] < 0]]],
    ["exits", inUse(t.reason, data.reasons)],
    ["results", [["won", (i) => t.net[i] > 0], ["lost", (i) => t.net[i] < 0]]],
  ].filter(([, choices]) => choices.length > 1);
  const selects = kinds.map(([name, choices]) => {
    const select = document.createElement("select");
    select.setAttribute("aria-label", name);
    select.append(new Option(`all ${name}`, ""), ...choices.map(([label], at) => new Option(label, at)));
    select.addEventListener("change", apply);
    return select;
  });
  function apply() {
    const tests = kinds.flatMap(([, choices], at) => (selects[at].value === "" ? [] : [choices[selects[at].value][1]]));
    const { n, net } = changed((i) => tests.every((test) => test(i)));
    found.textContent = tests.length ? `${format(0)(n)} of ${format(0)(t.n)}, net ${format(2)(net)}` : "";
  }
  found.id = "found";
  found.setAttribute("role", "status");
  box.hidden = !t.n;
  box.append(found, ...selects);
}

// A sortable list; rows out of sight are only room, so a hundred thousand trades scroll as well.
function makeList(box, data, pick) {
  const columns = columnsOf(data), total = data.trades.n;
  const every = Int32Array.from({ length: total }, (_, i) => i);
  let order = every.slice(), n = total;
  let sorted = 0, rising = true, picked = null, from = -1;
  const table = document.createElement("table"), body = document.createElement("tbody");
  table.append(document.createElement("thead"), body);
  box.append(table);

  const heads = columns.map((column, at) => {
    const th = document.createElement("th"), button = document.createElement("button");
    th.scope = "col";
    button.type = "button";
    button.textContent = column.label;
    if (column.text) th.className = "text";
    button.addEventListener("click", () => {
      rising = sorted === at ? !rising : at === 0;
      sorted = at;
      sort();
    });
    th.append(button);
    return th;
  });
  const top = document.createElement("tr");
  top.append(...heads);
  table.tHead.append(top);

  function sort() {
    const { key } = columns[sorted], sign = rising ? 1 : -1;
    // A value that is not there comes last, whichever way.
    const rank = (x) => (Number.isFinite(x) ? sign * x : Infinity);
    order.sort((a, b) => {
      const left = rank(key(a)), right = rank(key(b));
      return left < right ? -1 : left > right ? 1 : a - b;
    });
    heads.forEach((th, at) => th.removeAttribute("aria-sort"));
    heads[sorted].setAttribute("aria-sort", rising ? "ascending" : "descending");
    from = -1;
    draw();
  }

  function row(i) {
    const tr = document.createElement("tr");
    tr.dataset.trade = i;
    tr.tabIndex = -1;
    if (i === picked) tr.className = "picked";
    for (const column of columns) {
      const td = document.createElement("td");
      td.textContent = column.show(i);
      td.className = column.style?.(i) ?? "";
      tr.append(td);
    }
    return tr;
  }

  function room(rows) {
    const tr = document.createElement("tr"), td = document.createElement("td");
    tr.className = "pad";
    tr.style.height = td.style.height = `${rows * ROW_HEIGHT}px`;
    td.colSpan = columns.length;
    tr.append(td);
    return tr;
  }

  function draw() {
    const all = n <= ALL_ROWS, seen = all ? n : Math.ceil(box.clientHeight / ROW_HEIGHT);
    const first = all ? 0 : Math.max(0, Math.min(n - seen, Math.floor(box.scrollTop / ROW_HEIGHT)));
    const start = all ? 0 : Math.max(0, first - (first % 20) - 20), end = Math.min(n, start + seen + 60);
    if (start === from) return;
    from = start;
    const rows = Array.from(order.subarray(start, end), row);
    body.replaceChildren(room(start), ...rows, room(n - end));
  }

  function show(i) {
    picked = i;
    const at = order.indexOf(i), above = at * ROW_HEIGHT;
    if (at >= 0 && (above < box.scrollTop || above > box.scrollTop + box.clientHeight - 3 * ROW_HEIGHT)) {
      box.scrollTop = above - box.clientHeight / 2;
    }
    from = -1;
    draw();
  }

  function filter(test) {
    order = every.filter(test);
    n = order.length;
    box.scrollTop = 0;
    sort();
    return { n, net: order.reduce((sum, i) => sum + data.trades.net[i], 0) };
  }

  box.addEventListener("scroll", draw);
  body.addEventListener("click", (event) => {
    const tr = event.target.closest("tr[data-trade]");
    if (tr) pick(Number(tr.dataset.trade), true);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const now = order.indexOf(picked), at = now < 0 ? 0 : now + step;
    if (at >= 0 && at < n) pick(order[at], false);
  });
  if (total === 0) {
    box.textContent = "No trades.";
    box.classList.add("gone");
  } else {
    sort();
  }
  function next(i, step) {
    const at = order.indexOf(i);
    if (n === 0) return null;
    return order[at < 0 ? (step > 0 ? 0 : n - 1) : (at + step + n) % n];
  }

  return { show, filter, next };
}
