"""A trader that never hears of its third fill, however often it is told."""

import wick
from live.exchange.port import Trade
from live.inquiries import Inquiries

_take = Inquiries._take


def deaf(self: Inquiries, trade: Trade) -> bool:
    return trade.trade_id != 3 and _take(self, trade)


if __name__ == "__main__":
    Inquiries._take = deaf  # type: ignore[method-assign]
    wick.main()
