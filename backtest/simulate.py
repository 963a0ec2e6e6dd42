"""The walk through the candles: jumps from signal to signal while nothing is open."""

import numpy as np

from strategy.account import (
    BY_END,
    BY_STOP,
    BY_TAKE,
    MOST,
    UNIT,
    loses_too_much,
    mark,
    step,
)
from strategy.booking import close_position, open_position
from strategy.fills import NOT_FILLED, STOP_FILLED, resting_fill
from strategy.grid import qty_of
from strategy.kernel import kernel
from strategy.risk import APPROVED
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.timeframes import DAY_MS


@kernel
def simulate(
    timeline,
    first,  # of each symbol's candles in the joined arrays
    open_time,
    o,
    h,
    l,  # noqa: E741
    c,
    flags,
    first_signal,  # of each symbol's entry candles in the joined lists
    signal_at,
    signal_stop,
    signal_take,
    has_take,
    timeframe_ms,
    grids,
    risk,
    costs,
    account,
    positions,
    orders,
    said,
    trades,
    equity,
    refused,
):
    """Run all symbols through the timeline.

    Returns
    -------
    count : int
        Closed trades.
    stopped : int
        The instant at which the equity was used up or beyond `MOST`, -1 if it never was.
    """
    symbols, n = len(positions), len(timeline)
    book = account[0]
    cursor = first[:-1].copy()
    signal = first_signal[:-1].copy()
    count, k = 0, -1
    # Calls that take many arrays cost more than a candle's work, so they are made only where
    # something happens.
    while True:
        before = k
        ordered, busy = False, False
        for s in range(symbols):
            ordered |= orders[s].side != 0 or orders[s].close_reason != 0
            busy |= positions[s].steps != 0
        if busy and not ordered:
            k = _hold(
                timeline,
                k,
                timeframe_ms,
                first,
                cursor,
                open_time,
                o,
                h,
                l,
                c,
                flags,
                grids,
                risk.daily_loss_limit,
                book,
                positions,
                equity,
            )
            before = k
        if busy or ordered:
            k += 1
        else:
            k = _next_signal(
                timeline, k, first, open_time, first_signal, signal, signal_at, timeframe_ms
            )
            flat = book.wallet / UNIT
            for j in range(before + 1, k):
                equity[j] = flat
            book.equity = flat
        if k >= n:
            break
        now = timeline[k] + timeframe_ms
        for s in range(symbols):
            i = _search(open_time, cursor[s], first[s + 1], timeline[k], k - before)
            cursor[s] = i
            said[s].present = 1 if i < first[s + 1] and open_time[i] == timeline[k] else 0
        if ordered:
            count = _fill_orders(
                first,
                o,
                cursor,
                open_time,
                grids,
                risk,
                costs,
                book,
                positions,
                orders,
                said,
                trades,
                count,
                refused,
            )
        for s in range(symbols):
            p, word = positions[s], said[s]
            word.signals = 0
            if word.present == 0:
                continue
            i = cursor[s]
            if p.steps != 0:
                which, price, at_open, ambiguous = resting_fill(
                    p.steps, p.stop_level, p.take_level, o[i], h[i], l[i]
                )
                if which == NOT_FILLED:
                    p.lowest, p.highest = min(p.lowest, l[i]), max(p.highest, h[i])
                else:
                    trade = trades[count]
                    close_position(book, positions, grids, costs, s, price, costs.slippage, trade)
                    _stamp(
                        trade,
                        timeline[k] if at_open else now,
                        i - first[s],
                        BY_STOP if which == STOP_FILLED else BY_TAKE,
                    )
                    trade.ambiguous = 1 if ambiguous else 0
                    count += 1
            p.mark = c[i]
            word.signals = flags[i]
            if flags[i] & (ENTER_LONG | ENTER_SHORT) != 0:
                j = signal[s]
                while signal_at[j] < i - first[s]:
                    j += 1
                signal[s] = j
                word.stop_distance = signal_stop[j]
                word.take_distance = signal_take[j] if has_take else 0.0
        step(book, positions, orders, grids, said, risk, costs.slippage, has_take, now, refused)
        equity[k] = book.equity
        if not 0.0 < book.equity < MOST:
            return count, k
        for s in range(symbols):
            i = cursor[s]
            if said[s].present == 0 or i + 1 < first[s + 1]:
                continue
            # The symbol's last candle: nothing could fill its orders any more.
            orders[s].side, orders[s].close_reason = 0, 0
            if positions[s].steps != 0:
                close_position(book, positions, grids, costs, s, c[i], 0.0, trades[count])
                _stamp(trades[count], now, i - first[s], BY_END)
                count += 1
                equity[k] = mark(book, positions, grids)
    return count, -1


