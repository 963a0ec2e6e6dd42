"""The walk through the candles: jumps from signal to signal while nothing is open."""

import numpy as np

from strategy.account import MOST, is_old, loses_too_much, mark, step
from strategy.booking import close_part, close_position, open_position
from strategy.fills import NOT_FILLED, STOP_FILLED, TAKE_FILLED, resting_fill
from strategy.funding import pay_funding
from strategy.grid import qty_of
from strategy.kernel import kernel
from strategy.records import BY_END, BY_TAKE, UNIT
from strategy.risk import APPROVED
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.stops import is_beyond, moved_stop, moves_stops, nearest_take
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
    trail,  # distances of the rule by candle, empty without one
    has_take,
    timeframe_ms,
    instants,  # of funding, of all symbols
    grids,
    risk,
    costs,
    account,
    positions,
    orders,
    said,
    trades,
    parts,
    equity,
    refused,
):
    """Run all symbols through the timeline.

    Returns
    -------
    count : int
        Closed trades.
    partial : int
        Partial take-profits.
    stopped : int
        The instant at which the equity was used up or beyond `MOST`, -1 if it never was.
    """
    symbols, n = len(positions), len(timeline)
    book = account[0]
    cursor = first[:-1].copy()
    signal = first_signal[:-1].copy()
    has_trail = len(trail) > 0
    count, partial, k, instant = 0, 0, -1, 0
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
                trail,
                instants,
                instant,
                grids,
                risk,
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
        if instants[instant].time <= timeline[k]:
            until = timeline[k] + 1
            instant = pay_funding(book, positions, grids, instants, instant, until)
            if instant < 0:
                equity[k] = book.wallet / UNIT
                return count, partial, k
        for s in range(symbols):
            i = _search(open_time, cursor[s], first[s + 1], timeline[k], k - before)
            cursor[s] = i
            said[s].present = 1 if i < first[s + 1] and open_time[i] == timeline[k] else 0
            said[s].candle = i - first[s]
        if ordered:
            count, partial = _fill_orders(
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
                parts,
                partial,
                refused,
            )
        if instants[instant].time < now:
            instant = pay_funding(book, positions, grids, instants, instant, now)
            if instant < 0:
                equity[k] = book.wallet / UNIT
                return count, partial, k
        for s in range(symbols):
            p, word = positions[s], said[s]
            word.signals = 0
            if word.present == 0:
                continue
            i = cursor[s]
            if p.steps != 0:
                count, partial = _fill_resting(
                    s,
                    word.candle,
                    o[i],
                    h[i],
                    l[i],
                    timeline[k],
                    now,
                    grids,
                    risk,
                    costs,
                    book,
                    positions,
                    trades,
                    count,
                    parts,
                    partial,
                )
            p.mark = c[i]
            word.signals = flags[i]
            word.trail_distance = trail[i] if has_trail else np.nan
            if flags[i] & (ENTER_LONG | ENTER_SHORT) != 0:
                j = signal[s]
                while signal_at[j] < i - first[s]:
                    j += 1
                signal[s] = j
                word.stop_distance = signal_stop[j]
                word.take_distance = signal_take[j] if has_take else 0.0
        step(
            book,
            positions,
            orders,
            grids,
            said,
            risk,
            costs.slippage,
            has_take,
            has_trail,
            now,
            refused,
        )
        equity[k] = book.equity
        if not 0.0 < book.equity < MOST:
            return count, partial, k
        for s in range(symbols):
            i = cursor[s]
            if said[s].present == 0 or i + 1 < first[s + 1]:
                continue
            # The symbol's last candle: nothing could fill its orders any more.
            orders[s].side, orders[s].close_reason = 0, 0
            if positions[s].steps != 0:
                trade = trades[count]
                last, candle = parts[partial], said[s].candle
                close_position(
                    book, positions, grids, costs, risk, s, c[i], 0.0, candle, trade, last
                )
                trade.exit_reason = BY_END
                count, partial = _closed(trade, now, count, parts, partial)
                equity[k] = mark(book, positions, grids)
        if not 0.0 < equity[k] < MOST:  # the last fee may have taken what was left
            return count, partial, k
    return count, partial, -1


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
    trail,
    instants,
    instant,
    grids,
    risk,
    book,
    positions,
    equity,
):
    # Pass over the instants after k at which open positions are marked and nothing else can
    # happen: every symbol has a candle, no rule speaks, no level is touched, no stop moves beyond
    # the market, no position is too old, no day begins, no data ends, no position pays funding and
    # the daily limit holds. Returns the last of them.
    wallet = book.wallet / UNIT
    has_trail = len(trail) > 0
    moves = moves_stops(risk, has_trail)
    # What opens after these closes in another day, or has the next instant in it.
    day_end = (book.day + 1) * DAY_MS - timeframe_ms
    due = instants[instant].time - timeframe_ms
    while k + 1 < len(timeline):
        opens = timeline[k + 1]
        while opens > due:
            if positions[instants[instant].symbol].steps != 0:
                return k
            instant += 1
            due = instants[instant].time - timeframe_ms
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
                take, _ = nearest_take(p)
                which, _, _, _ = resting_fill(p.steps, p.stop_level, take, o[i], h[i], l[i])
                if which != NOT_FILLED or is_old(p, i - first[s], risk):
                    return k
                if moves:
                    level, _ = _moved(p, grids[s], risk, has_trail, trail, h[i], l[i], i)
                    if level != p.stop_level and is_beyond(p, level, c[i]):
                        return k
                value += qty_of(p.steps, grids[s]) * (c[i] - p.entry)
        lost = loses_too_much(book, value, risk.daily_loss_limit)
        if lost or not 0.0 < value < MOST or opens > day_end:
            return k
        k += 1
        for s in range(len(positions)):
            p = positions[s]
            i = cursor[s]
            i += open_time[i] < opens
            cursor[s] = i
            if moves and p.steps != 0:
                p.stop_level, p.stop_reason = _moved(
                    p, grids[s], risk, has_trail, trail, h[i], l[i], i
                )
            p.mark, p.lowest, p.highest = c[i], min(p.lowest, l[i]), max(p.highest, h[i])
        equity[k] = value
        book.equity = value
    return k


