"""Where each option of a run is understood: what a backtest can do, live trading cannot always.

A new field of Risk or Costs, and a new rule beside entries, exits and distances, needs a row here.
"""

from typing import Literal, NamedTuple

from strategy.errors import WickError
from strategy.fills import Costs
from strategy.risk import Risk

Place = Literal["simulator", "live", "parity"]


class Option(NamedTuple):
    """One option, and where it is understood; the backtest understands all of them.

    Attributes
    ----------
    name : str
        Such as risk.trail or costs.spread.
    simulator, live, parity : bool
        The simulated exchange fills so; a live session does so; parity counts it.
    tabulated : bool
        A sweep can use it without walking through the candles of every combination.
    """

    name: str
    simulator: bool
    live: bool
    parity: bool
    tabulated: bool


OPTIONS = (
    Option("risk.per_trade", True, True, True, True),
    Option("risk.max_leverage", True, True, True, True),
    Option("risk.max_notional", True, True, True, True),
    Option("risk.leverage", True, True, True, True),
    Option("risk.max_positions", True, True, True, True),
    Option("risk.max_longs", True, True, True, True),
    Option("risk.max_shorts", True, True, True, True),
    Option("risk.daily_loss_limit", True, True, True, True),
    Option("risk.daily_loss_flatten", True, True, True, False),
    Option("risk.trail", True, True, True, True),
    Option("risk.trail_after", True, True, True, True),
    Option("risk.break_even", True, True, True, True),
    Option("risk.time_stop", True, True, True, True),
    Option("risk.cooldown", True, True, True, True),
    Option("risk.part_1", True, True, True, False),
    Option("risk.part_1_share", True, True, True, False),
    Option("risk.part_2", True, True, True, False),
    Option("risk.part_2_share", True, True, True, False),
    Option("risk.limit_wait", False, False, False, False),
    Option("risk.limit_tif", False, False, False, False),
    Option("rule.limit_distance", False, False, False, False),
    # Combinations of one symbol are tabulated, and that has no order.
    Option("rule.entry_priority", False, False, False, True),
    Option("risk.isolated", False, False, False, False),
    Option("costs.fee_rate", True, True, True, True),
    Option("costs.slippage", True, True, True, True),
    Option("costs.maker_rate", False, False, False, True),
    Option("costs.spread", False, False, False, True),
    Option("costs.atr", False, False, False, True),
    Option("costs.impact", False, False, False, False),
    Option("costs.volume_share", False, False, False, False),
    Option("costs.latency_ms", False, False, False, False),
    Option("costs.limit_through", False, False, False, False),
    # The worst and the best case are tabulated, what finer candles say is walked.
    Option("costs.intrabar", False, False, False, True),
)
_NEUTRAL = {
    **Risk()._asdict(),
    **Costs()._asdict(),
    "limit_distance": False,
    "entry_priority": False,
}

_WITHOUT = {
    "rule.limit_distance": "its entries are market orders then",
    "rule.entry_priority": "entries of one instant take turns in the order of --symbols then",
}


def in_use(
    risk: Risk, costs: Costs, *, has_limit: bool = False, has_priority: bool = False
) -> tuple[Option, ...]:
    """Return the options that are set to something else than their neutral value.

    Parameters
    ----------
    has_limit : bool
        The strategy has a limit_distance rule.
    has_priority : bool
        It has an entry_priority rule.
    """
    values: dict[str, float] = {
        "rule.limit_distance": has_limit,
        "rule.entry_priority": has_priority,
    }
    values |= {f"risk.{name}": value for name, value in risk._asdict().items()}
    values |= {f"costs.{name}": value for name, value in costs._asdict().items()}
    return tuple(one for one in OPTIONS if values[one.name] != _NEUTRAL[one.name.partition(".")[2]])


def check_together(risk: Risk, costs: Costs, *, has_limit: bool) -> None:
    """Refuse what does not go together with fills bounded by a share of the volume.

    Parameters
    ----------
    has_limit : bool
        The strategy has a limit_distance rule.

    Raises
    ------
    WickError
        Partial takes or entries that rest beside it.
    """
    if not costs.volume_share:
        return
    said = f"costs.volume_share is {costs.volume_share:g}"
    for name in ("part_1", "part_2"):
        if getattr(risk, name):
            raise WickError(
                f"{said}, which does not go with partial takes (risk.{name})",
                f"--set risk.{name}=0 --set risk.{name}_share=0, or --set costs.volume_share=0",
            )
    if has_limit:
        raise WickError(
            f"{said}, which does not go with entries that rest (the rule limit_distance)",
            "--set costs.volume_share=0, or take the rule out",
        )


def refuse_unsupported(
    command: str,
    place: Place,
    risk: Risk,
    costs: Costs,
    *,
    has_limit: bool,
    has_priority: bool = False,
) -> None:
    """Refuse options that a place would not understand.

    Raises
    ------
    WickError
        One is set; it is named.
    """
    for one in in_use(risk, costs, has_limit=has_limit, has_priority=has_priority):
        if not getattr(one, place) and one.name.startswith("rule."):
            raise WickError(
                f"{command} does not know the rule {one.name[5:]}, only backtests do",
                f"take it out of the strategy: {_WITHOUT[one.name]}",
            )
        if not getattr(one, place):
            raise WickError(
                f"{command} does not know {one.name}, only backtests do",
                f"--set {one.name}={_NEUTRAL[one.name.partition('.')[2]]:g}",
            )
