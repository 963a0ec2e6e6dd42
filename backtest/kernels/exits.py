"""How a trade that begins after a candle ends if no rule and no limit ends it before: a function of
prices, distances and settings alone, so that many combinations share it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.fills import (
    BEST,
    STOP_FILLED,
    TAKE_FILLED,
    resting_fill,
    slipped,
    stop_level,
    take_level,
)
from strategy.kernel import borrowing, kernel, part
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


OPEN, HIGH, LOW, CLOSE = range(4)


class Words(NamedTuple):
    """What the rules give for the exits of one group of combinations.

    Attributes
    ----------
    stop, take : float64 (places,)
        Distances at the candles where any combination may enter; take is empty without a rule.
    trail : float64 (n,)
        The trailing stop's distance by candle; empty without a rule.
    slip, ahead : float64 (n,)
        What a market order loses besides `Costs.slippage`, see `backtest.kernels.market.Market`;
        empty for none.
    """

    stop: NDArray[np.float64]
    take: NDArray[np.float64]
    trail: NDArray[np.float64]
    slip: NDArray[np.float64]
    ahead: NDArray[np.float64]


@kernel
def blocks_of(prices):
    """Return lowest low, highest high, lowest and highest close of every whole block: first of the
    fine ones, behind them of the coarse ones."""
    fine = len(prices) // FINE
    out = np.empty((fine + len(prices) // COARSE, 4))
    for b in range(len(out)):
        length = FINE if b < fine else COARSE
        start = b * FINE if b < fine else (b - fine) * COARSE
        low, high, least, most = np.inf, -np.inf, np.inf, -np.inf
        for i in range(start, start + length):
            low, high = min(low, prices[i, LOW]), max(high, prices[i, HIGH])
            least, most = min(least, prices[i, CLOSE]), max(most, prices[i, CLOSE])
        out[b, 0], out[b, 1], out[b, 2], out[b, 3] = low, high, least, most
    return out


@borrowing
def slip_at(costs, slip, i):
    """Return the share of the price that a market order loses in candle i."""
    return costs.slippage + slip[i] if len(slip) > 0 else costs.slippage


@borrowing
def find_exit(one, stamp, ground, words, j, place, side, risk, costs, g, p):
    """Fill in the exit of the trade that a signal at candle j begins; p is a scratch position."""
    prices, times, length = ground.prices, ground.times, ground.timeframe_ms
    has_take, trail = len(words.take) > 0, words.trail
    stop, take = words.stop[place], words.take[place] if has_take else 0.0
    known = costs.slippage + words.ahead[j] if len(words.ahead) > 0 else costs.slippage
    one.stamp, one.candle, one.stop = stamp, 0, stop
    one.estimate, why = estimate(known, g, prices[j, CLOSE], side, stop, take, has_take)
    if why != APPROVED:
        return
    e = j + 1
    fill = slipped(prices[e, OPEN], side, slip_at(costs, words.slip, e), g)
    level = stop_level(fill, stop, side, g)
    target = take_level(fill, take, side, g) if take > 0.0 else 0.0
    if fill <= 0.0 or level <= 0.0 or (take > 0.0 and target <= 0.0):
        return
    p.steps, p.entry, p.stop_distance = side, fill, stop
    p.stop_level, p.stop_reason, p.take_level = level, BY_STOP, target
    n = len(prices)
    # A market order of the last close could not fill any more.
    end = n
    if risk.time_stop > 0.0 and e + risk.time_stop < n:
        end = e + np.int64(risk.time_stop)
    ordered = np.int64(0)
    if moves_stops(risk, len(trail) > 0):
        x, ordered, one.lowest, one.highest = _follow_stop(
            prices, ground.blocks, e, end, trail, risk, g, p
        )
    else:
        x, one.lowest, one.highest = _first_touch(
            prices, ground.blocks, side, level, target, e, end
        )
    at_open, slippage = True, slip_at(costs, words.slip, min(x, n - 1))
    if ordered != 0:
        price, how = prices[x, OPEN], ordered | ORDERED
    elif x < end:
        which, price, at_open, ambiguous = resting_fill(
            side, p.stop_level, target, prices[x, OPEN], prices[x, HIGH], prices[x, LOW]
        )
        if ambiguous and costs.intrabar == BEST:
            which, price = TAKE_FILLED, target
        how = p.stop_reason if which == STOP_FILLED else np.int64(BY_TAKE)
        how |= (AT_OPEN if at_open else 0) | (AMBIGUOUS if ambiguous else 0)
    elif end < n:
        price, how = prices[x, OPEN], np.int64(BY_TIME | ORDERED)
    else:
        x, at_open = n - 1, False
        price, how, slippage = prices[x, CLOSE], np.int64(BY_END), 0.0
    one.entry, one.exit = fill, slipped(price, -side, slippage, g)
    held = times[x] - times[e] + (0 if at_open else length)
    one.candle, one.how, one.held = x, how, held // length


@borrowing
def _first_touch(prices, blocks, side, stop, take, i, end):
    # The first candle that touches a level, and the extremes of the closes before it. At the end of
    # all the last close is among them: its position may be closed there.
    below = stop if side > 0 else (take if take > 0.0 else -np.inf)
    above = stop if side < 0 else (take if take > 0.0 else np.inf)
    least, most = np.inf, -np.inf
    coarse = len(prices) // FINE
    while i < end:
        if i % FINE == 0 and i + FINE <= end:
            b = i // FINE
            if blocks[b, 0] > below and blocks[b, 1] < above:
                a = coarse + i // COARSE
                if (
                    i % COARSE == 0
                    and i + COARSE <= end
                    and blocks[a, 0] > below
                    and blocks[a, 1] < above
                ):
                    least, most = min(least, blocks[a, 2]), max(most, blocks[a, 3])
                    i += COARSE
                else:
                    least, most = min(least, blocks[b, 2]), max(most, blocks[b, 3])
                    i += FINE
                continue
        if prices[i, LOW] <= below or prices[i, HIGH] >= above:
            break
        least, most = min(least, prices[i, CLOSE]), max(most, prices[i, CLOSE])
        i += 1
    return i, least, most


@borrowing
def _follow_stop(prices, blocks, e, end, trail, risk, g, p):
    # The same with a stop that moves; where a close lies beyond its new level, the reason as well.
    has_trail, side = len(trail) > 0, p.steps
    best, below, above = p.entry, p.stop_level, p.stop_level
    # Where neither the best price nor the stop is reached, a stop at a fixed distance stays. The
    # take lies beyond the best price, but for one that rounding puts at the entry.
    skips = not has_trail and (p.take_level == 0.0 or side * (p.take_level - best) > 0.0)
    least, most = np.inf, -np.inf
    coarse, i = len(prices) // FINE, e
    while i < end:
        if i > e and skips:
            if side > 0:
                above = best
            else:
                below = best
            if i % FINE == 0 and i + FINE <= end:
                b = i // FINE
                if _is_quiet(side, blocks[b, 0], blocks[b, 1], below, above):
                    a = coarse + i // COARSE
                    if (
                        i % COARSE == 0
                        and i + COARSE <= end
                        and _is_quiet(side, blocks[a, 0], blocks[a, 1], below, above)
                    ):
                        least, most = min(least, blocks[a, 2]), max(most, blocks[a, 3])
                        i += COARSE
                    else:
                        least, most = min(least, blocks[b, 2]), max(most, blocks[b, 3])
                        i += FINE
                    continue
            if _is_quiet(side, prices[i, LOW], prices[i, HIGH], below, above):
                least, most = min(least, prices[i, CLOSE]), max(most, prices[i, CLOSE])
                i += 1
                continue
        o, h, l, c = prices[i, OPEN], prices[i, HIGH], prices[i, LOW], prices[i, CLOSE]  # noqa: E741
        which, _, _, _ = resting_fill(side, p.stop_level, p.take_level, o, h, l)
        if which != 0:
            return i, 0, least, most
        least, most = min(least, c), max(most, c)
        if i + 1 == end:
            break
        best = max(best, h) if side > 0 else min(best, l)
        level, reason = moved_stop(p, g, risk, has_trail, trail[i] if has_trail else np.nan, best)
        if level != p.stop_level:
            if is_beyond(p, level, c):
                return i + 1, reason, least, most
            p.stop_level, p.stop_reason, below, above = level, reason, level, level
        i += 1
    return end, 0, least, most


@part
def _is_quiet(side, low, high, below, above):
    # A stop is touched, a best price is not passed.
    if side > 0:
        return low > below and high <= above
    return high < above and low >= below
