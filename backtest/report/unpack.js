"use strict";

// The other end of series.py: base64 of deflated planes of bytes.
async function unpack(text, Type) {
  const deflated = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = Type.BYTES_PER_ELEMENT, n = planes.length / size;
  const bytes = new Uint8Array(planes.length);
  for (let p = 0; p < size; p++) {
    for (let i = 0; i < n; i++) bytes[i * size + p] = planes[p * n + i];
  }
  return new Type(bytes.buffer);
}

async function readCurve(curve) {
  const both = await unpack(curve.packed, Float64Array), n = both.length / 2;
  return { x: both.subarray(0, n), y: both.subarray(n) };
}

async function readTrades(data) {
  const all = await unpack(data.trades, Float64Array), n = all.length / data.trade_columns.length;
  const trades = { n };
  data.trade_columns.forEach((name, at) => { trades[name] = all.subarray(at * n, at * n + n); });
  return trades;
}

async function readLevel(level) {
  const raw = await unpack(level.packed, Int32Array), n = raw.length / 5, unit = 10 ** level.decimals;
  const [steps, gap, above, below, move] = [0, 1, 2, 3, 4].map((k) => raw.subarray(k * n, k * n + n));
  const made = { n, time: new Float64Array(n) };
  for (const name of ["open", "high", "low", "close"]) made[name] = new Float64Array(n);
  let time = level.first_ms, close = 0;
  for (let i = 0; i < n; i++) {
    time += steps[i] * level.step.ms;
    const open = close + gap[i];
    close = open + move[i];
    made.time[i] = time;
    made.open[i] = open / unit;
    made.high[i] = (Math.max(open, close) + above[i]) / unit;
    made.low[i] = (Math.min(open, close) - below[i]) / unit;
    made.close[i] = close / unit;
  }
  return { ...level, ...made };
}

// First position whose value is not below x.
function lowerBound(values, x) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < x) low = middle + 1; else high = middle;
  }
  return low;
}

// The bars of a span, in the finest timeframe that gives at most `most` of them. They are drawn at
// the middle of their time, so that an open lies at a bar's left edge and a close at its right.
function barsBetween(chart, steps, from, to, most) {
  from = Math.max(from, chart.first_ms);
  to = Math.min(to, chart.end_ms);
  const level = chart.levels.find((l) => !l.windows || l.windows.some(([a, b]) => a <= from && to <= b))
    ?? chart.levels.at(-1);
  const fitting = steps.filter((s) => s.ms >= level.step.ms && s.ms % level.step.ms === 0);
  const step = fitting.find((s) => (to - from) / s.ms <= most) ?? fitting.at(-1);
  const opens = (t) => Math.floor((t - step.offset_ms) / step.ms) * step.ms + step.offset_ms;
  const end = lowerBound(level.time, to);
  const bars = { step, time: [], x: [], open: [], high: [], low: [], close: [] };
  let at = -1;
  for (let i = lowerBound(level.time, opens(from)); i < end; i++) {
    const time = opens(level.time[i]);
    if (at < 0 || bars.time[at] !== time) {
      at++;
      bars.time.push(time);
      bars.x.push(time + step.ms / 2);
      bars.open.push(level.open[i]);
      bars.high.push(level.high[i]);
      bars.low.push(level.low[i]);
      bars.close.push(level.close[i]);
    } else {
      bars.high[at] = Math.max(bars.high[at], level.high[i]);
      bars.low[at] = Math.min(bars.low[at], level.low[i]);
      bars.close[at] = level.close[i];
    }
  }
  return bars;
}
