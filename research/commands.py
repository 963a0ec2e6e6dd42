"""wick tune and wick demo."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest import commands as flags
from backtest.running import check_name, compiling

if TYPE_CHECKING:
    from backtest.inputs import Inputs
    from data.runs import Run
    from research.tune import Tuned

tune_app = typer.Typer(add_completion=False)
demo_app = typer.Typer(add_completion=False)
TEST_SHARE = 0.3


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
        typer.Option("--split", help="First day of the test span; default: its last 30 %."),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="How many params to try.")] = 200,
    objective: Annotated[
        str, typer.Option("--objective", help="Figure to maximise, such as sharpe or calmar.")
    ] = "sharpe",
    sampler: Annotated[str, typer.Option("--sampler", help="tpe or random.")] = "tpe",
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same trials.")] = 0,
    changes: flags.Changes = None,
    params: flags.Params = None,
    balance: flags.Balance = None,
    fee_bps: flags.FeeBps = None,
    maker_fee_bps: flags.MakerFeeBps = None,
    fees: flags.Fees = None,
    slippage_bps: flags.SlippageBps = None,
    strict: flags.Strict = False,
    name: flags.Name = None,
    store: flags.Store = None,
    runs: flags.Runs = None,
    as_json: flags.Json = False,
) -> None:
    """Search params on one span of candles and judge the winner on the next."""
    from data.dates import parse_time
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    asked = flags.asked_for(
        strategy, symbols, market, timeframe, start, end, changes, params, balance, fee_bps,
        slippage_bps, strict, maker_fee_bps=maker_fee_bps, fees=fees,
    )  # fmt: skip
    split_ms = None if split is None else parse_time(split, "--split")
    check_name(name)
    with compiling(), contextlib.redirect_stdout(sys.stderr):
        from backtest.inputs import gather
        from data.runs import check_writable

        check_writable(settings.runs)
        inputs = gather(asked, settings.store, settings.runs)
    run = run_tune(
        inputs, settings.runs, split_ms, trials, objective, sampler, seed, name, sys.argv[1:]
    )
    if as_json:
        typer.echo((run.folder / "run.json").read_text(), nl=False)
        return
    from research.show import print_tune

    print_tune(run, strategy)


@demo_app.command(epilog="Example: wick demo --data ../klines")
def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of candles; else the public archive.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="How many params to try.")] = 200,
    store: flags.Store = None,
    runs: flags.Runs = None,
) -> None:
    """Show the whole way once: candles, check, backtest, tuning, out-of-sample figure, report."""
    from data.settings import load_settings
    from research.demo import run_demo

    run_demo(data, trials, load_settings(store=store, runs=runs))


def run_tune(
    inputs: "Inputs",
    runs: Path,
    split_ms: int | None,
    trials: int,
    objective: str,
    sampler: str,
    seed: int,
    name: str | None,
    command: list[str],
    notes: tuple[str, ...] = (),
) -> "Run":
    """Tune with a progress bar and keep the winner as a run."""
    from data.run_tables import part_table, trade_table
    from data.runs import Run, keep
    from research.tune import tune as search

    first = min(int(one.arrays["open_time"][0]) for one in inputs.candles)
    last = max(int(one.arrays["open_time"][-1]) for one in inputs.candles)
    if split_ms is None:
        split_ms = default_split_ms(first, last)
    words = f"{trials} trials of {inputs.strategy.name}"
    # What a strategy prints is no result.
    with contextlib.redirect_stdout(sys.stderr), progress(words, trials) as tick:
        tuned = search(
            inputs,
            split_ms,
            trials=trials,
            objective=objective,
            sampler=sampler,
            seed=seed,
            tick=tick,
        )
    record = tune_record(
        inputs, tuned, split_ms, first, last, objective, sampler, seed, command, notes, name
    )
    table = trade_table(tuned.train.trades, tuned.train.symbols)
    train, source = tuned.train, inputs.strategy.source
    parts = part_table(train.parts, train.trades, train.symbols)
    run = Run(runs / record.id, record, table, train.time, train.equity, parts)
    return keep(runs, run, source, {"trials": tuned.trials})


def default_split_ms(first_ms: int, last_ms: int) -> int:
    """Return where the last 30 % begin, at midnight UTC where the span is long enough for that."""
    split_ms = first_ms + round((last_ms - first_ms) * (1.0 - TEST_SHARE))
    midnight_ms = split_ms // 86_400_000 * 86_400_000
    return midnight_ms if midnight_ms > first_ms else split_ms // 60_000 * 60_000


def tune_record(
    inputs: "Inputs",
    tuned: "Tuned",
    split_ms: int,
    first: int,
    last: int,
    objective: str,
    sampler: str,
    seed: int,
    command: list[str],
    notes: tuple[str, ...],
    name: str | None,
) -> Any:
    """Describe a tuning: the winner's run in sample, and its figures out of sample."""
    import msgspec

    from backtest.record import record_of
    from data.dates import now_ms
    from data.run_json import TuneRecord
    from data.run_record import figures_of
    from data.run_tables import result_hash

    record = record_of(
        tuned.train,
        kind="tune",
        created_ms=now_ms(),
        command=command,
        rules=inputs.rules,
        terms=inputs.terms,
        marks=inputs.marks,
        notes=(*notes, *inputs.notes),
        seed=seed,
        name=name,
    )
    return msgspec.structs.replace(
        record,
        tune=TuneRecord(
            objective=objective,
            trials=len(tuned.trials),
            sampler=sampler,
            train_from_ms=first,
            split_ms=split_ms,
            test_to_ms=last + tuned.train.candles[0].timeframe_ms,
            best_value=tuned.best_value,
            out_of_sample=figures_of(tuned.test, follow=True),
            out_of_sample_hash=result_hash(tuned.test.trades, tuned.test.equity),
        ),
    )


@contextlib.contextmanager
def progress(words: str, total: int) -> Iterator[Any]:
    """Show a bar on a terminal while something goes on; gives what is called after each step."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(words, total=total)
        yield lambda: bar.advance(task)
