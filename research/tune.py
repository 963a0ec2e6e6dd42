"""Search params on one span of candles with Optuna, then judge the winner on unseen ones."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import pyarrow as pa

from backtest.engine import Result
from backtest.inputs import Inputs, run
from backtest.refusals import refuse_cold
from data.dates import show_time
from data.run_record import figures_of
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError, did_you_mean
from strategy.load import Strategy
from strategy.metrics import MIN_TRADES, NEEDS_DAYS
from strategy.tape import MemoTape

# Larger is better for these; the others describe a run but are no aim of a search.
OBJECTIVES = (
    "sharpe", "sortino", "calmar", "total_return", "cagr", "profit_factor", "expectancy",
    "expectancy_r", "max_drawdown",
)  # fmt: skip
SAMPLERS = ("tpe", "random")
_MEMO_COLUMNS, _MEMO_BYTES_MAX = 32, 1 << 30  # 134 MB for a year of minutes; more is no faster


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    params : NamedTuple
        Of the best trial.
    best_value : float
        Its objective on the training span.
    train, test : Result
        The winner's backtests on both spans.
    trials : Table
        Every trial: its number, params_ and their names, its value, and why it has none. A run of
        fewer than 10 trades has none: it would win by hardly trading.
    """

    params: Any
    best_value: float
    train: Result
    test: Result
    trials: pa.Table


