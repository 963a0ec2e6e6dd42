"""What the combinations of a sweep walk on, and what each one leaves: its place on the way, its
sums, and its trades where they are asked for."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.exits import AMBIGUOUS, ORDERED, REASON
from strategy.kernel import borrowing, part
from strategy.margin import Tiers
from strategy.records import BY_END, UNIT

# What a row ended with.
DONE, USED_UP, TOO_MUCH, NEAR = range(4)  # NEAR a liquidation: it has to be walked
# Whether those that are walked side by side go on, go on alone, or begin anew and alone.
GOES_ON, ALONE, ANEW = range(3)
# What is left of a combination: sums over its trades, and its curve.
SUMS = np.dtype(
    [
        ("note", np.int64),
        ("trades", np.int64),
        ("longs", np.int64),
        ("wins", np.int64),
        ("losses", np.int64),
        ("gained", np.float64),  # units of 1e-8, net
        ("paid", np.float64),
        ("best", np.int64),
        ("worst", np.int64),
        ("gross", np.int64),
        ("fees", np.int64),
        ("funding", np.int64),
        ("r", np.float64),
        ("held", np.int64),  # ms
        ("ambiguous", np.int64),
        ("open_at_end", np.int64),
        ("deepest", np.float64),
        ("equity", np.float64),  # at the end
        ("mean", np.float64),  # of the daily returns
        ("second", np.float64),  # their squares around it, summed
        ("downside", np.float64),
        ("best_day", np.float64),
        ("worst_day", np.float64),
    ],
    align=True,
)
# A trade of a sweep; the names are those of strategy.records.TRADE.
SWEPT = np.dtype(
    [
        ("side", np.int64),
        ("entry_time", np.int64),
        ("exit_time", np.int64),
        ("entry_candle", np.int64),
        ("exit_candle", np.int64),
        ("steps", np.int64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("pnl", np.int64),
        ("fees", np.int64),
        ("funding", np.int64),
        ("risked", np.float64),
        ("exit_reason", np.int64),
        ("ordered", np.int64),
        ("reversal", np.int64),
        ("ambiguous", np.int64),
    ],
    align=True,
)
# A funding instant: the candle that books it, and whether before orders fill at its open.
PAY = np.dtype(
    [
        ("candle", np.int64),
        ("before", np.int64),
        ("rate", np.float64),
        ("price", np.float64),
    ],
    align=True,
)
# How far a combination has come, flat and behind its latest trade.
WALK = np.dtype(
    [
        ("signal", np.int64),  # the next one that may become a trade
        ("wallet", np.int64),  # units
        ("day", np.int64),  # the first one whose end is not known yet
        ("peak", np.float64),  # of the equity
        ("low", np.float64),  # since then, where it may matter
        ("deepest", np.float64),  # fall below the peaks before
        # what several combinations side by side need besides, see `backtest.kernels.lanes`
        ("count", np.int64),  # trades that are found, but not summed up yet
        ("reverses", np.int64),  # the next signal would turn the open position
        ("ended", np.int64),  # GOES_ON, ALONE or ANEW
    ],
    align=True,
)


class Ground(NamedTuple):
    """What all combinations walk on.

    Attributes
    ----------
    prices : float64 (n, 4)
        Open, high, low, close.
    times : int64 (n,)
        Of the opens, UTC ms.
    blocks : float64 (blocks, 4)
        See `backtest.kernels.exits.blocks_of`.
    ends : int64 (days + 1,)
        The last candle of each UTC day; behind the last day stands one that never ends.
    pays : record array of PAY
        Behind the last one stands one that never comes.
    tiers : Tiers
        Empty where nothing is liquidated.
    marks, mark_blocks : float64
        Mark prices, as `prices` and `blocks`.
    balance : float
    timeframe_ms : int
    """

    prices: NDArray[np.float64]
    times: NDArray[np.int64]
    blocks: NDArray[np.float64]
    ends: NDArray[np.int64]
    pays: Any
    tiers: Tiers
    marks: NDArray[np.float64]
    mark_blocks: NDArray[np.float64]
    balance: float
    timeframe_ms: int


@borrowing
def begin(ground, state, marks, out):
    """Set a combination before its first candle, its sums to nothing."""
    state.signal, state.wallet = 0, np.int64(np.rint(ground.balance * UNIT))
    flat, state.peak, state.low, state.deepest = state.wallet / UNIT, ground.balance, np.inf, 0.0
    if flat < ground.balance:
        state.low = flat
    else:
        state.peak = flat
    state.day, state.count, state.reverses, state.ended = 0, 0, 0, GOES_ON
    while ground.ends[state.day] < 0:
        marks[state.day] = ground.balance
        state.day += 1
    out.note, out.trades, out.longs, out.wins, out.losses = DONE, 0, 0, 0, 0
    out.gained, out.paid, out.best, out.worst, out.gross, out.fees = 0.0, 0.0, 0, 0, 0, 0
    out.funding, out.r, out.held, out.ambiguous, out.open_at_end = 0, 0.0, 0, 0, 0


@part
def add(out, side, pnl, fees, paid, risked, time, how):
    """Add a trade to the sums."""
    # No branch here is one that the processor could foresee.
    net, zero = pnl - fees - paid, np.int64(0)
    out.best = net if out.trades == 0 else max(out.best, net)
    out.worst = net if out.trades == 0 else min(out.worst, net)
    out.trades += 1
    out.longs += 1 if side > 0 else 0
    out.wins += 1 if net > 0 else 0
    out.losses += 1 if net < 0 else 0
    out.gained += max(net, zero)
    out.paid -= min(net, zero)
    out.gross, out.fees, out.funding = out.gross + pnl, out.fees + fees, out.funding + paid
    out.r += net / UNIT / risked
    out.held += time
    out.ambiguous += 1 if how & AMBIGUOUS != 0 else 0
    out.open_at_end += 1 if how & REASON == BY_END else 0


@borrowing
def write(trade, times, e, x, time, taken, entry, leave, how, reversal):
    """Write down what a trade is."""
    trade.side, trade.steps = 1 if taken > 0 else -1, abs(taken)
    trade.entry_candle, trade.exit_candle = e, x
    trade.entry_time = times[e]
    trade.exit_time = times[e] + time
    trade.entry_price, trade.exit_price = entry, leave
    trade.exit_reason, trade.reversal = how & REASON, reversal
    trade.ordered = 1 if how & ORDERED != 0 else 0
    trade.ambiguous = 1 if how & AMBIGUOUS != 0 else 0


@borrowing
def book(trade, pnl, fees, paid, risked):
    """Write down what a trade made."""
    trade.pnl, trade.fees, trade.funding, trade.risked = pnl, fees, paid, risked
