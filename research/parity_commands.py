"""wick parity."""

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import typer

from backtest import commands as flags
from backtest.running import check_name, compiling

if TYPE_CHECKING:
    from research.differences import Difference
    from research.parity import Parity

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: wick parity rsi_macd_atr --symbols BTCUSDT --from 2025-05-10 --to 2025-05-13"
)
def parity(
    strategy: flags.StrategyName,
    symbols: flags.Symbols = None,
    market: flags.Market = None,
    timeframe: flags.Timeframe = None,
    start: flags.From = None,
    end: flags.To = None,
    changes: flags.Changes = None,
    params: flags.Params = None,
    balance: flags.Balance = None,
    fee_bps: flags.FeeBps = None,
    slippage_bps: flags.SlippageBps = None,
    name: flags.Name = None,
    store: flags.Store = None,
    runs: flags.Runs = None,
    as_json: flags.Json = False,
) -> None:
    """Run the backtester and the real live stack over the same candles and count differences."""
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    asked = flags.asked_for(
        strategy, symbols, market, timeframe, start, end, changes, params, balance, fee_bps,
        slippage_bps, False,
    )  # fmt: skip
    check_name(name)
    with compiling(), contextlib.redirect_stdout(sys.stderr):
        from backtest.inputs import gather
        from data.dates import now_ms
        from data.runs import check_writable
        from research.parity import check_parity

        check_writable(settings.runs)
        inputs = gather(asked, settings.store, settings.runs)
        found = check_parity(
            inputs,
            settings.sessions,
            settings.runs,
            command=sys.argv[1:],
            now_ms=now_ms(),
            name=name,
        )
    if as_json:
        typer.echo(to_json(found))
    else:
        print_parity(found)
    if found.comparison.total:
        raise typer.Exit(1)


def to_json(found: "Parity") -> str:
    """Write the counts, the first difference and where the run lies as JSON."""
    import msgspec

    comparison = found.comparison
    kinds: dict[str, Any] = {
        kind: {"compared": count, "different": comparison.different[kind]}
        for kind, count in comparison.compared.items()
    }
    rest = {
        "first_difference": comparison.first,
        "candles": found.candles,
        "trades": found.trades,
        "funding_instants": found.funding_instants,
        "lockstep_s": round(found.lockstep_s, 3),
        "run": str(found.run),
    }
    return msgspec.json.format(msgspec.json.encode(kinds | rest), indent=2).decode()


def print_parity(found: "Parity") -> None:
    """Print what was compared and where it first differs."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False)
    for title in ("", "compared", "different"):
        table.add_column(title, justify="right" if title else "left")
    for kind, count in found.comparison.compared.items():
        wrong = found.comparison.different[kind]
        style = "bold red" if wrong else ""
        if kind == "funding" and not found.funding_instants:
            table.add_row(kind, "not simulated", "-", style="dim")
        else:
            table.add_row(kind, f"{count:,}", f"{wrong:,}", style=style)
    console.print(table)
    speed = found.candles / max(found.lockstep_s, 1e-9)
    trades = f"{found.trades:,} trade{'' if found.trades == 1 else 's'}"
    console.print(
        f"{found.candles:,} candles, {trades} through the live stack in"
        f" {found.lockstep_s:.1f} s ({speed:,.0f} candles/s)",
        highlight=False,
        soft_wrap=True,
    )
    first = found.comparison.first
    if first is None:
        console.print("[bold green]no difference[/]: backtest and live decided the same")
    else:
        console.print(f"[bold red]first difference[/]: {_place(first)}", highlight=False)
        console.print(f"  backtest  {_values(first.backtest)}", highlight=False, markup=False)
        console.print(f"  live      {_values(first.live)}", highlight=False, markup=False)
    console.print(f"run {found.run}", highlight=False, soft_wrap=True)


def _place(first: "Difference") -> str:
    from data.dates import show_time

    where = " ".join(part for part in (first.symbol, first.kind, first.what) if part)
    return f"{show_time(first.time)} UTC {where}"


def _values(values: tuple[Any, ...] | None) -> str:
    if values is None:
        return "nothing"
    return ", ".join(repr(value) if isinstance(value, float) else str(value) for value in values)
