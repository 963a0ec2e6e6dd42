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
    "cooldown",
    "limit of longs or shorts",
    "notional limit under the symbol's minimum",
    "limit distance below zero",
    "post only limit would have crossed",
    "limit not filled at once",
    "limit expired",
    "limit cancelled by a later decision",
    "leverage bracket under the symbol's minimum",
    "volume share under the symbol's minimum",
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
    COOLDOWN,
    SIDE_LIMIT,
    NOTIONAL,
    LIMIT_DISTANCE,
    POST_ONLY,
    NOT_AT_ONCE,
    EXPIRED,
    CANCELLED,
    BRACKET,
    VOLUME,
) = range(len(REFUSALS))

GTC, IOC, FOK, GTX = range(4)  # what Risk.limit_tif says


class Risk(NamedTuple):
    """A strategy's sizing, limits and exits besides its rules; 0 switches one off.

    What is given in R is a multiple of the stop distance at the entry.

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
    max_longs, max_shorts : int
        The same for either side.
    daily_loss_limit : float
        Share of the UTC day's opening equity; once lost, no entries until the day changes. 0 for
        none.
    daily_loss_flatten : int
        1: what is held when the limit is reached is closed too.
    trail : float
        Trailing stop: its distance from the best price since the fill, in R. A strategy with a
        trail_distance rule gives the distance itself and leaves this 0.
    trail_after : float
        Profit at the best price from which the stop trails, in R.
    break_even : float
        Profit at the best price from which the stop lies at the entry, in R.
    time_stop : int
        Closes after which a position is closed; the one of its entry candle is the first.
    cooldown : int
        Closes at which a symbol may not enter after a trade that lost, its exit candle's own being
        the first.
    part_1, part_2 : float
        Partial take-profits: distance from the entry, in R.
    part_1_share, part_2_share : float
        How much of the position each closes. The rest stays for take, stop and exit rules.
    limit_wait : int
        Closes after which a resting entry of a limit_distance rule expires; 0: never.
    limit_tif : int
        Its time in force: 0 good till cancelled, 1 immediate or cancel, 2 fill or kill, 3 post
        only.
    isolated : int
        1: a position can lose its own margin, its notional at the entry / leverage, and no more
        when it is liquidated; 0: all share the wallet.
    """

    per_trade: float = 0.01
    max_leverage: float = 3.0
    max_notional: float = 0.0
    leverage: float = 20.0
    max_positions: int = 0
    max_longs: int = 0
    max_shorts: int = 0
    daily_loss_limit: float = 0.0
    daily_loss_flatten: int = 0
    trail: float = 0.0
    trail_after: float = 0.0
    break_even: float = 0.0
    time_stop: int = 0
    cooldown: int = 0
    part_1: float = 0.0
    part_1_share: float = 0.0
    part_2: float = 0.0
    part_2_share: float = 0.0
    limit_wait: int = 0
    limit_tif: int = 0
    isolated: int = 0


_RANGES = {
    "per_trade": (0.0, 1.0, "a share above 0, at most 1"),
    "max_leverage": (0.0, 125.0, "above 0, at most 125"),
    "leverage": (0.0, 150.0, "above 0, at most 150"),
}
_WHOLE = (
    "max_positions",
    "max_longs",
    "max_shorts",
    "time_stop",
    "cooldown",
    "limit_wait",
    "limit_tif",
)
_LEAST_R = 0.1  # of a trail or a part: nearer to the price, one tick decides what it is
_EXAMPLES = {
    "max_positions": 2,
    "max_longs": 2,
    "max_shorts": 2,
    "time_stop": 60,
    "cooldown": 15,
    "limit_wait": 5,
    "limit_tif": 3,
}


def checked(risk: Risk, *, has_trail: bool = False, has_limit: bool = False) -> Risk:
    """Return the risk settings as plain floats after checking their ranges.

    Parameters
    ----------
    has_trail : bool
        The strategy has a trail_distance rule.
    has_limit : bool
        The strategy has a limit_distance rule.

    Raises
    ------
    WickError
        A value is out of range or not a number, or two settings do not go together.
    """
    check_values(risk)
    if risk.leverage < risk.max_leverage:
        raise WickError(
            f"risk.leverage is {risk.leverage}, less than risk.max_leverage ({risk.max_leverage}):"
            " margin would run out before the limit",
            f"--set risk.leverage={risk.max_leverage}",
        )
    _check_exits(risk, has_trail)
    _check_limits(risk, has_limit)
    return Risk(*(float(value) for value in risk))  # type: ignore[arg-type]


