"""Leaks that look like usual work with arrays: scaling, fitting, joining, smoothing, caching."""

from tests.strategy.planted import BEGINNING, CHUNKS, FUTURE

DISGUISED = {
    "the next row of a rolled array": (
        """
def x_of(c, p):
    return of(np.roll(c.close._values, -1))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "a score against mean and deviation of all": (
        """
def x_of(c, p):
    v = c.close._values
    return of((v - v.mean()) / (v.std() + 1.0))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "a line fitted to all": (
        """
def x_of(c, p):
    v = c.close._values
    t = np.arange(len(v)) - len(v) / 2
    return of(v.mean() + t * (t @ v) / max(t @ t, 1.0))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "labels by sorted order": (
        """
def x_of(c, p):
    v = c.close._values
    return of(v.mean() + np.digitize(v, np.sort(v)[[len(v) // 4, len(v) // 2]]) * 10.0)
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "every fifth close, and lines drawn between": (
        """
def x_of(c, p):
    v, at = c.close._values, np.arange(len(c.close._values))
    return of(np.interp(at, at[::5], v[::5]))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "an average run forth and back": (
        """
@numba.njit
def smooth(x):
    out = x.copy()
    for i in range(1, len(x)):
        out[i] = out[i - 1] + 0.1 * (x[i] - out[i - 1])
    return out


def x_of(c, p):
    return of(smooth(smooth(c.close._values)[::-1].copy())[::-1])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the highest of what is still to come": (
        """
def x_of(c, p):
    return of(np.maximum.accumulate(c.high._values[::-1])[::-1])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "prices adjusted by the last one": (
        """
def x_of(c, p):
    v = c.close._values
    return of(v / v[-1])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the newest value is repainted": (
        """
def x_of(c, p):
    v = c.close._values.copy()
    v[:-1] += 1.0
    return of(v)
""",
        {BEGINNING, CHUNKS},
    ),
    "how many candles are still to come": (
        """
def x_of(c, p):
    return of(np.arange(len(c.close._values))[::-1])
""",
        {BEGINNING, CHUNKS},
    ),
    "how far the time of the last candle is": (
        """
def x_of(c, p):
    t = c._arrays["open_time"]
    return of((t[-1] - t) / MINUTE)
""",
        {BEGINNING, CHUNKS},
    ),
    "the volume of the next candle as a filter": (
        """
def x_of(c, p):
    flow = of(np.append(c.volume._values[1:], 0.0))
    return where(flow > 1.0, c.close, c.close * 0.99)
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the sign of the next move": (
        """
def x_of(c, p):
    v = c.close._values
    return of(np.sign(np.diff(v, append=v[-1])))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the next close, on one candle in ten hours": (
        """
def x_of(c, p):
    v, t = c.close._values.copy(), c._arrays["open_time"]
    at = np.flatnonzero(t[:-1] % (600 * MINUTE) == 123 * MINUTE)
    v[at] = v[at + 1]
    return of(v)
""",
        {BEGINNING, FUTURE},
    ),
    "the next close, on the last minute of a month only": (
        """
def x_of(c, p):
    v, t = c.close._values.copy(), c._arrays["open_time"]
    at = np.flatnonzero(np.diff(t.astype("M8[ms]").astype("M8[M]").astype(int)))
    v[at] = v[at + 1]
    return of(v)
""",
        {BEGINNING, FUTURE},
    ),
    "only what comes before a crash": (
        """
def x_of(c, p):
    v = c.close._values
    return of(np.where(np.append(v[1:], v[-1:]) < 0.5 * v, 0.0, v))
""",
        {FUTURE},
    ),
    "only what comes before a jump of three percent": (
        """
def x_of(c, p):
    v = c.close._values
    return of(np.where(np.append(v[1:], v[-1:]) > 1.03 * v, 0.0, v))
""",
        {FUTURE},
    ),
    "15m candles joined by the time they open": (
        """
def x_of(c, p):
    v, t = c.close._values, c._arrays["open_time"] // (15 * MINUTE)
    last = np.searchsorted(t, t, "right") - 1
    return of(v[last])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "15m candles joined to the nearest time": (
        """
def x_of(c, p):
    v, t = c.close._values, c._arrays["open_time"]
    closes = np.flatnonzero(t % (15 * MINUTE) == 14 * MINUTE)
    if not len(closes):
        return of(v)
    halves = (t[closes][1:] + t[closes][:-1]) / 2
    return of(v[closes][np.searchsorted(halves, t)])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "one hour too early, in the second timeframe only": (
        """
def x_of(c, p):
    h1 = c.resample("1h")
    v = h1.close._values
    early = h1.align(Column(np.append(v[1:], v[-1:]), "1h"))
    return where(c.resample("5m").align(c.resample("5m").close) > 0, early, c.close)
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the mean of the whole session": (
        """
def x_of(c, p):
    v, day = c.close._values, c._arrays["open_time"] // (1440 * MINUTE)
    _, its, count = np.unique(day, return_inverse=True, return_counts=True)
    return of((np.bincount(its, v) / count)[its])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "what an earlier call has seen, kept in the module": (
        """
known = {}


def x_of(c, p):
    t, v = c._arrays["open_time"].tolist(), c.close._values.tolist()
    known.update((a, b) for a, b in zip(t, v) if a not in known)
    return of([known.get(a + MINUTE, b) for a, b in zip(t, v)])
""",
        {BEGINNING},
    ),
    "the longest history of all calls, kept in the module": (
        """
longest = [np.empty(0)]


def x_of(c, p):
    longest[0] = max(longest[0], c.close._values, key=len)
    return c.close / float(longest[0].max())
""",
        {BEGINNING},
    ),
    "an own kernel over the plain arrays": (
        """
@numba.njit
def ahead(high, low):
    out = np.empty(len(high))
    for i in range(len(high)):
        out[i] = (high[i : i + 4].max() + low[i : i + 4].min()) / 2
    return out


def x_of(c, p):
    return of(ahead(c._arrays["high"], c._arrays["low"]))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the length that suits the candles best": (
        """
def x_of(c, p):
    v = c.close._values
    best = 5 if np.diff(v).sum() > 0 else 50
    return of(np.convolve(v, np.full(best, 1.0 / best))[: len(v)])
""",
        {BEGINNING, CHUNKS},
    ),
    "what is old, counted from the end": (
        """
def x_of(c, p):
    v = c.close._values
    return of(np.where(np.arange(len(v)) < len(v) - 30_000, v, v + 1.0))
""",
        {BEGINNING, CHUNKS},
    ),
}
