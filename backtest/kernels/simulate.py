"""The walk through the candles: from one instant at which something happens to the next.

Nothing is done for a symbol that neither holds a position, nor waits for a fill, nor says
something, so the work is that of the trades, whatever the number of symbols.
"""

import numpy as np

from backtest.kernels.capped import NO_EXIT, deafen
from backtest.kernels.detailed import fill_detailed
from backtest.kernels.hold import catch_up, mark_through, next_due
from backtest.kernels.late import (
    after_decision,
    before_decision,
    is_unguarded,
    is_watched,
    meet_exchange,
)
from backtest.kernels.liquidate import before_liquidation, liquidate
from backtest.kernels.orders import fill_limits, fill_orders
from backtest.kernels.queue import pop, push
from backtest.kernels.resting import close, closed, fill_resting, fill_unguarded
from backtest.kernels.search import search
from strategy.account import MOST, mark, step
from strategy.dated import take_changes
from strategy.fills import DETAIL
from strategy.funding import NEVER, pay_funding
from strategy.kernel import borrowing, part
from strategy.records import BY_END, UNIT
from strategy.rules import ENTER_LONG, ENTER_SHORT
from strategy.timeframes import DAY_MS


@borrowing
def simulate(
    timeline, timeframe_ms, market, finer, words, has_take, instants, desk, account, record, walk
):
    """Run all symbols through the timeline.

    Parameters
    ----------
    timeline : int64 (instants,)
        Opens of all candles, the union over symbols.
    market : Market
    finer : Finer
        What happened inside its candles.
    words : Words
    instants : record array of INSTANT
        Funding of all symbols.
    desk : Desk
    account : record array of ACCOUNT
    record : Record
    walk : Walk
        From `begin`.

    Returns
    -------
    count : int
        Closed trades.
    partial : int
        Partial take-profits.
    stopped : int
        The instant at which the equity was used up or beyond `MOST`, -1 if it never was.
    """
    positions, orders, said, grids = desk.positions, desk.orders, desk.said, desk.grids
    equity, risk, late = record.equity, desk.risk, desk.late
    n, book = len(timeline), account[0]
    has_ahead, detailed = len(market.ahead) > 0, desk.costs.intrabar == DETAIL
    capped = desk.costs.volume_share > 0.0
    for s in range(len(positions)):
        said[s].slippage = desk.costs.slippage
        said[s].limited = 1 if len(words.limit) > 0 else 0
    count, partial, k, instant = 0, 0, -1, 0
    many, waiting = 0, 0  # busy symbols, and those in the queue
    for s in range(len(positions)):
        waiting = _await_signal(s, market, words, walk, waiting)
    liquidates = len(desk.margin.tiers.each) > 0
    # With one of them a decision about one symbol, or its loss, can close any other.
    all_due = risk.daily_loss_flatten != 0.0 or liquidates
    while k + 1 < n:
        who = walk.busy[:many]
        soonest = _soonest(who, timeframe_ms, walk, waiting, instants, instant, desk, book)
        stop = _position(timeline, k + 1, soonest, timeframe_ms)
        if liquidates and stop > k + 1:
            stop = before_liquidation(
                timeline, k, stop, market, desk, who, walk.cursor, book, equity
            )
        k = 1 + mark_through(timeline, k, stop, market, desk, who, walk.cursor, book, equity)
        if k >= n:
            break
        opens, now = timeline[k], timeline[k] + timeframe_ms
        while waiting > 0 and walk.times[0] <= opens:
            many = _join(pop(walk.times, walk.symbols, waiting), walk.busy, many)
            waiting -= 1
        who = walk.busy[:many]
        ordered = _look(who, opens, all_due, market, words, walk, desk)
        if late.ms > 0:
            for s in who:
                if said[s].present != 0 and positions[s].steps != 0:
                    meet_exchange(late, s, positions[s], opens)
        if instants[instant].time <= opens:
            instant = pay_funding(book, positions, grids, instants, instant, opens + 1)
            if instant < 0:
                equity[k] = book.wallet / UNIT
                return count, partial, k
        if ordered:
            count, partial = fill_orders(
                who, walk.cursor, market, desk, book, record, count, partial
            )
        if instants[instant].time < now:
            instant = pay_funding(book, positions, grids, instants, instant, now)
            if instant < 0:
                equity[k] = book.wallet / UNIT
                return count, partial, k
        if liquidates:
            count, partial = liquidate(
                who, walk.cursor, market, desk, book, record, count, partial, False, opens
            )
        if ordered and len(words.limit) > 0:
            count, partial = fill_limits(
                who, walk.cursor, market, now, desk, book, record, count, partial
            )
        for s in who:
            i = walk.cursor[s]
            if said[s].present != 0:
                candle = said[s].candle
                if positions[s].steps != 0 and (
                    is_unguarded(late, s, opens) or (capped and positions[s].closing != NO_EXIT)
                ):
                    count, partial = fill_unguarded(
                        s, candle, i, who, market, opens, now, desk, book, record, count, partial
                    )
                elif positions[s].steps != 0 and detailed:
                    count, partial = fill_detailed(
                        s,
                        candle,
                        i,
                        who,
                        market,
                        finer,
                        opens,
                        now,
                        desk,
                        book,
                        record,
                        count,
                        partial,
                    )
                elif positions[s].steps != 0:
                    count, partial = fill_resting(
                        s, candle, i, who, market, opens, now, desk, book, record, count, partial
                    )
                _hear(s, i, market, words, has_take, walk.signal, said[s])
            positions[s].mark = market.c[i]
            if has_ahead:
                said[s].slippage = desk.costs.slippage + market.ahead[i]
        if liquidates:
            count, partial = liquidate(
                who, walk.cursor, market, desk, book, record, count, partial, True, now
            )
        if late.ms > 0:
            for s in who:
                before_decision(late, s, positions[s], orders[s], said[s].present)
        if capped:
            deafen(who, positions, said)
        if len(desk.changes.time) > 0:
            take_changes(desk.changes, now, who, positions, orders, grids, desk.margin.tiers)
        step(
            book,
            positions,
            orders,
            grids,
            said,
            who,
            risk,
            has_take,
            len(words.trail) > 0,
            now,
            record.refused,
        )
        if late.ms > 0:
            for s in who:
                after_decision(late, s, positions[s], orders[s], now)
        equity[k] = book.equity
        if not _goes_on(book.equity, liquidates):
            return count, partial, k
        for s in who:
            i = walk.cursor[s]
            if said[s].present == 0 or i + 1 < market.first[s + 1]:
                continue
            # The symbol's last candle: nothing could fill its orders any more.
            orders[s].side, orders[s].close_reason = 0, 0
            if positions[s].steps != 0:
                candle = said[s].candle
                if late.ms > 0:
                    meet_exchange(late, s, positions[s], now)
                trade = close(s, market.c[i], 0.0, candle, desk, book, record, count, partial)
                trade.exit_reason = BY_END
                count, partial = closed(trade, now, record, count, partial)
                equity[k] = mark(book, positions, grids, who)
        if not _goes_on(equity[k], liquidates):  # the last fee may have taken what was left
            return count, partial, k
        many, waiting = _sort_out(many, waiting, opens, market, words, walk, desk)
    return count, partial, -1


