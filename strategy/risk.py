"""How large a position may be and whether it may be opened at all."""

from typing import NamedTuple

import numpy as np

from strategy.errors import WickError
from strategy.fills import slipped
from strategy.grid import qty_of
from strategy.kernel import kernel

REFUSALS = (
    "approved",
    "both entry rules true",
    "daily loss limit",
    "position limit",
    "stop or take distance under one tick",
    "stop or take level not positive",
    "leverage limit",
    "size under the symbol's minimum",
    "margin at the fill",
    "no balance",
)
(
    APPROVED,
    CONFLICT,
    DAILY_LIMIT,
    POSITION_LIMIT,
    DISTANCE,
    LEVEL,
    LEVERAGE,
    TOO_SMALL,
    MARGIN,
    NO_BALANCE,
) = range(len(REFUSALS))


class Risk(NamedTuple):
    """A strategy's sizing and limits; 0 switches a limit off.

    Attributes
    ----------
    per_trade : float
        Share of the wallet lost when a stop fills at its level.
    max_leverage : float
        Largest sum of all positions' notional, in wallets.
    max_notional : float
        Largest notional of one position, in quote currency; 0 for none.
    leverage : float
        Leverage set on the exchange: a position needs notional / leverage as margin.
    max_positions : int
        Positions open at the same time, over all symbols; 0 for no limit.
    daily_loss_limit : float
        Share of the UTC day's opening equity; once lost, no entries until the day changes. 0 for
        none.
    """

    per_trade: float = 0.01
    max_leverage: float = 3.0
    max_notional: float = 0.0
    leverage: float = 20.0
    max_positions: int = 0
    daily_loss_limit: float = 0.0


_RANGES = {
    "per_trade": (0.0, 1.0, "a share above 0, at most 1"),
    "max_leverage": (0.0, 125.0, "above 0, at most 125"),
    "leverage": (0.0, 125.0, "above 0, at most 125"),
}


def checked(risk: Risk) -> Risk:
    """Return the risk settings as plain floats after checking their ranges.

    Raises
    ------
    WickError
        A value is out of range, not a number, or the exchange's leverage is below the position
        limit's.
    """
    for name, value in risk._asdict().items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        low, high, wanted = _RANGES.get(name, (-1e-300, 1e15, "0 or more"))
        if not number or not low < value <= high:
            raise WickError(
                f"risk.{name} is {value!r}, expected {wanted}",
                f"--set risk.{name}={Risk._field_defaults[name]:g}",
            )
    if risk.max_positions != int(risk.max_positions):
        raise WickError(
            f"risk.max_positions is {risk.max_positions}, expected a whole number",
            "--set risk.max_positions=2",
        )
    if risk.daily_loss_limit >= 1.0:
        raise WickError(
            f"risk.daily_loss_limit is {risk.daily_loss_limit}, expected a share below 1",
            "--set risk.daily_loss_limit=0.05",
        )
    if risk.leverage < risk.max_leverage:
        raise WickError(
            f"risk.leverage is {risk.leverage}, less than risk.max_leverage ({risk.max_leverage}):"
            " margin would run out before the limit",
            f"--set risk.leverage={risk.max_leverage}",
        )
    return Risk(*(float(value) for value in risk))  # type: ignore[arg-type]


@kernel
def size(risk, slippage, g, wallet, used, close, side, stop, take, has_take):
    """Return the steps of an entry that risk approves, and why not (APPROVED or a refusal).

    Parameters
    ----------
    wallet : float
        Balance without unrealized profit, quote currency.
    used : float
        Notional of the other positions and of entries already approved.
    close : float
        Last close; the entry is estimated there plus slippage.
    side : int
        1 long, -1 short.
    stop, take : float
        Distances in price.
    """
    if not wallet > 0.0:
        return 0, NO_BALANCE
    if not (g.tick <= stop < np.inf) or (has_take and not (g.tick <= take < np.inf)):
        return 0, DISTANCE
    below = stop if side > 0 else (take if has_take else 0.0)
    if below >= close:
        return 0, LEVEL
    price = slipped(close, side, slippage, g)
    if not price > 0.0:
        return 0, LEVEL
    steps = np.floor(risk.per_trade * wallet / (stop * g.step) + 1e-9)
    room = risk.max_leverage * wallet - used
    if risk.max_notional > 0.0:
        room = min(room, risk.max_notional)
    steps = min(steps, np.floor(room / (price * g.step) + 1e-9))
    steps = min(steps, float(g.max_steps))
    if steps < 1.0 and room < price * g.step * g.min_steps:
        return 0, LEVERAGE
    if steps < g.min_steps or qty_of(steps, g) * price < g.min_notional:
        return 0, TOO_SMALL
    return np.int64(steps), APPROVED
