"""Values that replace a strategy's own: from a TOML file and from --set."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strategy.errors import WickError, did_you_mean

BALANCE = 10_000.0  # where nothing else is said


def from_toml(params: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the tables [params] and [risk] of a file.

    Raises
    ------
    WickError
        There is no such file, or it holds something else.
    """
    path = Path(params)
    if not path.is_file():
        raise WickError(
            f"there is no params file {params}",
            "write one with the tables [params] and [risk], or give a run: --params last",
        )
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WickError(f"{params} is not TOML: {error}", "a line reads: rsi = 14") from error
    for name, table in content.items():
        if name not in ("params", "risk") or not isinstance(table, dict):
            what = "table" if isinstance(table, dict) else "value"
            raise WickError(
                f"{params} has the {what} {name!r}, expected the tables [params] and [risk] only",
                f"write [params] above {name} = …"
                if what == "value"
                else did_you_mean(name, ("params", "risk")),
            )
    tables = content.get("params", {}), content.get("risk", {})
    for name, value in (item for table in tables for item in table.items()):
        if isinstance(value, bool):
            raise WickError(f"{params}: {name} is {value}, expected a number", f"{name} = 1")
    return tables


def from_flags(changes: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Read --set name=value into params and risk settings.

    Raises
    ------
    WickError
        There is no = or nothing on one side of it.
    """
    params, risk = {}, {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name or not value:
            raise WickError(
                f"--set {change} is not name=value", "--set rsi=21 or --set risk.per_trade=0.02"
            )
        owner, dot, field = name.partition(".")
        if dot and owner == "risk":
            risk[field] = value
        else:
            params[name] = value
    return params, risk


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
