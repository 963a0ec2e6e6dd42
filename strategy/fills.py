"""How an order fills on a candle: slippage, tick, gap, touch and fee. Used by the backtester and
the simulator."""

from typing import NamedTuple

import numpy as np

from strategy.errors import WickError
from strategy.grid import price_at, ticks_down, ticks_up
from strategy.kernel import kernel

# Of what slippage adds to the fixed share. Beyond, a sale would be at next to nothing; the exchange
# stops market orders far earlier.
MOST_EXTRA = 0.5
NOT_FILLED, STOP_FILLED, TAKE_FILLED = 0, 1, 2
INTRABAR = ("worst", "best", "detail")  # costs.intrabar
WORST, BEST, DETAIL = range(len(INTRABAR))


class Costs(NamedTuple):
    """What trading costs and how orders fill; 0 switches a model off.

    Attributes
    ----------
    fee_rate : float
        Taker fee on the notional of each fill; 0.0005 is the exchange's regular rate.
    slippage : float
        How much worse than the candle's price a market order fills, as a share of it.
    maker_rate : float
        Fee on what a resting limit order fills.
    spread : float
        Half spreads, as recorded in book data, that a market order pays on top; 1 is what stood in
        the book.
    atr : float
        Share of the ATR over 14 candles that a market order pays on top.
    impact : float
        What a market order pays on top, as a share of the price, for each share of the candle's
        volume that it takes.
    volume_share : float
        Largest share of a candle's volume that a symbol's orders fill; the rest of an exit goes on
        at the next open.
    latency_ms : float
        Time from a decision to its orders' arrival, in whole ms; on candles under a minute.
    limit_through : int
        1: a limit order fills only if the price trades beyond it; 0: a touch fills.
    intrabar : int
        What comes first where a candle touches both stop and take: 0 the stop, 1 the take, 2 what
        finer candles say.
    """

    fee_rate: float = 0.0005
    slippage: float = 0.0001
    maker_rate: float = 0.0002
    spread: float = 0.0
    atr: float = 0.0
    impact: float = 0.0
    volume_share: float = 0.0
    latency_ms: float = 0.0
    limit_through: int = 0
    intrabar: int = 0


_BELOW = {  # exclusive upper bounds
    "fee_rate": 0.1,
    "slippage": 0.1,
    "maker_rate": 0.1,
    "spread": 100.0,
    "atr": 10.0,
    "impact": 1e6,
    "volume_share": 1.0 + 1e-12,
    "latency_ms": 60_000.0,
    "limit_through": 2.0,
    "intrabar": 3.0,
}
_WHOLE = ("latency_ms", "limit_through", "intrabar")


def checked_costs(costs: Costs) -> Costs:
    """Return the costs as plain floats after checking their ranges.

    Raises
    ------
    WickError
        A value is out of range, or not the whole number that it has to be.
    """
    for name, value in costs._asdict().items():
        if not 0.0 <= value < _BELOW[name] or (name in _WHOLE and value != int(value)):
            whole = "a whole number " if name in _WHOLE else ""
            most = "1" if name == "volume_share" else f"below {_BELOW[name]:g}"
            raise WickError(
                f"costs.{name} is {value}, expected {whole}from 0 to {most}",
                f"--set costs.{name}={Costs._field_defaults[name]:g}",
            )
    return Costs(*(float(value) for value in costs))  # type: ignore[arg-type]


@kernel
def slipped(price, side, slippage, g):
    """Return the fill price of a market order, side 1 buys and -1 sells: worse by slippage, then by
    the tick."""
    if side > 0:
        return price_at(ticks_up(price * (1.0 + slippage), g), g)
    return price_at(ticks_down(price * (1.0 - slippage), g), g)


@kernel
def stop_level(fill, distance, side, g):
    """Return the stop's price for a position of this side: a distance against it, rounded away from
    the market."""
    if side > 0:
        return price_at(ticks_down(fill - distance, g), g)
    return price_at(ticks_up(fill + distance, g), g)


@kernel
def take_level(fill, distance, side, g):
    """Return the take's price for a position of this side: a distance in its favour, rounded away
    from the market."""
    if side > 0:
        return price_at(ticks_up(fill + distance, g), g)
    return price_at(ticks_down(fill - distance, g), g)


@kernel
def limit_reached(side, limit, price, through, g):
    """Say whether a price that is traded at fills a resting limit order: at the limit, or only
    where it lies a tick beyond if `through` is above 0."""
    if through > 0.0:
        limit = price_at(ticks_down(limit, g) - side, g)
    return price <= limit if side > 0 else price >= limit


@kernel
def resting_fill(side, stop, take, o, h, l):  # noqa: E741
    """Match a resting stop and take (0 for none) of a position against one candle.

    The open decides first: beyond a level, the fill is at the open. That holds in the entry candle
    too, where a stop lies beyond the open if slippage was larger than its distance: a fill at the
    level would be at a price the market may never have had. Then a touch fills at the level. Both
    touched in one candle: the stop, since the candle does not say which came first.

    Returns
    -------
    which : int
        NOT_FILLED, STOP_FILLED or TAKE_FILLED.
    price : float
        Price before slippage.
    at_open : bool
        The fill happened at the open (a gap).
    ambiguous : bool
        Both levels were touched inside the candle.
    """
    if side > 0:
        stop_hit, take_hit = l <= stop, take > 0.0 and h >= take
        stop_gap, take_gap = o <= stop, take > 0.0 and o >= take
    else:
        stop_hit, take_hit = h >= stop, take > 0.0 and l <= take
        stop_gap, take_gap = o >= stop, take > 0.0 and o <= take
    if stop_gap:
        return STOP_FILLED, o, True, False
    if take_gap:
        return TAKE_FILLED, o, True, False
    if stop_hit:
        return STOP_FILLED, stop, False, take_hit
    if take_hit:
        return TAKE_FILLED, take, False, False
    return NOT_FILLED, np.nan, False, False
