"""Strategies that hold what they must, and must not be troubled."""

from tests.strategy.planted import ALL_RULES

CLEAN = {
    "values of before": """
def x_of(c, p):
    change = c.close - previous(c.close, 3)
    return previous(c.high, p.length) + where(change > 0, change, 0.0)
""",
    "by value": """
def x_of(c, p):
    spread = sqrt((c.high - c.low) * (c.high - c.low))
    return maximum(minimum(c.close, c.open), c.close - 2 * spread) + abs(c.close - c.open)
""",
    "many timeframes": """
def x_of(c, p):
    m5, h1, d1 = c.resample("5m"), c.resample("1h"), c.resample("1d")
    fast, slow = m5.align(ema(m5.close, 4)), h1.align(sma(h1.close, 3))
    return where(fast > slow, d1.align(d1.high), d1.align(d1.low))
""",
    "volume and a branch on params": """
def x_of(c, p):
    flow = c.taker_buy / c.volume if p.length > 10 else c.volume
    return c.close * (0.99 + 0.02 * sma(flow, p.length))
""",
    "an own kernel with memory": """
@numba.njit
def decay(x, length, state):
    out = np.empty(len(x))
    for i in range(len(x)):
        state[1] = x[i] if state[0] == 0.0 else state[1] + (x[i] - state[1]) / length
        state[0] = 1.0
        out[i] = state[1]
    return out


def x_of(c, p):
    return stateful("decay", "1m", decay, [c.close], (p.length,), 2)[0]
""",
    "oscillators": """
def x_of(c, p):
    m15 = c.resample("15m")
    turn = m15.align(macd(m15.close, 3, 6, 2).histogram)
    return rsi(c.close, p.length) * 500 + turn + atr(c.high, c.low, c.close, 5)
""",
    "averages": """
def indicators(c, p):
    kinds = [f(c.close, p.length) for f in (sma, ema, wilder, wma, dema, hull)]
    lines = macd(c.close)
    return Row(x=sum(kinds[1:], kinds[0]) / 6.0 + lines.signal - lines.histogram, mean=kinds[0])
""",
    "momentum and trend": """
def indicators(c, p):
    k, of_rsi = stochastic(c.high, c.low, c.close), stoch_rsi(c.close)
    move, turn = adx(c.high, c.low, c.close, p.length), aroon(c.high, c.low)
    flow = k.k - k.d + of_rsi.k - of_rsi.d + move[0] - move[1] + turn[0] - turn[1]
    more = cci(c.high, c.low, c.close) + roc(c.close) + linear_regression_slope(c.close)
    return Row(x=flow + more, mean=zscore(c.close, p.length))
""",
    "bands and stops that trail": """
def indicators(c, p):
    b, k = bollinger(c.close, p.length), keltner(c.high, c.low, c.close)
    d, s = donchian(previous(c.high), previous(c.low), 20), supertrend(c.high, c.low, c.close)
    sar = parabolic_sar(c.high, c.low)
    inner = minimum(b.upper, k.upper) - maximum(b.lower, k.lower)
    return Row(x=s[0] + sar - d.middle + inner, mean=c.close)
""",
    "rolling figures": """
def indicators(c, p):
    x, n = c.close, p.length
    spread = rolling_max(x, n) - rolling_min(x, n) + rolling_std(x, n)
    place = rolling_rank(x, n) + rolling_percentile(x, n, 25.0) - rolling_sum(x, n) / n
    noise = realized_volatility(x) + true_range(c.high, c.low, c.close)
    return Row(x=spread + place + noise, mean=0.001 * x)
""",
    "volume fields": """
def indicators(c, p):
    h1 = c.resample("1h")
    flow = obv(c.close, c.volume) + mfi(c.high, c.low, c.close, c.volume)
    paid = h1.align(h1.quote_volume / h1.volume) + h1.align(h1.taker_buy) / h1.align(h1.trades)
    price = rolling_vwap(c.high, c.low, c.close, c.volume, p.length)
    return Row(x=paid + 0.001 * flow, mean=price + 0.0 * c.trades)
""",
    "events": """
def indicators(c, p):
    up = crossed_above(c.close, sma(c.close, p.length))
    since = bars_since(up > 0) - bars_since(crossed_below(c.close, c.open) > 0)
    return Row(x=value_when(up > 0, c.low) + since, mean=c.close)
""",
    "sessions": """
def indicators(c, p):
    m5 = c.resample("5m")
    day = session_high(c) - session_low(c)
    mean = 0.5 * sma(c.close, p.length) + 0.5 * m5.align(session_high(m5, "1w"))
    return Row(x=session_vwap(c, "8h") + day, mean=mean)
""",
    "months and weeks": """
def indicators(c, p):
    month, week = c.resample("1M"), c.resample("1w")
    return Row(x=where(c.close > month.align(month.high), c.close, week.align(week.low)),
               mean=sma(c.close, p.length))
""",
    "every second timeframe": """
def indicators(c, p):
    frames = [c.resample(name) for name in ("3m", "10m", "30m", "2h", "6h", "12h")]
    means = [one.align(ema(one.close, 3)) for one in frames]
    return Row(x=sum(means[1:], means[0]) / 6.0, mean=sma(c.close, p.length))
""",
    "averages of averages over timeframes": """
def indicators(c, p):
    m15 = c.resample("15m")
    slow = m15.align(ema(rolling_max(m15.high, 4) - rolling_min(m15.low, 4), p.length))
    return Row(x=c.close + ema(slow, 9), mean=sma(c.close, p.length) + slow)
""",
    "a module that counts for itself": """
CALLS = [0]


def indicators(c, p):
    CALLS[0] += 1
    return Row(x=c.close, mean=sma(c.close, p.length))
""",
    "lengths that hang on params": """
LENGTHS = {20: (5, 34), 30: (8, 55)}


def indicators(c, p):
    fast, slow = LENGTHS.get(p.length, (3, p.length))
    parts = [ema(c.close, n) for n in range(fast, slow, 7)]
    return Row(x=parts[0], mean=parts[-1])
""",
    "no volume, no range": """
def indicators(c, p):
    flat = where(c.volume > 0, (c.close - c.low) / (c.high - c.low), 0.5)
    return Row(x=c.open * (0.995 + 0.01 * sma(flat, p.length)), mean=c.open)
""",
    "every rule": ALL_RULES,
}
