"""wick backtest, and the flags that all runs share."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtest.running import check_name, run_asked

if TYPE_CHECKING:
    from backtest.inputs import Asked
    from data.run_json import RunRecord
    from data.runs import Run
    from strategy.candles import Candles

backtest_app = typer.Typer(add_completion=False)

StrategyName = Annotated[
    str, typer.Argument(metavar="STRATEGY", help="A shipped strategy's name or a .py file.")
]
Symbols = Annotated[
    str | None,
    typer.Option("--symbols", help="Such as BTCUSDT,ETHUSDT; default: the only one stored."),
]
Market = Annotated[
    str | None,
    typer.Option("--market", help="um (USDⓈ-M futures) or spot; default: um if stored."),
]
Timeframe = Annotated[
    str | None, typer.Option("--timeframe", help="Instead of the strategy's own TIMEFRAME.")
]
From = Annotated[
    str | None, typer.Option("--from", help="First day, UTC, such as 2023-01-01; default: all.")
]
WarmFrom = Annotated[
    str | None,
    typer.Option("--warm-from", help="Candles from here to --from only warm indicators up."),
]
To = Annotated[str | None, typer.Option("--to", help="First day not wanted any more, UTC.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="rsi=21 or risk.per_trade=0.02; may be repeated.")
]
Params = Annotated[
    str | None,
    typer.Option("--params", help="A .toml file with tables params, risk and costs, or a run."),
]
Balance = Annotated[float | None, typer.Option("--balance", help="Start balance; default 10000.")]
FeeBps = Annotated[float | None, typer.Option("--fee-bps", help="Taker fee; default 5 (0.05 %).")]
MakerFeeBps = Annotated[
    float | None, typer.Option("--maker-fee-bps", help="Of a resting limit order; default 2.")
]
Fees = Annotated[
    str | None,
    typer.Option("--fees", help="Both rates of a tier: vip0 to vip9, with ,bnb if paid in BNB."),
]
SlippageBps = Annotated[
    float | None, typer.Option("--slippage-bps", help="Slippage of a market order; default 1.")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", help="Symbols worked on at a time; default: one a core."),
]
Intrabar = Annotated[
    str | None,
    typer.Option(
        "--intrabar",
        help="Where one candle touches stop and take: worst (the stop), best, or detail.",
    ),
]
Detail = Annotated[
    str | None,
    typer.Option("--detail", help="Timeframe of stored finer candles that tell, such as 1s."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse to run on missing candles.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Name of the run instead of the strategy's.")
]
Store = Annotated[
    Path | None, typer.Option("--store", help="Folder of candles; default var/store.")
]
Runs = Annotated[Path | None, typer.Option("--runs", help="Folder of runs; default var/runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print the run's record as JSON.")]


@backtest_app.command(
    epilog="Example: wick backtest rsi_macd_atr --symbols BTCUSDT --from 2023-01-01 --to 2024-01-01"
)
def backtest(
    strategy: StrategyName,
    symbols: Symbols = None,
    market: Market = None,
    timeframe: Timeframe = None,
    start: From = None,
    end: To = None,
    warm_from: WarmFrom = None,
    changes: Changes = None,
    params: Params = None,
    balance: Balance = None,
    fee_bps: FeeBps = None,
    maker_fee_bps: MakerFeeBps = None,
    fees: Fees = None,
    slippage_bps: SlippageBps = None,
    intrabar: Intrabar = None,
    detail: Detail = None,
    strict: Strict = False,
    threads: Threads = None,
    name: Name = None,
    store: Store = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Run a strategy over stored candles and keep the result as a run."""
    from backtest.detail import intrabar_changes
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    asked = asked_for(
        strategy,
        symbols,
        market,
        timeframe,
        start,
        end,
        [*(changes or ()), *intrabar_changes(intrabar, detail is not None)],
        params,
        balance,
        fee_bps,
        slippage_bps,
        strict,
        maker_fee_bps=maker_fee_bps,
        fees=fees,
        threads=threads,
        detail=detail,
        warm_from=warm_from,
    )
    run, source = run_backtest(asked, settings.store, settings.runs, name, sys.argv[1:])
    if as_json:
        typer.echo((run.folder / "run.json").read_text(), nl=False)
        return
    from data.show import print_run

    print_run(run.record, run.folder, source)


def write_report_of(run: "Run", store: Path, output: Path | None = None) -> Path:
    """Write the report of a run, with its candles if the store still has exactly those."""
    from backtest.report import write_report

    candles = stored_candles(run.record, store)
    return write_report(run, candles, output or run.folder / "report.html")


def stored_candles(record: "RunRecord", store: Path) -> "tuple[Candles, ...] | None":
    """Load the candles of a run; None, and a note, where the store has not exactly those."""
    from backtest.inputs import candles_of
    from strategy.errors import WickError

    try:
        return candles_of(record, store)
    except WickError:
        typer.echo(
            f"note: {store} has not the candles of run {record.id} any more (damaged, changed"
            " or deleted since): the report is written without them",
            err=True,
        )
    return None


def asked_for(
    strategy: str,
    symbols: str | None,
    market: str | None,
    timeframe: str | None,
    start: str | None,
    end: str | None,
    changes: list[str] | None,
    params: str | None,
    balance: float | None,
    fee_bps: float | None,
    slippage_bps: float | None,
    strict: bool,
    *,
    maker_fee_bps: float | None = None,
    fees: str | None = None,
    threads: int | None = None,
    detail: str | None = None,
    warm_from: str | None = None,
) -> "Asked":
    """Read the flags that all runs share."""
    from backtest.inputs import Asked
    from data.dates import parse_time
    from data.selection import symbol_names

    return Asked(
        strategy,
        None if symbols is None else symbol_names(symbols),
        market,
        timeframe,
        None if start is None else parse_time(start, "--from"),
        None if end is None else parse_time(end, "--to"),
        tuple(changes or ()),
        params,
        balance,
        fee_bps,
        slippage_bps,
        strict,
        maker_fee_bps,
        fees,
        threads,
        detail,
        None if warm_from is None else parse_time(warm_from, "--warm-from"),
    )


def run_backtest(
    asked: "Asked",
    store: Path,
    runs: Path,
    name: str | None,
    command: list[str],
    notes: tuple[str, ...] = (),
) -> "tuple[Run, RunRecord | None]":
    """Gather the inputs, run, and keep the result; also returns the run its params came from."""
    from data.runs import check_writable, keep

    check_name(name)
    check_writable(runs)
    run, inputs = run_asked(asked, store, runs, name=name, command=command, notes=notes)
    return keep(runs, run, inputs.strategy.source), inputs.source
