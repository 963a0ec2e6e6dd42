"""From the fills of one position to the records that a backtest keeps of its trades."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from live.order_ids import CONDITIONAL_LEGS, PART_LEGS
from strategy.fills import NOT_FILLED, resting_fill
from strategy.grid import qty_of
from strategy.records import (
    BY_BREAK_EVEN,
    BY_END,
    BY_FLATTEN,
    BY_STOP,
    BY_TAKE,
    BY_TRAILING,
    PART,
)

Arrays = dict[str, NDArray[Any]]
BY_ANY_STOP = (BY_STOP, BY_TRAILING, BY_BREAK_EVEN)


class Fill(NamedTuple):
    """One fill, or its share in a trade.

    Attributes
    ----------
    pnl, fee : int
        Units of 1e-8.
    decided : float
        The close at the decision, NaN where unknown.
    level : float
        Of the order that filled, 0.0 for one at market.
    """

    steps: int
    price: float
    time: int
    leg: str
    reason: int
    decided_at: int
    decided: float
    level: float
    pnl: int
    fee: int


@dataclass(slots=True)
class Trip:
    """A position from its first fill to its last."""

    symbol: int
    side: int
    first_stop: float
    reversal: int
    stop_distance: float
    entry: float = 0.0
    stop: float = 0.0
    take: float = 0.0
    funding: int = 0  # units of 1e-8, paid above 0
    entries: list[Fill] = field(default_factory=list)
    exits: list[Fill] = field(default_factory=list)

    @property
    def opened(self) -> int:
        """Time of the first fill, UTC ms."""
        return self.entries[0].time

    @property
    def pnl(self) -> int:
        """Units of 1e-8, before fees and funding."""
        return sum(fill.pnl for fill in self.exits)

    @property
    def fees(self) -> int:
        """Units of 1e-8."""
        return sum(fill.fee for fill in (*self.entries, *self.exits))

    @property
    def net(self) -> int:
        """Units of 1e-8, after fees and funding."""
        return self.pnl - self.fees - self.funding

    @property
    def steps(self) -> int:
        return sum(part.steps for part in self.entries)

    @property
    def held(self) -> int:
        return self.steps - sum(part.steps for part in self.exits)


def write_trade(trade: Any, trip: Trip, arrays: Arrays, g: Any, length: int, offset: int) -> None:
    """Fill in the TRADE record of a position but for whether its exit was ambiguous."""
    first, last = trip.entries[0], trip.exits[-1]
    side, entry, qty = trip.side, _average(trip.entries), qty_of(trip.steps, g)
    begin, end = candle_of(arrays, first.time), candle_of(arrays, last.time)
    trade.symbol, trade.side, trade.steps, trade.qty = trip.symbol, side, trip.steps, qty
    trade.entry_time, trade.entry_candle = _stamp(first.time, length, offset), begin
    trade.exit_time, trade.exit_candle = _stamp(last.time, length, offset), end
    trade.entry_price, trade.exit_price = entry, _average(trip.exits)
    trade.stop, trade.last_stop, trade.take = trip.first_stop, trip.stop, trip.take
    trade.pnl, trade.fees, trade.funding = trip.pnl, trip.fees, trip.funding
    trade.risked, trade.reversal = qty * trip.stop_distance, trip.reversal
    trade.parts = len({part.leg for part in trip.exits} & set(PART_LEGS))
    trade.exit_reason, trade.ordered = last.reason, int(last.leg == "x")
    lost = 0.0
    for part, direction in (
        *((one, side) for one in trip.entries),
        *((x, -side) for x in trip.exits),
    ):
        price = _before_slippage(trip, part, arrays, length)
        lost += qty_of(part.steps, g) * (direction * (part.price - price))
    trade.slippage = lost
    # The exit's own candle is left out: what it did after the exit was no longer ours.
    inside = slice(begin, end + 1 if last.reason == BY_END else end)
    prices = [part.price for part in (*trip.entries, *trip.exits)]
    low = min([*prices, *arrays["low"][inside].tolist()])
    high = max([*prices, *arrays["high"][inside].tolist()])
    worst, best = (low, high) if side > 0 else (high, low)
    trade.mae, trade.mfe = side * (worst - entry) / entry, side * (best - entry) / entry


def parts_of(trip: Trip, g: Any, arrays: Arrays, length: int, offset: int) -> Any:
    """Return the PART records of a position: each partial take-profit, then the rest; none for one
    that was closed at once."""
    by_leg: dict[str, list[Fill]] = {}
    for fill in trip.exits:
        by_leg.setdefault(fill.leg if fill.leg in PART_LEGS else "", []).append(fill)
    if set(by_leg) == {""}:
        by_leg = {}
    parts = np.zeros(len(by_leg), PART).view(np.recarray)
    for part, fills in zip(parts, by_leg.values(), strict=True):
        part.symbol, part.steps = trip.symbol, sum(fill.steps for fill in fills)
        part.qty = qty_of(part.steps, g)
        part.time = _stamp(fills[-1].time, length, offset)
        part.candle, part.price = candle_of(arrays, fills[-1].time), _average(fills)
        part.pnl, part.fee = sum(x.pnl for x in fills), sum(x.fee for x in fills)
    return parts


def _before_slippage(trip: Trip, part: Fill, arrays: Arrays, length: int) -> float:
    # The price that a fill is measured by.
    times = arrays["open_time"]
    if part.reason in (*BY_ANY_STOP, BY_TAKE) and part.leg != "x":
        level = part.level or (trip.take if part.reason == BY_TAKE else trip.stop)
        i = candle_of(arrays, part.time)
        if not len(times) or not times[i] <= part.time < times[i] + length:
            return level if part.leg in CONDITIONAL_LEGS else part.price
        o, h, l = (float(arrays[name][i]) for name in ("open", "high", "low"))  # noqa: E741
        stops = part.reason in BY_ANY_STOP
        stop, take = (level, 0.0) if stops else (-trip.side * np.inf, level)  # never, and none
        which, price, _, _ = resting_fill(trip.side, stop, take, o, h, l)
        if which != NOT_FILLED:
            return float(price)
        # A stop that could not be placed was closed at market, where it had no level.
        return level if part.leg in CONDITIONAL_LEGS else part.price
    if part.reason == BY_END:
        return part.decided
    if part.reason == BY_FLATTEN or not part.decided_at:
        return part.price  # nobody asked for it at a close
    # An order of a close is due at the open of the next candle there is.
    i = int(np.searchsorted(times, part.decided_at))
    if i < len(times):
        return float(arrays["open"][i])
    return part.price if np.isnan(part.decided) else part.decided


def candle_of(arrays: Arrays, time: int) -> int:
    """Return the position of the candle that runs at a time."""
    return max(int(np.searchsorted(arrays["open_time"], time, "right")) - 1, 0)


def _stamp(time: int, length: int, offset: int) -> int:
    return time + 1 if (time + 1 - offset) % length == 0 else time


def _average(parts: list[Fill]) -> float:
    if all(part.price == parts[0].price for part in parts):
        return parts[0].price
    steps = sum(part.steps for part in parts)
    return sum(part.steps * part.price for part in parts) / steps


def closed_at(trip: Trip, length: int, offset: int) -> tuple[int, int, int]:
    """Return what sorts trades in the order in which a backtest closes them."""
    # The backtest closes by candle; within one, orders at the open come before levels, and each in
    # the order of the symbols.
    last = trip.exits[-1]
    by_level = last.reason in (*BY_ANY_STOP, BY_TAKE) and last.leg != "x"
    phase = 2 if last.reason == BY_END else int(by_level)
    return last.time - (last.time - offset) % length, phase, trip.symbol
