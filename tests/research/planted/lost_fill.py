"""A trader that never hears of its third fill, however often it is told."""

import wick
from live.exchange.port import Trade
from live.trade_executor import TradeExecutor

_book = TradeExecutor.book


def deaf(self: TradeExecutor, trade: Trade) -> bool:
    return trade.trade_id != 3 and _book(self, trade)


if __name__ == "__main__":
    TradeExecutor.book = deaf  # type: ignore[method-assign]
    wick.main()
