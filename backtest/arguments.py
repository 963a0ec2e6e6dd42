"""What Python was given, read as the command line reads its flags."""

import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backtest.api import Run
    from backtest.inputs import Asked
    from strategy.candles import Candles
    from strategy.load import Strategy

Moment = str | date | datetime | int


def asked_for(
    strategy: "str | Path | Strategy",
    symbols: "str | Candles | Sequence[str] | Sequence[Candles] | None",
    market: str | None,
    timeframe: str | None,
    start: Moment | None,
    end: Moment | None,
    params: "Mapping[str, Any] | Run | str | None",
    risk: Mapping[str, Any] | None,
    balance: float | None,
    fee_bps: float | None,
    slippage_bps: float | None,
    maker_fee_bps: float | None = None,
    fees: str | None = None,
    intrabar: str | None = None,
    detail: "str | Candles | Sequence[Candles | None] | None" = None,
    costs: Mapping[str, Any] | None = None,
    warm_from: Moment | None = None,
) -> "tuple[Asked, tuple[Candles, ...]]":
    """Read what Python was given, as the command line reads its flags; also candles in memory.

    Raises
    ------
    WickError
        Something is of another kind than it has to be.
    """
    from backtest.api import Run
    from backtest.detail import intrabar_changes
    from backtest.inputs import Asked
    from strategy.errors import WickError

    if not isinstance(strategy, str | Path):
        from strategy.load import Strategy

        check_kind("strategy", strategy, Strategy, "a name, a path or a loaded strategy")
    for word, number in (
        ("balance", balance),
        ("fee_bps", fee_bps),
        ("slippage_bps", slippage_bps),
        ("maker_fee_bps", maker_fee_bps),
    ):
        check_kind(word, number, (int, float, type(None)), "a number")
    check_kind("fees", fees, (str, type(None)), "a tier such as 'vip0'")
    check_kind("intrabar", intrabar, (str, type(None)), "'worst', 'best' or 'detail'")
    check_kind("risk", risk, (Mapping, type(None)), "a mapping such as {'per_trade': 0.02}")
    check_kind("costs", costs, (Mapping, type(None)), "a mapping such as {'atr': 0.05}")
    check_kind("params", params, (Mapping, Run, str, type(None)), "a mapping, a run or its name")
    names, given = _symbols(symbols)
    if given and market is not None:
        raise WickError(
            f"market is {market!r}, but candles in memory have their own", "leave it out"
        )
    asked = Asked(
        str(strategy) if isinstance(strategy, Path) else strategy,
        names,
        market,
        timeframe,
        _ms(start, "start"),
        _ms(end, "end"),
        (
            *_changes("", params if isinstance(params, Mapping) else {}),
            *_changes("risk.", risk),
            *_changes("costs.", costs),
            *intrabar_changes(intrabar, detail is not None),
        ),
        params.record if isinstance(params, Run) else params if isinstance(params, str) else None,
        balance,
        fee_bps,
        slippage_bps,
        maker_fee_bps=maker_fee_bps,
        fees=fees,
        detail=detail if isinstance(detail, str) else None,
        warm_ms=_ms(warm_from, "warm_from"),
    )
    return asked, given


def _symbols(symbols: Any) -> "tuple[tuple[str, ...] | None, tuple[Candles, ...]]":
    from data.selection import symbol_names
    from strategy.candles import Candles
    from strategy.errors import WickError

    if symbols is None:
        return None, ()
    listed = isinstance(symbols, Sequence) and not isinstance(symbols, str)
    several = list(symbols) if listed else [symbols]
    if several and all(isinstance(one, str) for one in several):
        return symbol_names(",".join(several)), ()
    if several and all(isinstance(one, Candles) for one in several):
        return None, tuple(several)
    raise WickError(
        f"symbols is {symbols!r}, expected names or candles, and at least one",
        '"BTCUSDT", ["BTCUSDT", "ETHUSDT"], or Candles',
    )


def finer_of(detail: Any) -> "tuple[Candles | None, ...]":
    """Read finer candles in memory; nothing where a timeframe is named or none are given.

    Raises
    ------
    WickError
        They are something else.
    """
    from strategy.candles import Candles
    from strategy.errors import WickError

    if detail is None or isinstance(detail, str):
        return ()
    several = (detail,) if isinstance(detail, Candles) else detail
    if isinstance(several, Sequence) and all(
        one is None or isinstance(one, Candles) for one in several
    ):
        return tuple(several)
    raise WickError(
        f"detail is {detail!r}, expected a timeframe or candles", '"1s", Candles, or a list of them'
    )


def check_kind(name: str, value: Any, kinds: Any, wanted: str) -> None:
    """Refuse an argument of another kind than it has to be; a bool is no number.

    Raises
    ------
    WickError
        It is.
    """
    from strategy.errors import WickError

    if not isinstance(value, kinds) or isinstance(value, bool):
        raise WickError(
            f"{name} is {value!r}, expected {wanted}", "help(backtest) says what goes in"
        )


def _changes(owner: str, values: Mapping[str, Any] | None) -> list[str]:
    # As --set gives them, so that one place reads and checks; a number's text is exact.
    return [f"{owner}{name}={value}" for name, value in (values or {}).items()]


def _ms(moment: Any, name: str) -> int | None:
    from data.dates import parse_time

    if moment is None:
        return None
    with suppress(TypeError):
        return operator.index(moment)
    return parse_time(moment.isoformat() if isinstance(moment, date) else str(moment), name)
