"""wick backtest and wick report."""

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from backtest.inputs import Asked
    from data.runs import Run, RunRecord

backtest_app = typer.Typer(add_completion=False)
report_app = typer.Typer(add_completion=False)

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
To = Annotated[str | None, typer.Option("--to", help="First day not wanted any more, UTC.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="rsi=21 or risk.per_trade=0.02; may be repeated.")
]
Params = Annotated[
    str | None, typer.Option("--params", help="A .toml file with tables params and risk, or a run.")
]
Balance = Annotated[float | None, typer.Option("--balance", help="Start balance; default 10000.")]
FeeBps = Annotated[float | None, typer.Option("--fee-bps", help="Taker fee; default 5 (0.05 %).")]
SlippageBps = Annotated[
    float | None, typer.Option("--slippage-bps", help="Slippage of a market order; default 1.")
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
    changes: Changes = None,
    params: Params = None,
    balance: Balance = None,
    fee_bps: FeeBps = None,
    slippage_bps: SlippageBps = None,
    strict: Strict = False,
    name: Name = None,
    store: Store = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Run a strategy over stored candles and keep the result as a run."""
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    asked = asked_for(
        strategy,
        symbols,
        market,
        timeframe,
        start,
        end,
        changes,
        params,
        balance,
        fee_bps,
        slippage_bps,
        strict,
    )
    run, source = run_backtest(asked, settings.store, settings.runs, name, sys.argv[1:])
    if as_json:
        typer.echo((run.folder / "run.json").read_text(), nl=False)
        return
    from data.show import print_run

    print_run(run.record, run.folder, source)


@report_app.command(epilog="Example: wick report last")
def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, part of it, or last.")
    ] = "last",
    output: Annotated[
        Path | None, typer.Option("--output", help="Default: report.html in the run.")
    ] = None,
    store: Store = None,
    runs: Runs = None,
) -> None:
    """Write one self-contained HTML file about a run."""
    from data import runs as run_folders
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    found = run_folders.load(settings.runs, run)
    typer.echo(write_report_of(found, settings.store, output))


def write_report_of(run: "Run", store: Path, output: Path | None = None) -> Path:
    """Write the report of a run, with its candles if the store still has exactly those."""
    from backtest.report import write_report
    from data.store import load
    from strategy.errors import WickError

    try:
        candles = [
            load(store, d.market, d.symbol, d.timeframe, d.first_ms, d.end_ms, d.columns)
            for d in run.record.data
        ]
    except WickError:
        candles = []
    same = len(candles) == len(run.record.data) and all(
        one.fingerprint == its.fingerprint
        for one, its in zip(candles, run.record.data, strict=True)
    )
    if not same:
        typer.echo(
            f"note: {store} has not the candles of run {run.record.id} any more (damaged, changed"
            " or deleted since): the report is written without them",
            err=True,
        )
    return write_report(run, candles if same else None, output or run.folder / "report.html")


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
) -> "Asked":
    """Read the flags that all runs share."""
    from backtest.inputs import Asked
    from data.dates import parse_time
    from strategy.errors import WickError

    names = None
    if symbols is not None:
        names = tuple(name.strip().upper() for name in symbols.split(","))
        if "" in names:
            raise WickError(f"--symbols {symbols!r} has an empty name", "--symbols BTCUSDT,ETHUSDT")
    return Asked(
        strategy,
        names,
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
    check_name(name)
    with compiling(), contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no result
        from backtest.engine import backtest as run_engine
        from backtest.inputs import gather, refuse_cold, refuse_without_distance
        from backtest.record import record_of
        from data.dates import now_ms
        from data.runs import check_writable, save, trade_table

        check_writable(runs)
        inputs = gather(asked, store, runs)
        result = run_engine(
            inputs.strategy,
            inputs.candles,
            params=inputs.params,
            risk=inputs.risk,
            costs=inputs.costs,
            balance=inputs.balance,
            grids=inputs.grids,
        )
        if not len(result.trades) and not result.refused.any():
            refuse_cold(inputs.strategy, inputs.params, inputs.candles)
        refuse_without_distance(result)
        record = record_of(
            result,
            kind="backtest",
            created_ms=now_ms(),
            command=command,
            rules=inputs.rules,
            notes=(*notes, *inputs.notes),
            name=name,
        )
    table = trade_table(result.trades, result.symbols)
    kept = save(runs, record, table, result.time, result.equity, inputs.strategy.source)
    return kept, inputs.source


def check_name(name: str | None) -> None:
    """Refuse a name that cannot be a run's folder, before the work and not after it.

    Raises
    ------
    WickError
        It has other characters, is too long, or means something else.
    """
    from strategy.errors import WickError

    if name is None:
        return
    # `last` is the newest run, and --params takes what ends in .toml for a file.
    if not re.fullmatch(r"\w[\w.-]{0,49}", name) or name == "last" or name.endswith(".toml"):
        raise WickError(
            f"--name {name!r} cannot name a run",
            "up to 50 letters, digits, - _ and ., such as my-first; not last",
        )


class compiling:  # noqa: N801  used as a function
    """Say that kernels are being compiled when none are cached yet, and nothing otherwise."""

    def __enter__(self) -> None:
        from strategy.kernel import CACHE_DIR

        self._status: Any = None
        if CACHE_DIR is not None and any(CACHE_DIR.rglob("simulate*.nbi")):
            return
        from rich.console import Console

        words = "compiling the kernels, once after an install or an edit of strategy/ (about 15 s)"
        self._status = Console(stderr=True).status(words)
        self._status.start()

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