@kernel
def _moved(p, g, risk, has_trail, trail, high, low, i):
    best = max(p.highest, high) if p.steps > 0 else min(p.lowest, low)
    return moved_stop(p, g, risk, has_trail, trail[i] if has_trail else np.nan, best)


@kernel
def _fill_resting(
    s,
    candle,
    o,
    h,
    l,  # noqa: E741
    opened,
    closed,
    grids,
    risk,
    costs,
    book,
    positions,
    trades,
    count,
    parts,
    partial,
):
    # One candle against a position's resting orders; parts first, since they lie nearer.
    p = positions[s]
    while p.steps != 0:
        take, part = nearest_take(p)
        which, price, at_open, ambiguous = resting_fill(p.steps, p.stop_level, take, o, h, l)
        if which == NOT_FILLED:
            p.lowest, p.highest = min(p.lowest, l), max(p.highest, h)
            break
        time = opened if at_open else closed
        if which == TAKE_FILLED and part != 0:
            close_part(book, positions, grids, costs, s, part, price, parts[partial])
            partial = _place_part(parts, partial, s, time, candle)
            continue
        trade, moved = trades[count], p.stop_reason
        last = parts[partial]
        close_position(
            book, positions, grids, costs, risk, s, price, costs.slippage, candle, trade, last
        )
        trade.exit_reason = moved if which == STOP_FILLED else BY_TAKE
        trade.ambiguous = 1 if ambiguous else 0
        count, partial = _closed(trade, time, count, parts, partial)
    return count, partial


@kernel
def _place_part(parts, partial, s, time, candle):
    part = parts[partial]
    part.symbol, part.time, part.candle = s, time, candle
    return partial + 1


@kernel
def _closed(trade, time, count, parts, partial):
    trade.exit_time = time
    if trade.parts > 0:  # what closed the rest is a part as well
        partial = _place_part(parts, partial, trade.symbol, time, trade.exit_candle)
    return count + 1, partial


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
    parts,
    partial,
    refused,
):
    # Market orders of the decision before, at this open: closing legs first, then opening ones.
    for s in range(len(orders)):
        order = orders[s]
        if said[s].present != 0 and order.close_reason != 0:
            i = cursor[s]
            trade = trades[count]
            last, candle = parts[partial], i - first[s]
            close_position(
                book, positions, grids, costs, risk, s, o[i], costs.slippage, candle, trade, last
            )
            trade.exit_reason, order.close_reason, trade.ordered = order.close_reason, 0, 1
            count, partial = _closed(trade, open_time[i], count, parts, partial)
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
    return count, partial
