"""How a trade that begins after a candle ends if no rule and no limit ends it before: a function of
prices, distances and settings alone, so that many combinations share it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.fills import STOP_FILLED, resting_fill, slipped, stop_level, take_level
from strategy.kernel import kernel
from strategy.records import BY_END, BY_STOP, BY_TAKE, BY_TIME
from strategy.risk import APPROVED, estimate
from strategy.stops import is_beyond, moved_stop, moves_stops

FINE, COARSE = 16, 256  # candles of the blocks that are passed over at once
# What `how` holds beside the reason.
REASON, ORDERED, AT_OPEN, AMBIGUOUS = 31, 32, 64, 128
# One such trade, in one line of the processor's cache.
EXIT = np.dtype(
    [
        ("stamp", np.int32),  # whose it is: tables are used again without being cleared
        ("candle", np.int32),  # of the exit; 0 where the entry is refused whatever the wallet
        ("how", np.int32),  # reason, ORDERED, AT_OPEN, AMBIGUOUS
        ("held", np.int32),  # from fill to fill, in timeframes
        ("estimate", np.float64),  # of the entry's price at the decision
        ("entry", np.float64),  # fills
        ("exit", np.float64),
        ("stop", np.float64),  # distance
        ("lowest", np.float64),  # closes from the entry candle's to the one before the exit candle
        ("highest", np.float64),
    ],
    align=True,
)


class Series(NamedTuple):
    """One symbol's candles, and the extremes of their blocks.

    Attributes
    ----------
    open_time : int64 (n,)
    o, h, l, c : float64 (n,)
    fine, coarse : float64 (blocks, 4)
        Of every whole block: lowest low, highest high, lowest and highest close.
    timeframe_ms : int
    """

    open_time: NDArray[np.int64]
    o: NDArray[np.float64]
    h: NDArray[np.float64]
    l: NDArray[np.float64]  # noqa: E741
    c: NDArray[np.float64]
    fine: NDArray[np.float64]
    coarse: NDArray[np.float64]
    timeframe_ms: int


class Words(NamedTuple):
    """What the rules give for the exits of one group of combinations.

    Attributes
    ----------
    stop, take : float64 (places,)
        Distances at the candles where any combination may enter; take is empty without a rule.
    trail : float64 (n,)
        The trailing stop's distance by candle; empty without a rule.
    """

    stop: NDArray[np.float64]
    take: NDArray[np.float64]
    trail: NDArray[np.float64]


def series_of(arrays: dict[str, NDArray[Any]], timeframe_ms: int) -> Series:
    """Cut candles into blocks."""
    names = ("open_time", "open", "high", "low", "close")
    t, o, h, l, c = (arrays[name] for name in names)  # noqa: E741
    return Series(t, o, h, l, c, blocks(h, l, c, FINE), blocks(h, l, c, COARSE), timeframe_ms)


@kernel
def blocks(h, l, c, length):  # noqa: E741
    """Return lowest low, highest high, lowest and highest close of every whole block."""
    out = np.empty((len(c) // length, 4))
    for b in range(len(out)):
        low, high, least, most = np.inf, -np.inf, np.inf, -np.inf
        for i in range(b * length, (b + 1) * length):
            low, high = min(low, l[i]), max(high, h[i])
            least, most = min(least, c[i]), max(most, c[i])
        out[b, 0], out[b, 1], out[b, 2], out[b, 3] = low, high, least, most
    return out


@kernel
def find_exit(one, stamp, series, j, place, side, words, risk, slippage, g, p):
    """Fill in the exit of the trade that a signal at candle j begins; p is a scratch position."""
    has_take = len(words.take) > 0
    stop, take = words.stop[place], words.take[place] if has_take else 0.0
    one.stamp, one.candle, one.stop = stamp, 0, stop
    one.estimate, why = estimate(slippage, g, series.c[j], side, stop, take, has_take)
    if why != APPROVED:
        return
    e = j + 1
    fill = slipped(series.o[e], side, slippage, g)
    level = stop_level(fill, stop, side, g)
    target = take_level(fill, take, side, g) if take > 0.0 else 0.0
    if fill <= 0.0 or level <= 0.0 or (take > 0.0 and target <= 0.0):
        return
    p.steps, p.entry, p.stop_distance = side, fill, stop
    p.stop_level, p.stop_reason, p.take_level = level, BY_STOP, target
    n = len(series.c)
    # A market order of the last close could not fill any more.
    end = n
    if risk.time_stop > 0.0 and e + risk.time_stop < n:
        end = e + np.int64(risk.time_stop)
    ordered = np.int64(0)
    if moves_stops(risk, len(words.trail) > 0):
        x, ordered, one.lowest, one.highest = _follow_stop(series, e, end, words, risk, g, p)
    else:
        x, one.lowest, one.highest = _first_touch(series, side, level, target, e, end)
    at_open = True
    if ordered != 0:
        price, how = series.o[x], ordered | ORDERED
    elif x < end:
        which, price, at_open, ambiguous = resting_fill(
            side, p.stop_level, target, series.o[x], series.h[x], series.l[x]
        )
        how = p.stop_reason if which == STOP_FILLED else np.int64(BY_TAKE)
        how |= (AT_OPEN if at_open else 0) | (AMBIGUOUS if ambiguous else 0)
    elif end < n:
        price, how = series.o[x], np.int64(BY_TIME | ORDERED)
    else:
        x, at_open = n - 1, False
        price, how, slippage = series.c[x], np.int64(BY_END), 0.0
    one.entry, one.exit = fill, slipped(price, -side, slippage, g)
    held = series.open_time[x] - series.open_time[e] + (0 if at_open else series.timeframe_ms)
    one.candle, one.how, one.held = x, how, held // series.timeframe_ms


@kernel
def _first_touch(series, side, stop, take, i, end):
    # The first candle that touches a level, and the extremes of the closes before it. At the end of
    # all the last close is among them: its position may be closed there.
    below = stop if side > 0 else (take if take > 0.0 else -np.inf)
    above = stop if side < 0 else (take if take > 0.0 else np.inf)
    least, most = np.inf, -np.inf
    h, l, c, fine, coarse = series.h, series.l, series.c, series.fine, series.coarse  # noqa: E741
    while i < end:
        if i % FINE == 0 and i + FINE <= end:
            b = i // FINE
            if fine[b, 0] > below and fine[b, 1] < above:
                a = i // COARSE
                if (
                    i % COARSE == 0
                    and i + COARSE <= end
                    and coarse[a, 0] > below
                    and coarse[a, 1] < above
                ):
                    least, most = min(least, coarse[a, 2]), max(most, coarse[a, 3])
                    i += COARSE
                else:
                    least, most = min(least, fine[b, 2]), max(most, fine[b, 3])
                    i += FINE
                continue
        if l[i] <= below or h[i] >= above:
            break
        least, most = min(least, c[i]), max(most, c[i])
        i += 1
    return i, least, most


@kernel
def _follow_stop(series, e, end, words, risk, g, p):
    # The same with a stop that moves; where a close lies beyond its new level, the reason as well.
    has_trail, side = len(words.trail) > 0, p.steps
    p.lowest, p.highest = p.entry, p.entry
    least, most = np.inf, -np.inf
    for i in range(e, end):
        h, l, c = series.h[i], series.l[i], series.c[i]  # noqa: E741
        which, _, _, _ = resting_fill(side, p.stop_level, p.take_level, series.o[i], h, l)
        if which != 0:
            return i, 0, least, most
        least, most = min(least, c), max(most, c)
        if i + 1 == end:
            break
        p.lowest, p.highest = min(p.lowest, l), max(p.highest, h)
        best = p.highest if side > 0 else p.lowest
        level, reason = moved_stop(
            p, g, risk, has_trail, words.trail[i] if has_trail else np.nan, best
        )
        if level != p.stop_level:
            if is_beyond(p, level, c):
                return i + 1, reason, least, most
            p.stop_level, p.stop_reason = level, reason
    return end, 0, least, most
