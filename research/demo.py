"""wick demo: the whole way once, with the commands that a user would type."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.panel import Panel

from backtest import commands as backtest_commands
from backtest.inputs import Asked, gather
from data import commands as data_commands
from data.dates import now_ms, parse_time, show_time
from data.fetching.download import archive_reachable
from data.manifest import Series
from data.run_json import RunRecord
from data.runs import Run, check_writable, load
from data.settings import Settings
from data.show import print_run
from data.store import StoredSeries, series
from data.synthetic import synthetic_market
from data.table import numbers
from data.writer import save
from research.parity import check_parity
from research.parity_commands import print_parity
from research.report_commands import write_report_of
from research.show import print_holdout, print_tune
from research.tuning.asked import TuneAsked, check_asked
from research.tuning.keep import run_tune
from research.validation.holdout import open_holdout, openings
from strategy.errors import WickError
from strategy.load import load as load_strategy
from strategy.timeframes import DAY_MS

STRATEGY = "rsi_macd_atr"
SYMBOL = "BTCUSDT"
ARCHIVE_FROM, ARCHIVE_TO = "2023-01-01", "2024-01-01"
SEED = 7
_YEAR_MINUTES = 365 * 1440


def run_demo(data: Path | None, trials: int, settings: Settings) -> None:
    """Run every step, each under the command line that does the same.

    Parameters
    ----------
    data : Path or None
        Folder of candle files; None takes the public archive or, if it does not answer within 3 s,
        a seeded market.
    trials : int
        Of the tuning.

    Raises
    ------
    WickError
        The folder has no 1m candles of BTCUSDT, or `trials` is out of range.
    RunRefused
        Runs cannot be written, or the archive breaks off.
    """
    console = Console()
    began = time.monotonic()
    check_asked(TuneAsked(trials))
    check_writable(settings.runs)
    wanted = _get_candles(console, data, settings)
    stored = next(s for s in series(settings.store) if s.series == wanted)
    market, symbol = wanted.market, wanted.symbol
    end_ms = stored.last_open_time // DAY_MS * DAY_MS + DAY_MS
    start_ms = max(end_ms - 365 * DAY_MS, stored.first_open_time)
    span = f"--from {show_time(start_ms)[:10]} --to {show_time(end_ms)[:10]}"
    flags = f"--symbols {symbol} --market {market} {span}"

    _head(console, f"wick data check {symbol} --market {market}")
    data_commands.check([symbol], market, "1m", store=settings.store)

    line = f"backtest {STRATEGY} {flags}"
    _head(console, f"wick {line}")
    asked = Asked(STRATEGY, (symbol,), market, start_ms=start_ms, end_ms=end_ms)
    notes = _stand_in_notes(wanted)
    run, _ = backtest_commands.run_backtest(
        asked, settings.store, settings.runs, None, line.split(), notes
    )
    print_run(run.record, run.folder)

    line = f"tune {STRATEGY} {flags} --trials {trials}"
    _head(console, f"wick {line}")
    inputs = gather(asked, settings.store, settings.runs)
    tuned = run_tune(inputs, settings.runs, TuneAsked(trials), command=line.split(), notes=notes)
    seen = len(openings(settings.runs, tuned.record))
    print_tune(tuned, STRATEGY, seen)

    _head(console, f"wick holdout {tuned.record.id}" + (" --again" if seen else ""))
    line = f"holdout {tuned.record.id}"
    opened = open_holdout(
        tuned.record.id, settings.store, settings.runs, again=True, command=line.split()
    )
    print_holdout(opened)

    _head(console, f"wick backtest {STRATEGY} --params {tuned.record.id}")
    again, source = backtest_commands.run_backtest(
        Asked(STRATEGY, params=tuned.record.id), settings.store, settings.runs, None,
        ["backtest", STRATEGY, "--params", tuned.record.id], notes,
    )  # fmt: skip
    _say_same(console, again.record, source)

    _head(console, f"wick report {run.record.id}")
    for one in (run, tuned):
        path = write_report_of(load(settings.runs, one.record.id), settings.store)
        console.print(path, highlight=False, soft_wrap=True)
    first_ms, last_ms = _parity_days(load(settings.runs, run.record.id), start_ms, end_ms)
    span = f"--from {show_time(first_ms)[:10]} --to {show_time(last_ms)[:10]}"
    line = f"parity {STRATEGY} --symbols {symbol} --market {market} {span}"
    _head(console, f"wick {line}")
    asked = Asked(STRATEGY, (symbol,), market, start_ms=first_ms, end_ms=last_ms)
    _show_parity(console, asked, settings, line.split())

    console.print(f"\nAll of it took {time.monotonic() - began:.0f} s. Next, try:", highlight=False)
    for command in _next(symbol, market, tuned.record.id):
        console.print(f"  {command}", highlight=False, soft_wrap=True)


def _parity_days(run: Run, start_ms: int, end_ms: int) -> tuple[int, int]:
    # Two days of the run: one in which the indicators warm up, then the one with most trades.
    days = numbers(run.trades, "entry_time") // DAY_MS * DAY_MS
    found, counts = np.unique(days[days >= start_ms + DAY_MS], return_counts=True)
    day_ms = int(found[counts.argmax()]) if len(found) else end_ms - DAY_MS
    return max(day_ms - DAY_MS, start_ms), min(day_ms + DAY_MS, end_ms)


def _show_parity(console: Console, asked: Asked, settings: Settings, command: list[str]) -> None:
    words = "the real live stack on loopback: exchange, sockets, Redis, four processes"
    with console.status(words):
        found = check_parity(
            gather(asked, settings.store, settings.runs),
            settings.sessions,
            settings.runs,
            command=command,
            now_ms=now_ms(),
        )
    print_parity(found)
    if found.comparison.total:
        raise AssertionError("backtest and live differ; this is a bug")


def _get_candles(console: Console, data: Path | None, settings: Settings) -> Series:
    if data is not None:
        files = _files(data)
        _head(console, f"wick data import {files[0]}" + (" …" if len(files) > 1 else ""))
        try:
            data_commands.import_(files, store=settings.store)
        except WickError as error:  # its hint is a flag that only import has
            hint = f"wick data import {data}: {error.hint}; then wick backtest {STRATEGY}"
            raise type(error)(error.message, hint) from error
        return _minutes_of(series(settings.store))
    if archive_reachable(settings.archive_url):
        _head(console, f"wick data fetch {SYMBOL} --from {ARCHIVE_FROM} --to {ARCHIVE_TO}")
        data_commands.fetch([SYMBOL], ARCHIVE_FROM, ARCHIVE_TO, store=settings.store)
        return Series("um", SYMBOL, "1m")
    words = (
        f"{settings.archive_url} did not answer (at most 3 s were waited).\n"
        f"What follows runs on a SYNTHETIC market drawn from seed {SEED}:\n"
        "the prices are made up, and no result says anything about a real one."
    )
    console.print(Panel(words, title="no real data", style="bold yellow"))
    made = synthetic_market(SEED, _YEAR_MINUTES, parse_time(ARCHIVE_FROM, "--from"))
    wanted = Series("um", made.symbol, "1m")
    save(settings.store, made, f"synthetic market, seed {SEED}")
    return wanted


def _files(data: Path) -> list[Path]:
    if not data.is_dir():
        raise WickError(
            f"--data {data} is no folder", "wick demo without --data takes the public archive"
        )
    found = [
        path
        for path in sorted(data.rglob(f"{SYMBOL}*1m*"))
        if path.suffix in {".parquet", ".zip", ".csv"} and "mark" not in path.name
    ]
    if not found:
        raise WickError(
            f"{data} has no 1m candle files of {SYMBOL}",
            "wick demo without --data takes the public archive",
        )
    tables = [path for path in found if path.suffix == ".parquet"]
    # One long series says more than several short ones.
    return [max(tables, key=lambda path: path.stat().st_size)] if tables else found


def _minutes_of(stored: Sequence[StoredSeries]) -> Series:
    fitting = [s for s in stored if s.series.symbol == SYMBOL and s.series.timeframe == "1m"]
    return max(fitting, key=lambda s: s.rows).series


def _stand_in_notes(wanted: Series) -> tuple[str, ...]:
    if wanted.symbol == SYMBOL:
        return ()
    return (f"{wanted.symbol} is a synthetic market, seed {SEED}: its prices are made up",)


def _say_same(console: Console, record: RunRecord, source: RunRecord | None) -> None:
    assert source is not None
    if source.result_hash != record.result_hash:
        raise AssertionError("the tuned run was not reproduced; this is a bug")
    console.print(
        f"the same {record.figure('trades').value:.0f} trades and the same equity, to the last bit",
        highlight=False,
    )


def _head(console: Console, command: str) -> None:
    console.print(f"\n[bold cyan]$ {command}[/]", highlight=False, soft_wrap=True)


def _template() -> Path:
    path = load_strategy(STRATEGY).path
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _next(symbol: str, market: str, tuned: str) -> list[str]:
    candles = f"--symbols {symbol} --market {market}"
    return [
        f"wick backtest {STRATEGY} {candles} --set stop=20 --set risk.per_trade=0.005",
        f"wick tune {STRATEGY} {candles} --objective calmar",
        f"cp {_template()} my_idea.py  (edit it)  wick backtest my_idea.py --params {tuned}",
        "wick data fetch ETHUSDT --from 2024-01-01",
        "wick --help",
    ]
