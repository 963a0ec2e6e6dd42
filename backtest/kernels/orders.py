"""Market orders of a decision, at the next open."""

from backtest.kernels.market import slip_of
from backtest.kernels.resting import close, closed
from strategy.booking import open_position
from strategy.kernel import borrowing
from strategy.risk import APPROVED


@borrowing
def fill_orders(who, cursor, market, desk, book, record, count, partial):
    """Fill what was decided before for the symbols ``who`` at the opens under the cursor: closing
    legs first, then opening ones. Return the numbers of trades and of parts."""
    orders, said, costs = desk.orders, desk.said, desk.costs
    for s in who:
        order = orders[s]
        if said[s].present != 0 and order.close_reason != 0:
            i = cursor[s]
            candle, slippage = i - market.first[s], slip_of(costs, market, i)
            trade = close(s, market.o[i], slippage, candle, desk, book, record, count, partial)
            trade.exit_reason, order.close_reason, trade.ordered = order.close_reason, 0, 1
            count, partial = closed(trade, market.open_time[i], record, count, partial)
    for s in who:
        order = orders[s]
        if said[s].present != 0 and order.side != 0:
            i = cursor[s]
            answer = open_position(
                book,
                desk.positions,
                desk.grids,
                who,
                costs,
                desk.risk,
                s,
                order,
                market.o[i],
                slip_of(costs, market, i),
                market.open_time[i],
                i - market.first[s],
            )
            order.side, order.steps = 0, 0
            if answer != APPROVED:
                record.refused[s, answer] += 1
    return count, partial