@kernel
def _hold(
    timeline,
    k,
    timeframe_ms,
    first,
    cursor,
    open_time,
    o,
    h,
    l,  # noqa: E741
    c,
    flags,
    grids,
    limit,
    book,
    positions,
    equity,
):
    # Pass over the instants after k at which open positions are marked and nothing else can
    # happen: every symbol has a candle, no rule speaks, no level is touched, no day begins, no
    # data ends and the daily limit holds. Returns the last of them.
    wallet = book.wallet / UNIT
    while k + 1 < len(timeline):
        opens = timeline[k + 1]
        value = wallet
        for s in range(len(positions)):
            i = cursor[s]
            i += i < first[s + 1] and open_time[i] < opens
            if i >= first[s + 1] or open_time[i] != opens or flags[i] != 0:
                return k
            p = positions[s]
            if p.steps != 0:
                if i + 1 == first[s + 1]:
                    return k
                which, _, _, _ = resting_fill(p.steps, p.stop_level, p.take_level, o[i], h[i], l[i])
                if which != NOT_FILLED:
                    return k
                value += qty_of(p.steps, grids[s]) * (c[i] - p.entry)
        lost = loses_too_much(book, value, limit)
        if lost or not 0.0 < value < MOST or (opens + timeframe_ms - 1) // DAY_MS != book.day:
            return k
        k += 1
        for s in range(len(positions)):
            p = positions[s]
            i = cursor[s]
            i += open_time[i] < opens
            cursor[s] = i
            p.mark, p.lowest, p.highest = c[i], min(p.lowest, l[i]), max(p.highest, h[i])
        equity[k] = value
        book.equity = value
    return k


@kernel
def entry_candles(flags):
    """Return the positions of the candles with an entry flag, in order."""
    at = np.empty(len(flags), np.int64)
    count = 0
    # Most blocks say nothing, and a whole one is looked at in a few instructions.
    for start in range(0, len(flags), 64):
        block = flags[start : start + 64]
        said = np.uint8(0)
        for i in range(len(block)):
            said |= block[i]
        if said & (ENTER_LONG | ENTER_SHORT) != 0:
            for i in range(len(block)):
                if block[i] & (ENTER_LONG | ENTER_SHORT) != 0:
                    at[count] = start + i
                    count += 1
    return at[:count].copy()


@kernel
def _next_signal(timeline, k, first, open_time, first_signal, signal, signal_at, timeframe_ms):
    # The first instant after k at which a symbol has an entry signal, or the end.
    passed = timeline[k] if k >= 0 else np.int64(-1)
    soonest = np.int64(2**62)
    for s in range(len(signal)):
        j = signal[s]
        while j < first_signal[s + 1] and open_time[first[s] + signal_at[j]] <= passed:
            j += 1
        signal[s] = j
        if j < first_signal[s + 1]:
            soonest = min(soonest, open_time[first[s] + signal_at[j]])
    if soonest == 2**62:
        return len(timeline)
    ahead = (soonest - timeline[k + 1]) // timeframe_ms
    return _search(timeline, k + 1, len(timeline), soonest, ahead)


@kernel
def _search(x, low, stop, value, guess):
    # First position from low on with x >= value. Without gaps it is low + guess; then one look is
    # enough.
    if low + guess < stop and x[low + guess] == value:
        return low + guess
    high = stop
    while low < high:
        middle = (low + high) // 2
        if x[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _fill_orders(
    first,
    o,
    cursor,
    open_time,
    grids,
    risk,
    costs,
    book,
    positions,
    orders,
    said,
    trades,
    count,
    refused,
):
    # Market orders of the decision before, at this open: closing legs first, then opening ones.
    for s in range(len(orders)):
        order = orders[s]
        if said[s].present != 0 and order.close_reason != 0:
            i = cursor[s]
            close_position(book, positions, grids, costs, s, o[i], costs.slippage, trades[count])
            _stamp(trades[count], open_time[i], i - first[s], order.close_reason)
            order.close_reason = 0
            count += 1
    for s in range(len(orders)):
        order = orders[s]
        if said[s].present != 0 and order.side != 0:
            i = cursor[s]
            answer = open_position(
                book, positions, grids, costs, risk, s, order, o[i], open_time[i], i - first[s]
            )
            order.side, order.steps = 0, 0
            if answer != APPROVED:
                refused[s, answer] += 1
    return count


@kernel
def _stamp(trade, exit_time, exit_candle, reason):
    trade.exit_time, trade.exit_candle, trade.exit_reason = exit_time, exit_candle, reason
