"""How an order fills on a candle: slippage, tick, gap, touch and fee. Used by the backtester and
the simulator."""

from typing import NamedTuple

import numpy as np

from strategy.grid import price_at, ticks_down, ticks_up
from strategy.kernel import kernel

NOT_FILLED, STOP_FILLED, TAKE_FILLED = 0, 1, 2


class Costs(NamedTuple):
    """What trading costs, as fractions of the price.

    Attributes
    ----------
    fee_rate : float
        Taker fee on the notional of each fill; 0.0005 is the exchange's regular rate.
    slippage : float
        How much worse than the candle's price a market order fills.
    """

    fee_rate: float = 0.0005
    slippage: float = 0.0001


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
