"""Funding: what positions pay each other at the exchange's funding instants."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.account import MOST
from strategy.booking import book_funding
from strategy.errors import WickError
from strategy.kernel import borrowing
from strategy.records import UNIT

# One funding instant of one of the symbols.
INSTANT = np.dtype(
    [
        ("time", np.int64),  # UTC ms
        ("symbol", np.int64),  # position in the list of symbols
        ("rate", np.float64),
        ("price", np.float64),  # mark price, NaN where it is not known
    ],
    align=True,
)
NEVER = 2**62


class Funding(NamedTuple):
    """The funding instants of one symbol.

    Attributes
    ----------
    time : int64 (n,)
        UTC ms on whole minutes, strictly increasing, at whatever intervals.
    rate : float64 (n,)
        What a long pays and a short receives, as a share of the position's value.
    price : float64 (n,)
        Mark price at each instant; NaN where it is not known, and the last close stands in.
    """

    time: NDArray[np.int64]
    rate: NDArray[np.float64]
    price: NDArray[np.float64]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the exact arrays."""
        digest = hashlib.sha256(len(self.time).to_bytes(8, "little"))
        for array in self:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def within(self, first_ms: int, end_ms: int) -> "Funding":
        """Return the instants from one time on and before another, sharing memory."""
        low, high = np.searchsorted(self.time, (first_ms, end_ms)).tolist()
        return Funding(self.time[low:high], self.rate[low:high], self.price[low:high])


def no_funding() -> Funding:
    """Return a Funding without instants."""
    return Funding(np.empty(0, np.int64), np.empty(0), np.empty(0))


def instants_of(each: Sequence[Funding]) -> Any:
    """Merge the instants of all symbols in the order they are booked in: by time, then in the
    symbols' own order.

    Returns
    -------
    record array of INSTANT
        Behind the last one stands one that never comes.
    """
    lengths = [len(one.time) for one in each]
    out: Any = np.zeros(sum(lengths) + 1, INSTANT).view(np.recarray)
    out.time[-1] = NEVER
    if len(out) == 1:
        return out
    out.symbol[:-1] = np.repeat(np.arange(len(each)), lengths)
    for at, name in enumerate(Funding._fields):
        out[name][:-1] = np.concatenate([one[at] for one in each])
    order = np.lexsort((out.symbol, out.time))
    return out[order]


def check_funding(one: Funding, symbol: str) -> None:
    """Refuse what cannot be booked.

    Raises
    ------
    WickError
        The arrays differ in length, times do not increase or are no whole minutes, a rate is no
        finite number, or a price neither positive nor NaN.
    """
    lengths = [len(array) for array in one]
    if len(set(lengths)) != 1:
        raise WickError(
            f"funding of {symbol} has {lengths[0]} times, {lengths[1]} rates and"
            f" {lengths[2]} prices, expected as many of each",
            "give NaN where a price is not known",
        )
    later = np.concatenate(([True], np.diff(one.time) > 0))
    good = later & (one.time % 60_000 == 0) & np.isfinite(one.rate)
    good &= np.isnan(one.price) | ((one.price > 0.0) & np.isfinite(one.price))
    if not good.all():
        at = int(np.argmin(good))
        time, rate, price = (array[at] for array in one)
        raise WickError(
            f"funding of {symbol} at position {at} is wrong: time {time}, rate {rate}, price"
            f" {price}",
            "times rise by whole minutes (UTC ms), rates are numbers, prices above 0 or NaN",
        )


@borrowing
def pay_funding(account, positions, grids, instants, at, until):
    """Book the instants from position `at` on that come before a time, and return the position of
    the first one that does not; -1 where the wallet has left the range in which money is kept.

    Each is booked on what its symbol holds now, at its mark price or, where that is not known, at
    the symbol's last close.
    """
    while instants[at].time < until:
        # There may be many before the next mark, and a few beyond `MOST` would overflow.
        if not -MOST * UNIT <= account.wallet <= MOST * UNIT:
            return -1
        one = instants[at]
        p = positions[one.symbol]
        if p.steps != 0:
            price = p.mark if np.isnan(one.price) else one.price
            book_funding(account, p, grids[one.symbol], price, one.rate)
        at += 1
    return at
