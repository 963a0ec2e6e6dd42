"""wick check."""

import contextlib
import dataclasses
import sys
from typing import TYPE_CHECKING

import typer

from backtest import commands as flags
from backtest.running import compiling
from research.check_process import CheckProcess
from strategy.uncollected import uncollected

if TYPE_CHECKING:
    from backtest.inputs import Asked
    from data.settings import Settings
    from research.check import Checked
    from strategy.candles import Candles
    from strategy.contract.findings import Finding
    from strategy.contract.outcome import Subject
    from strategy.load import Strategy

app = typer.Typer(add_completion=False)
YEAR_MS = 365 * 86_400_000
_MOST, _LEAST = 525_600, 5_000
_MONDAY_MS = 1_672_617_600_000  # 2023-01-02


@app.command(epilog="Example: wick check my_idea.py --symbols BTCUSDT --from 2023-01-01")
def check(
    strategy: flags.StrategyName,
    symbols: flags.Symbols = None,
    market: flags.Market = None,
    timeframe: flags.Timeframe = None,
    start: flags.From = None,
    end: flags.To = None,
    changes: flags.Changes = None,
    params: flags.Params = None,
    store: flags.Store = None,
    runs: flags.Runs = None,
    as_json: flags.Json = False,
) -> None:
    """Check that a strategy cannot see the future and says live what it says in a backtest."""
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    asked = flags.asked_for(
        strategy, symbols, market, timeframe, start, end, changes, params, None, None, None, False
    )
    with CheckProcess() as beside:
        with compiling(), contextlib.redirect_stdout(sys.stderr):
            loaded, asked_at_load = _loaded(strategy)
            histories = [] if loaded is None else _histories(asked, settings, loaded)
        found: list[tuple[History | None, Checked]] = [
            (one, _checked(one, asked_at_load, beside)) for one in histories
        ]
    if loaded is None:
        found.append((None, _refused(asked_at_load)))
    from research.check_show import print_checked, print_refused, to_json

    if as_json:
        typer.echo(to_json(strategy, found))
    for history, checked in found if not as_json else ():
        print_refused(checked) if history is None else print_checked(history, checked)
    if any(checked.findings for _, checked in found):
        raise typer.Exit(1)


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """What a strategy is checked on, and where the candles come from."""

    subject: "Subject"
    candles: "Candles"
    source: str


def _loaded(name: str) -> "tuple[Strategy | None, list[Finding]]":
    """Load a strategy; also return what it asks meanwhile, or why it is refused."""
    from strategy.contract.findings import REFUSED, Finding
    from strategy.contract.outside import watching
    from strategy.errors import WickError
    from strategy.load import find, load

    path = find(name)
    try:
        with watching(str(path)) as seen:
            loaded = load(name)
    except WickError as error:
        return None, [Finding(REFUSED, "load", error.message, error.hint)]
    return loaded, seen


def _histories(asked: "Asked", settings: "Settings", strategy: "Strategy") -> list[History]:
    from backtest.inputs import gather
    from data.store import series
    from strategy.contract.outcome import Subject

    timeframe = asked.timeframe or strategy.timeframe
    stored = [
        one
        for one in series(settings.store)
        if one.series.timeframe == timeframe and asked.market in (None, one.series.market)
    ]
    from_run = isinstance(asked.params, str) and not asked.params.endswith(".toml")
    named = asked.symbols or asked.start_ms is not None or asked.end_ms is not None
    if not (stored or named or asked.market or from_run):
        return [_made_up(asked, strategy, timeframe)]
    if not asked.symbols and not from_run and stored:
        longest = max(stored, key=lambda one: one.rows).series
        asked = dataclasses.replace(asked, symbols=(longest.symbol,), market=longest.market)
    inputs = gather(asked, settings.store, settings.runs)
    return [
        History(
            Subject.of(inputs.strategy, one, inputs.params, inputs.risk),
            one,
            f"{one.symbol} {one.market} {one.timeframe} of {settings.store}",
        )
        for one in inputs.candles
    ]


def _made_up(asked: "Asked", strategy: "Strategy", timeframe: str) -> History:
    from data.overrides import from_flags, from_toml
    from data.synthetic import synthetic_market
    from strategy.contract.outcome import Subject
    from strategy.timeframes import timeframe_ms, timeframe_offset_ms

    length_ms = timeframe_ms(timeframe)
    count = min(max(YEAR_MS // length_ms, _LEAST), _MOST)
    start_ms = _MONDAY_MS - (_MONDAY_MS - timeframe_offset_ms(timeframe)) % length_ms
    candles = synthetic_market(0, -(-count * length_ms // 60_000), start_ms, timeframe)
    given = from_flags(asked.changes)
    if isinstance(asked.params, str):
        given = given.over(from_toml(asked.params))
    strategy = dataclasses.replace(strategy, timeframe=timeframe)
    subject = Subject.of(
        strategy,
        candles,
        strategy.with_params(given.params),
        strategy.with_risk(given.risk),
    )
    return History(subject, candles, f"a made-up {timeframe} market: no candles are stored")


def _checked(history: History, asked_at_load: "list[Finding]", beside: CheckProcess) -> "Checked":
    from research.check import check_strategy
    from research.progress import progress

    words = f"checking {history.subject.strategy.name} on {history.candles.symbol}"
    with (
        contextlib.ExitStack() as stack,
        contextlib.redirect_stdout(sys.stderr),
        uncollected(),  # of ten thousand short runs: a tenth of the time
    ):
        return check_strategy(
            history.subject,
            history.candles,
            asked_at_load,
            begin=lambda total: stack.enter_context(progress(words, total)),
            begin_longest=beside.begin,
        )


def _refused(findings: "list[Finding]") -> "Checked":
    from research.check import Checked
    from strategy.contract.findings import REFUSED, Check

    return Checked((Check(REFUSED, "load", found={one.where: one for one in findings}),))
