"""Values that replace a strategy's own: from a TOML file and from --set."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from strategy.errors import WickError, did_you_mean
from strategy.fills import Costs, checked_costs

BALANCE = 10_000.0  # where nothing else is said


class Given(NamedTuple):
    """Values by name, for the params, the risk settings and the costs."""

    params: dict[str, Any]
    risk: dict[str, Any]
    costs: dict[str, Any]

    def over(self, other: "Given") -> "Given":
        """Return these values, and the other ones where there are none."""
        return Given(*(theirs | own for own, theirs in zip(self, other, strict=True)))


def from_toml(params: str) -> Given:
    """Read the tables [params], [risk] and [costs] of a file.

    Raises
    ------
    WickError
        There is no such file, or it holds something else.
    """
    path = Path(params)
    if not path.is_file():
        raise WickError(
            f"there is no params file {params}",
            "write one with the tables [params], [risk] and [costs], or give a run: --params last",
        )
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WickError(f"{params} is not TOML: {error}", "a line reads: rsi = 14") from error
    for name, table in content.items():
        if name not in Given._fields or not isinstance(table, dict):
            what = "table" if isinstance(table, dict) else "value"
            raise WickError(
                f"{params} has the {what} {name!r}, expected the tables [params], [risk] and"
                " [costs] only",
                f"write [params] above {name} = …"
                if what == "value"
                else did_you_mean(name, Given._fields),
            )
    tables = Given(*(content.get(name, {}) for name in Given._fields))
    for name, value in (item for table in tables for item in table.items()):
        if isinstance(value, bool):
            raise WickError(f"{params}: {name} is {value}, expected a number", f"{name} = 1")
    return tables


def from_flags(changes: Sequence[str]) -> Given:
    """Read --set name=value into params, risk settings and costs.

    Raises
    ------
    WickError
        There is no = or nothing on one side of it.
    """
    given = Given({}, {}, {})
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name or not value:
            raise WickError(
                f"--set {change} is not name=value", "--set rsi=21 or --set risk.per_trade=0.02"
            )
        owner, dot, field = name.partition(".")
        if dot and owner in ("risk", "costs"):
            getattr(given, owner)[field] = value
        else:
            given.params[name] = value
    return given


def costs_of(known: Costs, changes: Mapping[str, Any]) -> Costs:
    """Return costs with some values changed.

    Raises
    ------
    WickError
        An unknown name, a value that is not a number, or one out of range.
    """
    values: dict[str, float] = known._asdict()
    for name, value in changes.items():
        if name not in values:
            raise WickError(f"costs has no setting {name!r}", did_you_mean(name, values))
        try:
            values[name] = float(value)
        except (TypeError, ValueError):
            raise WickError(
                f"costs.{name} is {value!r}, expected a number",
                f"--set costs.{name}={Costs._field_defaults[name]:g}",
            ) from None
    return checked_costs(Costs(**values))  # type: ignore[arg-type]


def share_of_bps(flag: str, bps: float | None, otherwise: float) -> float:
    """Turn basis points into a share; None was not given.

    Raises
    ------
    WickError
        They are not from 0 to below 1000.
    """
    if bps is None:
        return otherwise
    if not 0.0 <= bps < 1_000.0:
        raise WickError(
            f"{flag} is {bps:g}, expected basis points from 0 to below 1000 (10 %)",
            f"{flag} 5 means 0.05 %",
        )
    return bps / 1e4
