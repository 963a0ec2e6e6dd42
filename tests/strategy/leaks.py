"""Strategies that look ahead or keep memory of their own, one for each way we know.

Each text is a body of `Row.x`; `planted.whole` makes a file of it. Beside it stand the kinds of
check that must find it by what it does, whatever its text gives away.
"""

from tests.strategy.leaks_disguised import DISGUISED
from tests.strategy.planted import BEGINNING, CHUNKS, FUTURE, OUTSIDE, REPEAT, WRITTEN

LEAKS = {
    "the next close": (
        """
def x_of(c, p):
    return of(np.append(c.close._values[1:], np.nan))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "a centred mean": (
        """
def x_of(c, p):
    return of(np.convolve(np.pad(c.close._values, 2, "edge"), np.full(5, 0.2), "valid"))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the mean over all": (
        """
def x_of(c, p):
    v = c.close._values
    return of(np.full(len(v), v.mean()))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "scaled by the highest of all": (
        """
def x_of(c, p):
    v = c.close._values
    return c.close * (30_000.0 / float(v.max(initial=1.0)))
""",
        {BEGINNING, FUTURE},
    ),
    "the rank among all": (
        """
def x_of(c, p):
    v = c.close._values
    return of(v.argsort(kind="stable").argsort(kind="stable") * 10.0)
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "a gap filled from behind": (
        """
def x_of(c, p):
    v = c.close._values
    at = np.where(c.volume._values < 0.2, len(v) - 1, np.arange(len(v)))
    return of(v[np.minimum.accumulate(at[::-1])[::-1]])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "a peak known before it is confirmed": (
        """
def x_of(c, p):
    v = c.high._values
    around = np.lib.stride_tricks.sliding_window_view(np.pad(v, 3, "edge"), 7)
    peak = np.where(v == around.max(axis=1), np.arange(len(v)), 0)
    return of(v[np.maximum.accumulate(peak)])
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the unfinished 5m candle": (
        """
def x_of(c, p):
    v = c.high._values
    group = c._arrays["open_time"] // (5 * MINUTE)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return of(np.repeat(np.maximum.reduceat(v, starts), np.diff(np.append(starts, len(v)))))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the day's high in the morning": (
        """
def x_of(c, p):
    v = c.high._values
    day = c._arrays["open_time"] // (1440 * MINUTE)
    starts = np.flatnonzero(np.diff(day, prepend=-1))
    return of(np.repeat(np.maximum.reduceat(v, starts), np.diff(np.append(starts, len(v)))))
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "the next close, but on the last minute of a week only": (
        """
def x_of(c, p):
    v, t = c.close._values.copy(), c._arrays["open_time"]
    last = np.flatnonzero((t - 4 * 1440 * MINUTE) % (7 * 1440 * MINUTE) == (7 * 1440 - 1) * MINUTE)
    last = last[last + 1 < len(v)]
    v[last] = v[last + 1]
    return of(v)
""",
        {BEGINNING, FUTURE},
    ),
    "a close of two weeks later": (
        """
def x_of(c, p):
    v = c.close._values
    return of(np.append(v[20_160:], np.full(min(len(v), 20_160), np.nan)))
""",
        {BEGINNING, FUTURE},
    ),
    "the last price of all, that only a crash moves": (
        """
def x_of(c, p):
    v = c.close._values
    return c.close * (1.0 if len(v) and 10_000.0 < v[-1] < 90_000.0 else 2.0)
""",
        {FUTURE},
    ),
    "an own kernel that looks one further": (
        """
@numba.njit
def ahead(x, state):
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = x[min(i + 1, len(x) - 1)]
    return out


def x_of(c, p):
    return stateful("ahead", "1m", ahead, [c.close], (), 1)[0]
""",
        {BEGINNING, FUTURE, CHUNKS},
    ),
    "an own kernel that forgets": (
        """
@numba.njit
def fold(x, state):
    out, value = np.empty(len(x)), 0.0
    for i in range(len(x)):
        value += 0.1 * (x[i] - value)
        out[i] = value
    return out


def x_of(c, p):
    return stateful("fold", "1m", fold, [c.close], (), 1)[0]
""",
        {CHUNKS},
    ),
    "every fifth candle, counted by position": (
        """
def x_of(c, p):
    v = c.close._values
    return of(v[np.maximum(np.arange(len(v)) // 5 * 5 - 1, 0)])
""",
        {CHUNKS},
    ),
    "a global kept from call to call": (
        """
seen = []


def x_of(c, p):
    before = seen[-1] if seen else 0.0
    seen.extend(c.close._values[-1:])
    return c.close + where(c.close > before, 1.0, 0.0)
""",
        {REPEAT},
    ),
    "a branch on the candles": (
        """
def x_of(c, p):
    v = c.close._values
    return ema(c.close, 5) if len(v) and v[-1] > v[0] else sma(c.close, 5)
""",
        {BEGINNING, CHUNKS},
    ),
    "a branch on how many candles there are": (
        """
def x_of(c, p):
    return c.close * (1.0 if len(c.close._values) > 700 else 1.001)
""",
        {BEGINNING, CHUNKS},
    ),
    "chance": (
        """
def x_of(c, p):
    return of(c.close._values + np.random.normal(size=len(c.close._values)))
""",
        {REPEAT},
    ),
    "seeded chance": (
        """
def x_of(c, p):
    v = c.close._values
    return of(v + np.random.default_rng(7).normal(size=len(v)))
""",
        {CHUNKS},
    ),
    "chance once a call": (
        """
def x_of(c, p):
    return c.close + random.random()
""",
        {REPEAT, OUTSIDE},
    ),
    "today's date": (
        """
def x_of(c, p):
    return c.close + float(date.today().day % 2)
""",
        {OUTSIDE},
    ),
    "the future in a file, read while it runs": (
        """
def x_of(c, p):
    known = np.load("future.npy")
    at = (c._arrays["open_time"] - 1_672_617_600_000) // MINUTE
    return of(known[at + 1])
""",
        {OUTSIDE},
    ),
    "the future in a file, read when it is loaded": (
        """
KNOWN = np.load("future.npy")


def x_of(c, p):
    at = (c._arrays["open_time"] - 1_672_617_600_000) // MINUTE
    return of(KNOWN[at + 1])
""",
        {OUTSIDE},
    ),
    "the candles moved in their place": (
        """
def x_of(c, p):
    c.close._values[:-1] = c.close._values[1:]
    return c.close
""",
        {WRITTEN},
    ),
} | DISGUISED