def tune(
    inputs: Inputs,
    split_ms: int,
    *,
    trials: int,
    objective: str = "sharpe",
    sampler: str = "tpe",
    seed: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> Tuned:
    """Search the strategy's TUNE space before `split_ms`, and run the winner from there on.

    Parameters
    ----------
    inputs : Inputs
        Candles of both spans; params not in TUNE keep their values.
    split_ms : int
        UTC ms; candles from here on are not shown to the search.
    trials : int
    objective : str
        Key of a figure, one of `OBJECTIVES`; larger wins.
    sampler : str
        tpe or random.
    seed : int
        Of the sampler; the same seed gives the same trials.
    tick : callable
        Called after each trial.

    Raises
    ------
    WickError
        Unknown objective or sampler, an empty or wrong TUNE, or a span without candles.
    RunRefused
        No trial gave a value.
    """
    check(inputs.strategy, trials, objective, sampler, seed)
    before, after = zip(*(_cut(one, split_ms) for one in inputs.candles), strict=True)
    train = dataclasses.replace(inputs, candles=before)
    test = dataclasses.replace(inputs, candles=after)
    for span in (train, test):
        refuse_cold(span.strategy, span.params, span.candles)
    study, tried = _search(train, trials, objective, sampler, seed, tick)
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
        raise RunRefused(
            f"none of {trials} trials gave a {objective};"
            f" the last one: {study.trials[-1].user_attrs['note']}",
            "look at TUNE, take a longer span before --split"
            + (", or --objective total_return" if objective in NEEDS_DAYS else ""),
        )
    params = tried[study.best_trial.number]
    table = _table(study, tried, list(inputs.strategy.tune))
    return Tuned(params, study.best_value, run(train, params), _judge(test, params), table)


def suggest(trial: optuna.Trial, inputs: Inputs, name: str) -> float:
    """Ask a trial for one parameter: a tuple is a range, with a step or "log", a list a choice."""
    space, whole = inputs.strategy.tune[name], isinstance(getattr(inputs.params, name), int)
    if isinstance(space, list):
        choice: Any = trial.suggest_categorical(name, space)
        return float(choice) if not whole else int(choice)
    low, high, *rest = space
    log = rest == ["log"]
    step = rest[0] if rest and not log else 1 if whole else None
    suggested: Callable[..., float] = trial.suggest_int if whole else trial.suggest_float
    return suggested(name, low, high, step=step, log=log)


def _search(
    train: Inputs, trials: int, objective: str, sampler: str, seed: int, tick: Callable[[], None]
) -> tuple[optuna.Study, list[Any]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers: dict[str, Callable[..., Any]] = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    study = optuna.create_study(direction="maximize", sampler=samplers[sampler](seed=seed))
    tried = []

    def attempt(trial: optuna.Trial) -> float:
        found = {name: suggest(trial, train, name) for name in train.strategy.tune}
        tried.append(train.params._replace(**found))
        try:
            value, note = _value(run(train, tried[-1]), objective)
        except WickError as error:  # broke, or params that do not go together
            value, note = None, error.message
        trial.set_user_attr("note", note)
        if value is None:
            raise optuna.TrialPruned
        return value

    # Trials share the columns that their params have in common: half the time of their backtests.
    columns_bytes = _MEMO_COLUMNS * 8 * sum(len(one) for one in train.candles)
    with MemoTape(min(columns_bytes, _MEMO_BYTES_MAX)), warnings.catch_warnings():
        # Such as a step that does not reach the end of its range: Optuna stops short of it.
        warnings.simplefilter("ignore", UserWarning)
        study.optimize(attempt, n_trials=trials, callbacks=[lambda *_: tick()])
    return study, tried


def _judge(test: Inputs, params: Any) -> Result:
    try:
        return run(test, params)
    except RunRefused as error:
        raise RunRefused(f"out of sample, {error.message}", error.hint) from error


def _value(result: Result, objective: str) -> tuple[float | None, str]:
    figure = next(figure for figure in figures_of(result) if figure.key == objective)
    if len(result.trades) < MIN_TRADES:
        return None, f"needs {MIN_TRADES} trades, has {len(result.trades)}"
    return figure.value, figure.note


def _cut(one: Candles, split_ms: int) -> tuple[Candles, Candles]:
    times = one.arrays["open_time"]
    at = int(times.searchsorted(split_ms))
    if not 0 < at < len(times):
        which = "test" if at else "training"
        first, last = show_time(int(times[0])), show_time(int(times[-1]))
        raise WickError(
            f"split at {show_time(split_ms)}, the {which} span has no {one.symbol} candles;"
            f" they are {first} to {last} (UTC)",
            "choose a --split between them, or another --from and --to",
        )
    return one.slice(0, at), one.slice(at, len(times))


def check(strategy: Strategy, trials: int, objective: str, sampler: str, seed: int) -> None:
    """Refuse settings that no search can be made with.

    Raises
    ------
    WickError
        One of them is unknown or out of range, or the strategy's TUNE is empty or wrong.
    """
    if not 1 <= trials <= 1_000_000:
        raise WickError(f"--trials is {trials}, expected 1 to 1000000", "--trials 200")
    if objective not in OBJECTIVES:
        raise WickError(f"unknown --objective {objective!r}", did_you_mean(objective, OBJECTIVES))
    if sampler not in SAMPLERS:
        raise WickError(f"unknown --sampler {sampler!r}", did_you_mean(sampler, SAMPLERS))
    if not 0 <= seed < 2**32:
        raise WickError(f"--seed is {seed}, expected 0 to {2**32 - 1}", "--seed 1")
    if not strategy.tune:
        raise WickError(
            f"{strategy.path}: TUNE is missing or empty, so there is nothing to search",
            'TUNE = {"rsi": (5, 40)}, with names of Params',
        )
    defaults = strategy.params()
    for name, space in strategy.tune.items():
        whole = isinstance(getattr(defaults, name), int)
        if not _is_space(space, int if whole else (int, float)):
            numbers = ", of whole numbers" if whole else ""
            raise WickError(
                f"{strategy.path}: TUNE[{name!r}] is {space!r},"
                f" expected a range or a list of choices{numbers}",
                '(low, high), (low, high, step), (low, high, "log") or [first, second, …]',
            )


def _is_space(space: Any, kinds: Any) -> bool:
    def is_number(value: Any) -> bool:
        return (
            isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < float("inf")
        )

    if isinstance(space, list):
        return bool(space) and all(map(is_number, space))
    if not isinstance(space, tuple) or len(space) not in (2, 3):
        return False
    low, high, *rest = space
    if not (is_number(low) and is_number(high) and low <= high):
        return False
    return not rest or (low > 0 if rest == ["log"] else is_number(rest[0]) and rest[0] > 0)


def _table(study: optuna.Study, tried: Sequence[Any], names: Sequence[str]) -> pa.Table:
    done = study.trials
    columns = {"trial": pa.array([t.number for t in done], pa.int64())}
    columns |= {f"params_{name}": pa.array([getattr(p, name) for p in tried]) for name in names}
    columns["value"] = pa.array([t.values[0] if t.values else None for t in done], pa.float64())
    columns["note"] = pa.array([t.user_attrs["note"] for t in done], pa.string())
    return pa.table(columns)