@part
def _soonest(who, timeframe_ms, walk, waiting, instants, instant, desk, book):
    # The open of the next candle at which something happens, or a time between candles before it.
    soonest = walk.times[0] if waiting > 0 else NEVER
    held = False
    for s in who:
        soonest = min(soonest, walk.due[s])
        held |= desk.positions[s].steps != 0
    if not held:
        return soonest
    if desk.risk.daily_loss_limit > 0.0:
        # The first candle that closes in another day: the day's opening equity is the mark before.
        soonest = min(soonest, (book.day + 1) * DAY_MS - timeframe_ms + 1)
    while instants[instant].time - timeframe_ms < soonest:
        if desk.positions[instants[instant].symbol].steps != 0:
            return instants[instant].time - timeframe_ms + 1
        instant += 1
    return soonest


@part
def _position(timeline, low, time, timeframe_ms):
    # Of the first instant from `low` on that does not open before a time.
    if time == NEVER:
        return len(timeline)
    if time <= timeline[low]:
        return low
    return search(timeline, low, len(timeline), time, (time - timeline[low]) // timeframe_ms)


@part
def _join(s, busy, many):
    # Busy symbols stand in configured order.
    at = many
    while at > 0 and busy[at - 1] > s:
        busy[at] = busy[at - 1]
        at -= 1
    busy[at] = s
    return many + 1


@part
def _look(who, opens, all_due, market, words, walk, desk):
    # Bring busy symbols to the instant: is there a candle, and does anything happen in it?
    ordered = False
    for s in who:
        i, word = walk.cursor[s], desk.said[s]
        before = i
        if i + 1 < market.first[s + 1] and market.open_time[i + 1] <= opens:
            i += 1
            walk.cursor[s] = i
        there = market.open_time[i] == opens
        word.present = 1 if there and (all_due or walk.due[s] <= opens) else 0
        word.candle, word.signals = i - market.first[s], 0
        ordered |= desk.orders[s].side != 0 or desk.orders[s].close_reason != 0
        if (word.present != 0 or all_due) and desk.positions[s].steps != 0:
            catch_up(s, walk.seen[s], before, market, words, desk)
            walk.seen[s] = i
    return ordered


@part
def _sort_out(many, waiting, opens, market, words, walk, desk):
    # Which symbols stay busy after an instant, and when they are looked at again.
    kept = 0
    for b in range(many):
        s = walk.busy[b]
        order = desk.orders[s]
        i = walk.cursor[s]
        if order.side != 0 or order.close_reason != 0:
            walk.seen[s] = i
            walk.due[s] = market.open_time[i + 1] if i + 1 < market.first[s + 1] else NEVER
        elif desk.positions[s].steps == 0:
            waiting = _await_signal(s, market, words, walk, waiting)
            continue
        elif walk.due[s] <= opens:
            walk.seen[s] = i
            after, has_trail = i + 1, len(words.trail) > 0
            if not is_watched(desk.late, desk.risk, has_trail, s, market.open_time[after]):
                after = next_due(s, i, market, words, desk)
            walk.due[s] = market.open_time[after]
        walk.busy[kept] = s
        kept += 1
    return kept, waiting


@part
def _await_signal(s, market, words, walk, waiting):
    # Put a symbol that is not busy into the queue, at its next entry candle.
    j, start, end = walk.signal[s], market.first[s], words.first[s + 1]
    while j < end and start + words.at[j] <= walk.cursor[s]:
        j += 1
    walk.signal[s] = j
    if j == end:
        return waiting
    i = start + words.at[j]
    walk.cursor[s], walk.due[s] = i - 1, market.open_time[i]
    push(walk.times, walk.symbols, waiting, walk.due[s], s)
    return waiting + 1


@part
def _goes_on(equity, liquidates):
    # Where positions are liquidated, an account can end at nothing; it cannot owe anything.
    return 0.0 < equity < MOST or (liquidates and equity == 0.0)


@part
def _hear(s, i, market, words, has_take, signal, word):
    # What the rules say of candle i.
    word.signals = words.flags[i]
    word.trail_distance = words.trail[i] if len(words.trail) > 0 else np.nan
    if words.flags[i] & (ENTER_LONG | ENTER_SHORT) != 0:
        j, candle = signal[s], i - market.first[s]
        while words.at[j] < candle:
            j += 1
        signal[s] = j
        word.stop_distance = words.stop[j]
        word.priority = words.priority[j] if len(words.priority) > 0 else 0.0
        word.take_distance = words.take[j] if has_take else 0.0
        word.limit_distance = words.limit[j] if len(words.limit) > 0 else np.nan
