"""A trader that never learns of its third funding payment, however often it asks."""

import wick
from live.exchange.port import FundingFee
from live.funding import Payments

_book = Payments._book


async def forget(self: Payments, fee: FundingFee) -> None:
    if fee.number != 3:
        await _book(self, fee)


if __name__ == "__main__":
    Payments._book = forget  # type: ignore[method-assign]
    wick.main()