def check_values(risk: Risk) -> None:
    """Check each risk setting by itself, whatever the others are.

    Raises
    ------
    WickError
        A value is out of range or not a number.
    """
    for name, value in risk._asdict().items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        low, high, wanted = _RANGES.get(name, (-1e-300, 1e15, "0 or more"))
        if not number or not low < value <= high:
            raise WickError(
                f"risk.{name} is {value!r}, expected {wanted}",
                f"--set risk.{name}={Risk._field_defaults[name]:g}",
            )
    for name in _WHOLE:
        if (value := getattr(risk, name)) != int(value):
            raise WickError(
                f"risk.{name} is {value}, expected a whole number",
                f"--set risk.{name}={_EXAMPLES[name]}",
            )
    if risk.daily_loss_limit >= 1.0:
        raise WickError(
            f"risk.daily_loss_limit is {risk.daily_loss_limit}, expected a share below 1",
            "--set risk.daily_loss_limit=0.05",
        )
    for name in ("daily_loss_flatten", "isolated"):
        if (value := getattr(risk, name)) not in (0, 1):
            raise WickError(f"risk.{name} is {value}, expected 0 or 1", f"--set risk.{name}=1")
    for name in ("trail", "part_1", "part_2"):
        if 0.0 < (value := getattr(risk, name)) < _LEAST_R:
            raise WickError(
                f"risk.{name} is {value}, expected 0 or at least {_LEAST_R} stop distances",
                f"--set risk.{name}=1",
            )
    if risk.limit_tif > GTX:
        raise WickError(
            f"risk.limit_tif is {risk.limit_tif:g}, expected 0 (good till cancelled),"
            " 1 (immediate or cancel), 2 (fill or kill) or 3 (post only)",
            "--set risk.limit_tif=3",
        )


def _check_exits(risk: Risk, has_trail: bool) -> None:
    if risk.daily_loss_flatten and not risk.daily_loss_limit:
        raise WickError(
            "risk.daily_loss_flatten is 1, but there is no risk.daily_loss_limit",
            "--set risk.daily_loss_limit=0.05",
        )
    if has_trail and risk.trail:
        raise WickError(
            f"risk.trail is {risk.trail}, but the strategy has a rule trail_distance",
            "--set risk.trail=0, or take the rule out",
        )
    if risk.trail_after and not (has_trail or risk.trail):
        raise WickError(
            f"risk.trail_after is {risk.trail_after}, but no stop trails", "--set risk.trail=1"
        )
    for name in ("part_1", "part_2"):
        level, share = getattr(risk, name), getattr(risk, f"{name}_share")
        if (level > 0.0) != (share > 0.0):
            raise WickError(
                f"risk.{name} is {level} and risk.{name}_share {share}: a part needs both",
                f"--set risk.{name}=1 --set risk.{name}_share=0.5",
            )
    if risk.part_1_share + risk.part_2_share >= 1.0:
        raise WickError(
            f"the parts take {risk.part_1_share + risk.part_2_share:g} of a position, expected"
            " less than all of it",
            "--set risk.part_1_share=0.5; the take closes the rest",
        )


def _check_limits(risk: Risk, has_limit: bool) -> None:
    for name in ("limit_wait", "limit_tif"):
        if (value := getattr(risk, name)) and not has_limit:
            raise WickError(
                f"risk.{name} is {value:g}, but no entry rests: the strategy has no rule"
                " limit_distance",
                f"--set risk.{name}=0, or add the rule",
            )
    if risk.limit_wait and risk.limit_tif in (IOC, FOK):
        raise WickError(
            f"risk.limit_wait is {risk.limit_wait:g}, but with risk.limit_tif={risk.limit_tif:g}"
            " no entry rests",
            "--set risk.limit_wait=0",
        )


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
    price, why = estimate(slippage, g, close, side, stop, take, has_take)
    if why != APPROVED:
        return 0, why
    return steps_of(risk, g, wallet, used, price, stop)


@kernel
def estimate(slippage, g, close, side, stop, take, has_take):
    """Return what an entry would fill at, and why it may not whatever the wallet: the part of
    `size` that knows prices only."""
    if not (g.tick <= stop < np.inf) or (has_take and not (g.tick <= take < np.inf)):
        return 0.0, DISTANCE
    below = stop if side > 0 else (take if has_take else 0.0)
    if below >= close:
        return 0.0, LEVEL
    price = slipped(close, side, slippage, g)
    if not price > 0.0:
        return 0.0, LEVEL
    return price, APPROVED


@kernel
def steps_of(risk, g, wallet, used, price, stop):
    """Return the steps that a wallet above 0 allows at an estimated price, and why there are none:
    the part of `size` that knows the wallet."""
    steps = np.floor(risk.per_trade * wallet / (stop * g.step) + 1e-9)
    room = risk.max_leverage * wallet - used
    capped = 0.0 < risk.max_notional < room
    if capped:
        room = risk.max_notional
    bracketed = g.max_value < room
    if bracketed:
        room = g.max_value
    steps = min(steps, np.floor(room / (price * g.step) + 1e-9))
    steps = min(steps, float(g.max_steps))
    if bracketed and room < max(price * g.step * g.min_steps, g.min_notional):
        return 0, BRACKET
    if capped and room < max(price * g.step * g.min_steps, g.min_notional):
        return 0, NOTIONAL
    if steps < 1.0 and room < price * g.step * g.min_steps:
        return 0, LEVERAGE
    if steps < g.min_steps:
        return 0, TOO_SMALL
    # The division, which decides, only where it could.
    least = g.min_notional
    if steps * g.step * price < least * (1.0 + 1e-9) and qty_of(steps, g) * price < least:
        return 0, TOO_SMALL
    return np.int64(steps), APPROVED
