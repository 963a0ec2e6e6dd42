"""How a run looks on the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.dates import show_time
from data.run_json import FigureRecord, RunRecord
from strategy.fills import INTRABAR, Costs
from strategy.options import in_use
from strategy.risk import (
    CONFLICT,
    DISTANCE,
    LEVEL,
    LEVERAGE,
    LIMIT_DISTANCE,
    MARGIN,
    NOTIONAL,
    REFUSALS,
    TOO_SMALL,
    Risk,
)

# Of some seventy figures those that are looked at first; run.json and the report have all.
_LEFT = (
    "total_return", "hold_return", "cagr", "volatility", "sharpe", "psr", "sortino", "calmar",
    "max_drawdown", "drawdown_length", "under_water", "cvar", "beta", "exposure",
    "gross_leverage_max", "turnover",
)  # fmt: skip
_RIGHT = (
    "trades", "longs", "win_rate", "profit_factor", "payoff", "expectancy", "expectancy_r", "sqn",
    "loss_streak", "holding", "mae_r", "edge_ratio", "gross", "fees", "funding", "slippage",
    "ambiguous", "open_at_end",
)  # fmt: skip
# Of both columns, one after the other.
MAIN = (*_LEFT, *_RIGHT)
# A figure and the ends of the range that stands beside it.
_RANGES = {"sharpe": ("sharpe_low", "sharpe_high")}


# Options that stand in the header whatever they are.
_SAID = ("risk.per_trade", "risk.max_leverage", "costs.fee_rate", "costs.slippage")
# What to do when this reason refused every entry.
_MENDS = {
    REFUSALS[CONFLICT]: ": let enter_long and enter_short exclude each other",
    REFUSALS[DISTANCE]: ": look at the rules stop_distance and take_distance and their params",
    REFUSALS[LEVEL]: ": the distances are larger than the price; make them smaller",
    REFUSALS[LIMIT_DISTANCE]: ": look at the rule limit_distance and its params",
    REFUSALS[LEVERAGE]: ": raise --balance or risk.max_leverage, or risk less a trade",
    REFUSALS[TOO_SMALL]: ": raise --balance or risk.per_trade",
    REFUSALS[NOTIONAL]: ": raise risk.max_notional",
    REFUSALS[MARGIN]: ": raise risk.leverage or lower risk.max_leverage",
}


def print_run(record: RunRecord, folder: Path, source: RunRecord | None = None) -> None:
    """Print a run: what it was, its figures, what was refused, and where it lies."""
    console = Console()
    print_header(console, record)
    console.print(figures_table(record))
    for line in interval_lines(record):
        console.print(line, highlight=False, soft_wrap=True)
    print_notes(console, record)
    if source is not None and source.result_hash:
        same = source.result_hash == record.result_hash
        words = "the same trades and equity as" if same else "another result than"
        end = ", to the last bit" if same else ""
        console.print(f"{words} run {source.id}{end}", highlight=False, soft_wrap=True)
    console.print(f"run {folder}", highlight=False, soft_wrap=True)
    console.print(f"next: wick report {folder}", style="dim", highlight=False, soft_wrap=True)


def print_header(console: Console, record: RunRecord) -> None:
    """Print what ran on what, and with which params, risk and costs."""
    title = f"[bold]{escape(record.strategy.name)}[/]  {_span(record)}"
    console.print(title, highlight=False, soft_wrap=True)
    console.print(_params(record), style="dim", highlight=False, soft_wrap=True)


def print_notes(console: Console, record: RunRecord) -> None:
    """Print what a reader must know before believing the figures."""
    if record.refused:
        counts = ", ".join(f"{reason} {n:,}" for reason, n in record.refused.items())
        console.print(f"refused entries: {counts}", highlight=False, soft_wrap=True)
    for note in [*record.notes, *_no_trade(record)]:
        console.print(
            f"note: {note}", style="yellow", highlight=False, soft_wrap=True, markup=False
        )


def interval_lines(record: RunRecord) -> list[str]:
    """Say between what the run lies for its candles that touch stop and take."""
    its = record.interval
    if its is None:
        return []
    share = its.ambiguous / its.trades if its.trades else 0.0
    lines = [f"one candle touched stop and take in {its.ambiguous:,} trades ({share:.1%})"]
    if its.walked or its.wanting:
        lines[0] += (
            f"; finer candles told which came first in {its.resolved:,}; of"
            f" {its.walked + its.wanting:,} candles with a touched level {its.wanting:,} had none"
            " that fit or might have liquidated, there the worst case stands in"
        )
    for name, end in (("worst", its.worst), ("best", its.best)):
        lines.append(
            f"{name} case: the balance was used up"
            if end is None
            else f"{name} case: final equity {end.equity:,.2f}, total return"
            f" {end.total_return:+.2%}, max drawdown {end.max_drawdown:.2%}"
        )
    return lines


def _no_trade(record: RunRecord) -> list[str]:
    if record.figure("trades").value:
        return []
    if not record.refused:
        return ["no trade: no entry rule ever held; loosen its conditions, or take a longer span"]
    most = max(record.refused, key=lambda reason: record.refused[reason])
    return [f"no trade: every entry was refused, most for {most}{_MENDS.get(most, '')}"]


def figures_table(record: RunRecord) -> Table:
    """Lay the figures out in two columns; a run of before a figure was added goes without it."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for _ in range(2):
        table.add_column(style="dim")
        table.add_column(justify="right")
    found = {figure.key: figure for figure in record.figures}
    for left, right in zip_longest(_cells(found, _LEFT), _cells(found, _RIGHT)):
        table.add_row(*(left or ("", "")), *(right or ()))
    return table


