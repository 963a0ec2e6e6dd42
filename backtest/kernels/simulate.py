"""The walk through the candles: jumps from signal to signal while nothing is open."""

import numpy as np

from backtest.kernels.hold import hold
from backtest.kernels.orders import fill_orders
from backtest.kernels.resting import close, closed, fill_resting
from backtest.kernels.search import next_signal, search
from strategy.account import MOST, mark, step
from strategy.funding import pay_funding
from strategy.kernel import kernel
from strategy.records import BY_END, UNIT
from strategy.rules import ENTER_LONG, ENTER_SHORT


@kernel
def simulate(timeline, timeframe_ms, market, words, has_take, instants, desk, account, record):
    """Run all symbols through the timeline.

    Parameters
    ----------
    timeline : int64 (instants,)
        Opens of all candles, the union over symbols.
    market : Market
    words : Words
    instants : record array of INSTANT
        Funding of all symbols.
    desk : Desk
    account : record array of ACCOUNT
    record : Record

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
    equity = record.equity
    symbols, n = len(positions), len(timeline)
    book = account[0]
    cursor = market.first[:-1].copy()
    signal = words.first[:-1].copy()
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
            k = hold(
                timeline,
                k,
                timeframe_ms,
                cursor,
                market,
                words,
                instants,
                instant,
                desk,
                book,
                equity,
            )
            before = k
        if busy or ordered:
            k += 1
        else:
            k = next_signal(timeline, k, market, words, signal, timeframe_ms)
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
            end = market.first[s + 1]
            i = search(market.open_time, cursor[s], end, timeline[k], k - before)
            cursor[s] = i
            said[s].present = 1 if i < end and market.open_time[i] == timeline[k] else 0
            said[s].candle = i - market.first[s]
        if ordered:
            count, partial = fill_orders(cursor, market, desk, book, record, count, partial)
        if instants[instant].time < now:
            instant = pay_funding(book, positions, grids, instants, instant, now)
            if instant < 0:
                equity[k] = book.wallet / UNIT
                return count, partial, k
        for s in range(symbols):
            said[s].signals = 0
            if said[s].present == 0:
                continue
            i = cursor[s]
            if positions[s].steps != 0:
                candle, opened = said[s].candle, timeline[k]
                count, partial = fill_resting(
                    s, candle, i, market, opened, now, desk, book, record, count, partial
                )
            positions[s].mark = market.c[i]
            _hear(s, i, market, words, has_take, signal, said[s])
        step(
            book,
            positions,
            orders,
            grids,
            said,
            desk.risk,
            desk.costs.slippage,
            has_take,
            len(words.trail) > 0,
            now,
            record.refused,
        )
        equity[k] = book.equity
        if not 0.0 < book.equity < MOST:
            return count, partial, k
        for s in range(symbols):
            i = cursor[s]
            if said[s].present == 0 or i + 1 < market.first[s + 1]:
                continue
            # The symbol's last candle: nothing could fill its orders any more.
            orders[s].side, orders[s].close_reason = 0, 0
            if positions[s].steps != 0:
                candle = said[s].candle
                trade = close(s, market.c[i], 0.0, candle, desk, book, record, count, partial)
                trade.exit_reason = BY_END
                count, partial = closed(trade, now, record, count, partial)
                equity[k] = mark(book, positions, grids)
        if not 0.0 < equity[k] < MOST:  # the last fee may have taken what was left
            return count, partial, k
    return count, partial, -1


@kernel
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
        word.take_distance = words.take[j] if has_take else 0.0
