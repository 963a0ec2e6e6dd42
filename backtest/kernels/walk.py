"""One combination of a sweep: from signal to signal, each trade's end looked up in a table."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.bits import (
    ENTRY,
    EXIT_LONG,
    EXIT_SHORT,
    LONG,
    is_one,
    next_one,
    place_of,
    prefetch,
)
from backtest.kernels.exits import (
    AMBIGUOUS,
    CLOSE,
    COARSE,
    FINE,
    OPEN,
    ORDERED,
    REASON,
    find_exit,
    slip_at,
)
from backtest.kernels.marks import certain, deeper, follow, is_near
from backtest.kernels.signals import FAR
from strategy.account import MOST, fee_of, funding_of, money
from strategy.fills import MOST_EXTRA, slipped
from strategy.grid import qty_of
from strategy.kernel import borrowing, part
from strategy.margin import Tiers
from strategy.records import BY_END, BY_REVERSAL, BY_SIGNAL, UNIT
from strategy.risk import APPROVED, steps_of

# What a row ended with.
DONE, USED_UP, TOO_MUCH, NEAR = range(4)  # NEAR a liquidation: it has to be walked
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


_NEXT = 3  # signals that may be the one after a trade
# Whether those that are walked side by side go on, go on alone, or begin anew and alone.
GOES_ON, ALONE, ANEW = range(3)
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
def walk(
    ground, bits, signals, tables, t, stamp, words, risk, costs, g, marks, p, state, out, trades
):
    """Make the trades of one combination, from where it has come to.

    Parameters
    ----------
    ground : Ground
    bits : uint64 (6, w)
        What the rules say, see `backtest.kernels.bits`.
    signals : backtest.kernels.signals.Signals
    tables : record array of EXIT (2 * places, tables)
        Place by place long and short; what is not known yet is found and left there.
    t : int
        Which table.
    stamp : int
        Marks what the table knows already.
    words : backtest.kernels.exits.Words
    risk, costs : records with the fields of Risk and Costs
    g : record of GRID
    marks : float64 (days,)
        Becomes the equity at the end of each day.
    p : record of POSITION
        Scratch.
    state : record of WALK
        See `begin`.
    out : record of SUMS
        Of the trades so far.
    trades : record array of SWEPT
        Becomes the trades, or is empty.
    """
    at, spots = signals.at, signals.spots
    prices, times, blocks = ground.prices, ground.times, ground.blocks
    ends, pays, length = ground.ends, ground.pays, ground.timeframe_ms
    liquidates = len(ground.tiers.each) > 0
    asked = costs.fee_rate if liquidates else 0.0  # together with an entry's margin
    last, limit = len(prices) - 1, risk.daily_loss_limit
    wallet, day, signal = state.wallet, state.day, state.signal
    flat, peak, low, deepest = wallet / UNIT, state.peak, state.low, state.deepest
    opening, blocked = flat, -1  # the day entries are blocked on
    pay, cooldown_until, rest = 0, np.int64(0), np.int64(risk.cooldown)
    j = np.int64(at[signal])
    while j < last:
        while ends[day] < j:
            marks[day], opening = flat, flat
            day += 1
        steps, reversal = np.int64(0), 0
        if blocked != day and j >= cooldown_until:
            place, side = spots[signal] >> 1, 1 - 2 * (spots[signal] & 1)
            one = tables[spots[signal], t]
            if one.stamp != stamp:
                find_exit(one, stamp, ground, words, j, place, side, risk, costs, g, p)
            steps = steps_at(one, risk, g, wallet)
            if _lacks(qty_of(steps, g), one.entry, asked, risk.leverage, flat):
                steps = np.int64(0)
        if steps == 0:
            if is_spent(risk, g, flat):
                break
            signal = _affordable(ground, signals, words, risk, costs, g, flat, signal + 1)
            prefetch(tables, spots[signal + FAR], t)
            j = np.int64(at[signal])
            continue
        while ends[day] == j:
            marks[day], opening = flat, flat
            day += 1
        while steps != 0:  # one trade, and then those that reverse it
            e, entry, distance = j + 1, one.entry, one.stop
            qty = qty_of(steps, g)
            held, taken = side * qty, side * steps
            fees = fee_of(costs.fee_rate, qty, entry)
            wallet -= fees
            x, how, leave = np.int64(one.candle), np.int64(one.how), one.exit
            time = one.held * length
            own = next_one(bits, EXIT_LONG if side > 0 else EXIT_SHORT, e, x)
            whole = own == x and how != BY_END
            if own < x:  # the rules end it before the table does
                turns = is_one(bits, ENTRY, own) and is_one(bits, LONG, own) != (side > 0)
                how = np.int64(BY_REVERSAL if turns else BY_SIGNAL) | ORDERED
                x = own + 1
                leave = slipped(prices[x, OPEN], -side, slip_at(costs, words.slip, x), g)
                time = times[x] - times[e]
            while at[signal] < x:
                signal += 1
            # What follows takes as long as the memory needs to bring the next trade's exit, and
            # those of signals that may be the one after it.
            for ahead in range(signal, signal + _NEXT):
                prefetch(tables, spots[ahead], t)
            while pays[pay].candle < e or (pays[pay].candle == e and pays[pay].before != 0):
                pay += 1
            a, paid, shut, decided, least = e, np.int64(0), False, wallet, wallet
            while True:
                while pays[pay].candle <= a and (
                    a < x or pays[pay].before != 0 or how & ORDERED == 0
                ):
                    if not -MOST * UNIT <= wallet <= MOST * UNIT:
                        _refuse(out, wallet / UNIT)
                        return
                    due = funding_of(taken, g, pays[pay].price, pays[pay].rate)
                    wallet, paid, pay = wallet - due, paid + due, pay + 1
                    least = min(least, wallet)
                if a == x:
                    break
                b = min(x, ends[day] + 1, pays[pay].candle)
                value = wallet / UNIT
                known, peak, low, deepest, lost = certain(
                    value, held, entry, one.lowest, one.highest, whole and a == e and b == x,
                    limit, opening, peak, low, deepest,
                )  # fmt: skip
                if not known:
                    bad, peak, low, deepest, lost = follow(
                        prices, blocks, a, b, value, held, entry, limit, opening, peak, low, deepest
                    )  # fmt: skip
                    if not np.isnan(bad):
                        _refuse(out, bad)
                        return
                if lost:
                    blocked = day
                shut, decided = blocked == day, wallet
                if ends[day] < b:
                    opening = value + held * (prices[b - 1, CLOSE] - entry)
                    while ends[day] < b:
                        marks[day] = opening
                        day += 1
                a = b
            if liquidates and is_near(ground, side, qty, entry, least / UNIT, e, x):
                out.note = NEAR
                return
            if how == BY_END:
                value = wallet / UNIT + held * (prices[x, CLOSE] - entry)
                if not 0.0 < value < MOST:
                    _refuse(out, value)
                    return
            steps = np.int64(0)
            if how & REASON == BY_REVERSAL and not shut and x > cooldown_until:
                # Decided at the close before, which knows no booking after it.
                j = x - 1
                place = place_of(bits, j)
                one = tables[2 * place + (1 if side > 0 else 0), t]
                if one.stamp != stamp:
                    find_exit(one, stamp, ground, words, j, place, -side, risk, costs, g, p)
                steps = steps_at(one, risk, g, decided)
            fee = fee_of(costs.fee_rate, qty, leave)
            pnl = money(held * (leave - entry))
            wallet += pnl - fee
            fees += fee
            if len(trades) > 0:
                write(trades[out.trades], times, e, x, time, taken, entry, leave, how, reversal)
                book(trades[out.trades], pnl, fees, paid, qty * distance)
            add(out, side, pnl, fees, paid, qty * distance, time, how)
            cooldown_until = x + rest if pnl < fees + paid else cooldown_until
            flat = wallet / UNIT
            if steps != 0 and _lacks(qty_of(steps, g), one.entry, asked, risk.leverage, flat):
                steps = np.int64(0)
            side, reversal = -side, 1
        # Flat at the close of the exit candle.
        if not 0.0 < flat < MOST:
            _refuse(out, flat)
            return
        if flat < peak:
            low = min(low, flat)
        else:
            deepest = deeper(deepest, low, peak)
            peak, low = flat, np.inf
        if limit > 0.0 and opening - flat >= limit * opening:
            blocked = day
        j = np.int64(at[signal])
    for d in range(day, len(marks)):
        marks[d] = flat
    out.note, out.deepest, out.equity = DONE, deeper(deepest, low, peak), flat


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
def is_spent(risk, g, flat):
    """Say whether a flat account is too small for any entry, whatever the price and the stop: as
    long as it makes no trade, that will not change."""
    return risk.max_leverage * flat < g.min_notional * (1.0 - 1e-6)


@borrowing
def _affordable(ground, signals, words, risk, costs, g, flat, signal):
    # The first entry signal from one on for which a flat account is not surely too small: an
    # account that has come down to one step may be refused thousands of times before it enters
    # again, and neither its exit nor its size has to be known for that.
    at, spots, prices, blocks = signals.at, signals.spots, ground.prices, ground.blocks
    last, coarse = len(prices) - 1, len(prices) // FINE
    least = g.step * g.min_steps * (1.0 - 1e-6)
    # What an entry is estimated at is hardly below a share of the close.
    share = 1.0 - costs.slippage - (MOST_EXTRA if len(words.ahead) > 0 else 0.0)
    dearest = (risk.max_leverage * flat / least + 2.0 * g.tick) / share
    widest = risk.per_trade * flat / least
    while at[signal] < last:
        j = np.int64(at[signal])
        b = j // COARSE
        if (b + 1) * COARSE <= last and blocks[coarse + b, 2] > dearest:
            signal = np.int64(signals.firsts[((b + 1) * COARSE) >> 6])
        elif prices[j, CLOSE] > dearest or words.stop[spots[signal] >> 1] > widest:
            signal += 1
        else:
            break
    return signal


@part
def lacks_margin(notional, leverage, free):
    """Say whether a fill's notional needs more margin than there is."""
    # The division, which decides, only where it could.
    return notional > free * leverage * (1.0 - 1e-9) and notional / leverage > free


@part
def _lacks(qty, price, fee_rate, leverage, free):
    # The same with the entry's fee at a rate beside the margin, 0 for none.
    if fee_rate == 0.0:
        return lacks_margin(qty * price, leverage, free)
    # 1e-8 is more than the fee's rounding.
    notional = qty * price
    if notional * (1.0 + fee_rate * leverage) <= (free * (1.0 - 1e-9) - 1e-8) * leverage:
        return False
    return notional / leverage + fee_of(fee_rate, qty, price) / UNIT > free


@part
def steps_at(one, risk, g, wallet):
    """Return the steps of an entry that a wallet (units) allows, 0 where it is refused."""
    if one.candle == 0 or not wallet > 0:
        return np.int64(0)
    steps, why = steps_of(risk, g, wallet / UNIT, 0.0, one.estimate, one.stop)
    return np.int64(steps) if why == APPROVED else np.int64(0)


@borrowing
def _refuse(out, equity):
    out.note = TOO_MUCH if equity > 0.0 else USED_UP


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