def _cells(found: Mapping[str, FigureRecord], keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        if key in found:
            yield found[key].label, shown(found[key])
            if between := shown_range(key, found):
                yield f"{found[key].label}, 95 %", between


def shown_range(key: str, found: Mapping[str, FigureRecord]) -> str:
    """Write between which values a figure lies with 95 %; empty where that is not known."""
    ends = [found[end] for end in _RANGES.get(key, ()) if end in found]
    if not ends or any(end.value is None for end in ends):
        return ""
    return f"{shown(ends[0])} to {shown(ends[1])}"


def shown(figure: FigureRecord) -> str:
    """Write a figure with its unit, or N/A."""
    value = figure.value
    if value is None:
        return "N/A"
    match figure.unit:
        case "share":
            return f"{value:+.2%}" if figure.key.endswith("return") else f"{value:.2%}"
        case "money":
            return f"{value:,.2f}"
        case "count":
            return f"{value:,.0f}"
        case "days":
            return f"{value:,.1f} d"
        case "minutes":
            return f"{value:,.0f} min" if value < 600 else f"{value / 60:,.1f} h"
        case "time":
            return show_time(int(value))
        case "r":
            return f"{value:+.3f} R"
    return f"{value:,.2f}"


def _span(record: RunRecord) -> str:
    first, end = min(d.first_ms for d in record.data), max(d.end_ms for d in record.data)
    candles = sum(d.candles for d in record.data)
    symbols = ", ".join(d.symbol for d in record.data)
    where = f"{record.data[0].market} {record.data[0].timeframe}"
    return f"{symbols} {where}  {show_time(first)} to {show_time(end)} UTC  {candles:,} candles"


def cost_lines(record: RunRecord) -> list[tuple[str, str]]:
    """Name the costs in use beside taker fee and fixed slippage, and write each."""
    return _in_use(Risk(), record.all_costs)


def _in_use(risk: Risk, costs: Costs) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for name in (one.name for one in in_use(risk, costs) if one.name not in _SAID):
        owner, _, field = name.partition(".")
        value = getattr(risk if owner == "risk" else costs, field)
        match field:
            case "intrabar":
                out.append((field, INTRABAR[int(value)]))
            case "maker_rate":
                out.append(("maker fee", f"{value * 1e4:g} bps"))
            case "isolated":
                out.append((field, ""))
            case _:
                out.append((name, f"{value:g}"))
    return out


def _params(record: RunRecord) -> str:
    numbers = ", ".join(f"{name}={value:g}" for name, value in record.params.items())
    risk = Risk(**{name: record.risk[name] for name in Risk._fields if name in record.risk})  # type: ignore[arg-type]
    used = _in_use(risk, Costs()) + cost_lines(record)
    more = "\n" + ", ".join(f"{name} {value}".rstrip() for name, value in used) if used else ""
    return (
        f"{numbers}\nrisk {record.risk['per_trade']:.2%} a trade, leverage up to"
        f" {record.risk['max_leverage']:g}, fee {record.fee_rate * 1e4:g} bps,"
        f" slippage {record.slippage * 1e4:g} bps, balance {record.balance:,.0f}{more}"
    )
