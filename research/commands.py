"""wick tune, wick holdout and wick demo."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtest import commands as flags
from backtest.running import check_name, compiling

if TYPE_CHECKING:
    from data.runs import Run
    from research.tuning.scoring import Evaluate

tune_app = typer.Typer(add_completion=False)
holdout_app = typer.Typer(add_completion=False)
demo_app = typer.Typer(add_completion=False)

Trials = Annotated[int, typer.Option("--trials", help="How many params to try in all.")]
Objectives = Annotated[
    list[str] | None,
    typer.Option("--objective", help="Figure to maximise; default sharpe; may be repeated."),
]
Constraints = Annotated[
    list[str] | None,
    typer.Option("--constraint", help="Such as 'max_drawdown<0.2'; may be repeated."),
]
Sampler = Annotated[
    str, typer.Option("--sampler", help="tpe, nsga2, qmc, grid or random; default tpe.")
]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same trials.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", help="Workers of Ray: auto starts some here; HOST:PORT or ray://HOST:PORT."
    ),
]


@tune_app.command(
    epilog="Example: wick tune rsi_macd_atr --symbols BTCUSDT --from 2023-01-01 --split 2023-10-01"
)
def tune(
    strategy: flags.StrategyName,
    symbols: flags.Symbols = None,
    market: flags.Market = None,
    timeframe: flags.Timeframe = None,
    start: flags.From = None,
    end: flags.To = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="First day of the hold-out; default: the last 30 %."),
    ] = None,
    trials: Trials = 200,
    objective: Objectives = None,
    constraint: Constraints = None,
    sampler: Sampler = "tpe",
    folds: Annotated[
        int, typer.Option("--folds", help="Parts of the span; poor trials end after the first.")
    ] = 1,
    seed: Seed = 0,
    study: Annotated[
        str | None, typer.Option("--study", help="Name of the study; default: of this command.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", help="Database or Redis URL instead of a file.")
    ] = None,
    changes: flags.Changes = None,
    params: flags.Params = None,
    balance: flags.Balance = None,
    fee_bps: flags.FeeBps = None,
    maker_fee_bps: flags.MakerFeeBps = None,
    fees: flags.Fees = None,
    slippage_bps: flags.SlippageBps = None,
    strict: flags.Strict = False,
    threads: flags.Threads = None,
    cluster: Cluster = None,
    name: flags.Name = None,
    store: flags.Store = None,
    runs: flags.Runs = None,
    as_json: flags.Json = False,
) -> None:
    """Search params on one span of candles, and say how likely the winner is luck."""
    from data.dates import parse_time
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    asked = flags.asked_for(
        strategy, symbols, market, timeframe, start, end, changes, params, balance, fee_bps,
        slippage_bps, strict, maker_fee_bps=maker_fee_bps, fees=fees, threads=threads,
    )  # fmt: skip
    split_ms = None if split is None else parse_time(split, "--split")
    check_name(name)
    with compiling(), contextlib.redirect_stdout(sys.stderr):
        from backtest.inputs import gather
        from data.runs import check_writable
        from research.tuning.asked import TuneAsked, check_asked, pinned
        from research.tuning.keep import run_tune

        wanted = TuneAsked(
            trials, tuple(objective or ["sharpe"]), tuple(constraint or ()), sampler, seed, folds,
            split_ms, study, storage,
        )  # fmt: skip
        check_asked(wanted)
        check_writable(settings.runs)
        inputs = pinned(gather(asked, settings.store, settings.runs), asked)
    with evaluating_on(cluster, threads) as (evaluate, _):
        run = run_tune(
            inputs, settings.runs, wanted,
            name=name, command=sys.argv[1:], evaluate=evaluate, threads=threads,
        )  # fmt: skip
    show_tune(run, settings.store, settings.runs, strategy, as_json=as_json)


@contextlib.contextmanager
def evaluating_on(cluster: str | None, threads: int | None) -> "Iterator[tuple[Evaluate, int]]":
    """Give what evaluates params, the cluster's workers or this process, and how many searches at
    once give it enough work."""
    if cluster is None:
        from backtest.sweeps.engine import evaluate

        yield evaluate, 1
        return
    from research.cluster.joining import joined
    from research.tuning.sampling import BATCH

    with joined(cluster, threads) as pool:
        yield pool.evaluate, pool.at_once(BATCH)


def show_tune(run: "Run", store: Path, runs: Path, strategy: str, *, as_json: bool) -> None:
    """Write the report of a tuning, and print it."""
    from research.report_commands import write_report_of
    from research.validation.holdout import openings

    write_report_of(run, store)
    if as_json:
        typer.echo((run.folder / "run.json").read_text(), nl=False)
        return
    from research.show import print_tune

    print_tune(run, strategy, len(openings(runs, run.record)))


@holdout_app.command(epilog="Example: wick holdout last")
def holdout(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A tuning's id, part of it, or last.")
    ] = "last",
    again: Annotated[
        bool, typer.Option("--again", help="Also candles that the strategy has seen before.")
    ] = False,
    store: flags.Store = None,
    runs: flags.Runs = None,
    as_json: flags.Json = False,
) -> None:
    """Open the hold-out of a tuning, once, and run its winner there."""
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    with compiling(), contextlib.redirect_stdout(sys.stderr):
        from research.validation.holdout import open_holdout

        made = open_holdout(run, settings.store, settings.runs, again=again, command=sys.argv[1:])
    if as_json:
        typer.echo((made.folder / "run.json").read_text(), nl=False)
        return
    from research.show import print_holdout

    print_holdout(made)


@demo_app.command(epilog="Example: wick demo --data ../klines")
def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of candles; else the public archive.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="How many params to try.")] = 200,
    store: flags.Store = None,
    runs: flags.Runs = None,
) -> None:
    """Show the whole way once: candles, check, backtest, tuning, hold-out, report."""
    from data.settings import load_settings
    from research.demo import run_demo

    run_demo(data, trials, load_settings(store=store, runs=runs))
