"""The simulated exchange's funding: when which symbol pays what, and what it answers about it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from live.simulator.checks import rows, window
from live.simulator.state import Params, State
from live.simulator.texts import plain_text
from strategy.funding import Funding, check_funding, instants_of, no_funding

HOUR_MS = 3_600_000
USUAL_INTERVAL_MS = 8 * HOUR_MS


class Instant(NamedTuple):
    """One funding instant; `price` is NaN where the last close is the mark price."""

    time: int
    symbol: str
    rate: float
    price: float


class Schedule:
    """The funding instants of all symbols, each of them due once.

    Parameters
    ----------
    symbols : sequence of str
        In the order in which they pay at one instant.
    funding : sequence of Funding or None
        One per symbol; None for an exchange without funding.

    Raises
    ------
    WickError
        A symbol's funding cannot be booked.
    """

    def __init__(self, symbols: Sequence[str], funding: Sequence[Funding] | None) -> None:
        each = funding or [no_funding()] * len(symbols)
        self._symbols = tuple(symbols)
        self._of = dict(zip(symbols, each, strict=True))
        for symbol, one in self._of.items():
            check_funding(one, symbol)
        self._instants = instants_of(each)
        self._next = 0

    def due(self, until_ms: int) -> Iterator[Instant]:
        """Give the instants before a time that have not been given yet, in the order they are
        booked in."""
        while (one := self._instants[self._next]).time < until_ms:
            self._next += 1
            symbol = self._symbols[int(one.symbol)]
            yield Instant(int(one.time), symbol, float(one.rate), float(one.price))

    def running(self, symbol: str, now_ms: int) -> tuple[float, int]:
        """Return the rate of the next instant and when it comes; 0.0 at the usual hours where none
        is known."""
        its = self._of[symbol]
        at = int(np.searchsorted(its.time, now_ms, "right"))
        if at < len(its.time):
            return float(its.rate[at]), int(its.time[at])
        return 0.0, (now_ms // USUAL_INTERVAL_MS + 1) * USUAL_INTERVAL_MS

    def interval_ms(self, symbol: str, now_ms: int) -> int:
        """Return how long the interval is that runs now."""
        times = self._of[symbol].time
        at = int(np.searchsorted(times, now_ms, "right"))
        at = min(max(at, 1), len(times) - 1)
        return int(times[at] - times[at - 1]) if at > 0 else USUAL_INTERVAL_MS

    def past(self, symbol: str, first_ms: int, last_ms: int) -> Iterator[Instant]:
        """Give the instants of a symbol between two times, both included."""
        for time, rate, price in zip(*self._of[symbol].within(first_ms, last_ms + 1), strict=True):
            yield Instant(int(time), symbol, float(rate), float(price))


class FundingAnswers:
    """Answers about funding rates."""

    def __init__(self, state: State, schedule: Schedule) -> None:
        self._state = state
        self._schedule = schedule

    def rates(self, p: Params) -> list[dict[str, Any]]:
        """GET fundingRate: settled ones, from a time on or the newest."""
        most, (first, last) = rows(p, 100), window(p)
        last = min(last, self._state.now)
        found = [
            one
            for market in self._state.asked_markets(p)
            for one in self._schedule.past(market.rules.symbol, first, last)
        ]
        found.sort(key=lambda one: one.time)
        return [_rate(one) for one in (found[:most] if p.get("startTime") else found[-most:])]

    def info(self, _: Params) -> list[dict[str, Any]]:
        """GET fundingInfo: the symbols with another interval than the usual one."""
        found = []
        for symbol in self._state.markets:
            interval_ms = self._schedule.interval_ms(symbol, self._state.now)
            if interval_ms != USUAL_INTERVAL_MS and interval_ms % HOUR_MS == 0:
                found.append(
                    {
                        "symbol": symbol,
                        "adjustedFundingRateCap": "0.02000000",
                        "adjustedFundingRateFloor": "-0.02000000",
                        "fundingIntervalHours": interval_ms // HOUR_MS,
                        "disclaimer": False,
                    }
                )
        return found


def _rate(one: Instant) -> dict[str, Any]:
    return {
        "symbol": one.symbol,
        "fundingRate": plain_text(one.rate),
        "fundingTime": one.time,
        # As the exchange does for old rows, whose mark price it does not know any more.
        "markPrice": "" if np.isnan(one.price) else plain_text(one.price),
        "rateType": "Regular",
    }
