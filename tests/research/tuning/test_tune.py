"""A search repeats itself, never sees the hold-out, and its winner is a plain backtest's."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import optuna
import pytest

from backtest.engine import Result, backtest
from backtest.inputs import Inputs, run
from data.run_record import figures_of
from data.run_tables import result_hash
from data.symbols import fine_rules, grids_of
from data.synthetic import synthetic_market
from research.tuning.asked import TuneAsked
from research.tuning.keep import trial_table
from research.tuning.objectives import OBJECTIVES
from research.tuning.tune import Tuned, tune
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.funding import Funding, no_funding
from strategy.load import load
from strategy.metrics import by_day

START = 1_672_531_200_000  # 2023-01-01 00:00 UTC
DAY_MS = 86_400_000
SPLIT = START + 20 * DAY_MS
USUAL = Costs()
TUNE: dict[str, Any] = {
    "rsi": (5, 20), "oversold": (25.0, 45.0), "stop": (2.0, 10.0), "take": [3.0, 6, 9.0]
}  # fmt: skip


@cache
def market(seed: int = 7, symbol: str = "BTCUSDT", days: int = 26) -> Candles:
    return synthetic_market(seed, days * 1440, START, symbol=symbol)


def inputs(
    *candles: Candles, space: Mapping[str, Any] = TUNE, costs: Costs = USUAL, **changes: Any
) -> Inputs:
    """Make inputs with a search space; changes are of Params."""
    strategy = dataclasses.replace(load("rsi_macd_atr"), tune=space)
    every = candles or (market(),)
    rules = tuple(fine_rules(one.market, one.symbol, 30_000.0) for one in every)
    params = strategy.with_params({"overbought": 65.0} | changes)
    return Inputs(
        strategy=strategy,
        params=params,
        risk=strategy.risk,
        costs=costs,
        balance=10_000.0,
        candles=every,
        rules=rules,
        grids=grids_of(rules),
        funding=tuple(no_funding() for _ in every),
        notes=(),
        source=None,
    )


def reckless(given: Inputs) -> Inputs:
    """Let positions be as large as the exchange allows."""
    risk = given.risk._replace(max_leverage=125.0, leverage=125.0, daily_loss_limit=0.0)
    return dataclasses.replace(given, risk=risk)


def search(
    given: Inputs, trials: int = 12, *, objective: str = "sharpe", split_ms: int = SPLIT, **how: Any
) -> Tuned:
    tell = how.pop("tell", lambda _: None)
    asked = TuneAsked(trials, (objective,), split_ms=split_ms, **how)
    return tune(given, asked, tell=tell)


def best_value(tuned: Tuned) -> float:
    return float(tuned.trials.scores[tuned.row, 0])


def rows_of(tuned: Tuned) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = trial_table(tuned).to_pylist()
    objective = tuned.prepared.objectives[0]
    return [row | {"value": row[f"value_{objective}"]} for row in rows]


def hash_of(result: Result) -> str:
    return result_hash(result.trades, result.equity)


def rebuilt(candles: Candles, start_ms: int, end_ms: int) -> Candles:
    """Copy a span of candles into arrays of their own."""
    times = candles.arrays["open_time"]
    inside = (times >= start_ms) & (times < end_ms)
    arrays: dict[str, Any] = {name: array[inside] for name, array in candles.arrays.items()}
    return Candles.from_arrays(
        symbol=candles.symbol, market=candles.market, timeframe=candles.timeframe, **arrays
    )


def plain(given: Inputs, tuned: Tuned, start_ms: int, end_ms: int) -> Result:
    """Backtest the winner over a span, with nothing of the search about."""
    return backtest(
        load("rsi_macd_atr"),
        [rebuilt(one, start_ms, end_ms) for one in given.candles],
        params=tuned.params,
        risk=given.risk,
        costs=given.costs,
        balance=given.balance,
        grids=given.grids,
    )


def value_of(result: Result, key: str) -> float | None:
    return next(figure.value for figure in figures_of(result) if figure.key == key)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "qmc", "random"])
def test_the_same_seed_gives_the_same_trials_and_another_seed_others(sampler: str) -> None:
    first, again = (search(inputs(), 25, sampler=sampler, seed=3) for _ in range(2))
    assert trial_table(first).equals(trial_table(again))
    assert first.params == again.params
    assert hash_of(first.result) == hash_of(again.result)
    other = search(inputs(), 25, sampler=sampler, seed=4)
    assert other.trials.values.tolist() != first.trials.values.tolist()


def test_the_winner_has_the_best_value_of_all_trials() -> None:
    tuned = search(inputs(), 25)
    rows = rows_of(tuned)
    best = max(rows, key=lambda row: -np.inf if row["value"] is None else row["value"])
    assert len(rows) == 25
    assert [row["trial"] for row in rows] == list(range(25))
    assert best["value"] == best_value(tuned)
    for name in TUNE:
        assert getattr(tuned.params, name) == best[f"params_{name}"]
    assert tuned.params.overbought == 65.0


@pytest.mark.parametrize("objective", ["sharpe", "max_drawdown", "profit_factor", "total_return"])
def test_a_plain_backtest_repeats_the_winner_to_the_last_bit(objective: str) -> None:
    given = inputs()
    tuned = search(given, objective=objective)
    train = plain(given, tuned, START, SPLIT)
    assert hash_of(train) == hash_of(tuned.result)
    assert value_of(train, objective) == best_value(tuned)
    assert tuned.result.time[-1] == SPLIT - 60_000


def test_positions_pay_funding() -> None:
    given = inputs()
    hours = np.arange(START, START + 26 * DAY_MS, 3_600_000)
    ones = np.ones(len(hours))
    funding = Funding(hours, 0.0001 * ones, np.nan * ones)
    tuned = search(dataclasses.replace(given, funding=(funding,)))
    assert tuned.result.trades["funding"].any()
    assert tuned.result.funding[0].time[-1] < SPLIT


def test_every_trial_has_the_value_that_a_plain_backtest_gives() -> None:
    given = inputs()
    tuned = search(given)
    train = rebuilt(market(), START, SPLIT)
    days = by_day(tuned.result.time, tuned.result.equity, 10_000.0, 60_000).equity[1:]
    assert tuned.table.days[tuned.row].tobytes() == days.tobytes()
    for row in rows_of(tuned):
        params = given.params._replace(**{name: row[f"params_{name}"] for name in TUNE})
        result = backtest(
            given.strategy, train, params=params, costs=given.costs, grids=given.grids
        )
        assert value_of(result, "sharpe") == row["value"]


def test_the_search_never_sees_the_hold_out() -> None:
    early, late = market().arrays, market(99).arrays
    at = int(early["open_time"].searchsorted(SPLIT))
    shift = early["close"][at - 1] / late["open"][at]
    mixed: dict[str, Any] = {}
    for name in early:
        after = late[name][at:] * (3.0 * shift if name != "open_time" else 1)
        mixed[name] = np.concatenate([early[name][:at], after.astype(early[name].dtype)])
        assert name == "open_time" or (mixed[name][at:] != early[name][at:]).mean() > 0.9
    other = Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1m", **mixed)
    a, b = search(inputs(), 30), search(inputs(other), 30)
    assert trial_table(a).equals(trial_table(b))
    assert a.params == b.params
    assert hash_of(a.result) == hash_of(b.result)


def test_several_symbols_are_searched_on_one_balance() -> None:
    given = inputs(market(), market(8, "ETHUSDT"))
    tuned = search(given)
    assert tuned.result.symbols == ("BTCUSDT", "ETHUSDT")
    assert set(tuned.result.trades.symbol) == {0, 1}
    assert hash_of(plain(given, tuned, START, SPLIT)) == hash_of(tuned.result)


def column(tuned: Tuned, name: str) -> list[Any]:
    values: list[Any] = trial_table(tuned)[f"params_{name}"].to_pylist()
    return values


def test_every_kind_of_space_is_drawn_from_as_it_says() -> None:
    space = {
        "rsi": (5, 20, 5),
        "atr": (5, 40, "log"),
        "trend": [20, 50, 100],
        "signal": (9, 9),
        "oversold": (25.0, 45.0),
        "overbought": (55, 75.0, 2.5),
        "stop": (2.0, 20.0, "log"),
        "take": [3, 6.5],
    }
    tuned = search(inputs(space=space), 80, sampler="random", objective="total_return")
    assert set(column(tuned, "rsi")) == {5, 10, 15, 20}
    assert set(column(tuned, "trend")) == {20, 50, 100}
    assert set(column(tuned, "signal")) == {9}
    assert set(column(tuned, "take")) == {3.0, 6.5}
    assert all(5 <= length <= 40 for length in column(tuned, "atr"))
    assert all(25.0 <= level <= 45.0 for level in column(tuned, "oversold"))
    assert {(level - 55.0) / 2.5 for level in column(tuned, "overbought")} == set(range(9))
    low = [distance for distance in column(tuned, "stop") if distance < 6.33]
    assert 28 <= len(low) <= 52  # half of a range from 2 to 20 by its logarithm, not a quarter
    defaults = tuned.result.strategy.params()
    for name in space:
        assert {type(value) for value in column(tuned, name)} == {type(getattr(defaults, name))}
        assert type(getattr(tuned.params, name)) is type(getattr(defaults, name))


def test_a_whole_choice_for_a_parameter_with_decimals_gets_decimals() -> None:
    tuned = search(inputs(space={"take": [6], "rsi": [14]}), 1)
    assert repr((tuned.params.take, tuned.params.rsi)) == "(6.0, 14)"


def test_a_step_that_misses_the_end_of_its_range_stops_before_it_in_silence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    space = {"rsi": (5, 20, 4), "stop": (2.0, 4.9, 1.0)}
    tuned = search(inputs(space=space), 20, sampler="random")
    assert set(column(tuned, "rsi")) == {5, 9, 13, 17}
    assert set(column(tuned, "stop")) == {2.0, 3.0, 4.0}
    assert capfd.readouterr() == ("", "")


def test_trials_without_a_value_keep_their_reason() -> None:
    space = {"fast": [12, 26], "oversold": [1.0, 40.0], "overbought": [99.0]}
    tuned = search(inputs(space=space), 20, sampler="random")
    seen = set()
    for row in rows_of(tuned):
        if row["params_fast"] == 26:
            seen.add("macd")
            assert row["value"] is None
            assert row["note"] == "its params are refused"
        elif row["params_oversold"] == 1.0:
            seen.add("trades")
            assert row["value"] is None
            assert row["note"] == "needs 10 trades, has 0"
        else:
            seen.add("value")
            assert row["value"] is not None
            assert row["note"] == ""
    assert seen == {"macd", "trades", "value"}
    assert (tuned.params.fast, tuned.params.oversold) == (12, 40.0)


def test_a_trial_that_goes_broke_is_kept_with_its_reason() -> None:
    # The nearer the stop, the larger the position: its fees alone are more than the balance.
    space = {"stop": [1.0, 400.0], "take": [9.0]}
    given = reckless(inputs(space=space, costs=Costs(0.05, 0.0), oversold=45.0))
    tuned = search(given, 12, objective="max_drawdown")
    notes = {row["params_stop"]: row["note"] for row in rows_of(tuned)}
    assert notes[1.0] == "the balance was used up"
    assert notes[400.0] == ""
    assert tuned.params.stop == 400.0


def test_the_smallest_drawdown_wins_but_not_by_hardly_trading() -> None:
    space = {"oversold": [1.0, 40.0, 45.0], "overbought": [99.0]}
    tuned = search(inputs(space=space), 15, objective="max_drawdown")
    found = {row["params_oversold"]: row["value"] for row in rows_of(tuned)}
    assert found[1.0] is None
    assert -1.0 < best_value(tuned) == max(found[40.0], found[45.0]) < 0.0


def test_folds_of_two_objectives_give_their_means_and_no_trial_is_given_up() -> None:
    keys = ("total_return", "max_drawdown")
    tuned = tune(inputs(), TuneAsked(40, keys, folds=3, split_ms=SPLIT))
    trials, folds = tuned.trials, tuned.prepared.folds
    assert "pruned" not in trials.states
    assert trials.best == tuned.row
    results = [run(fold, tuned.params) for fold in folds]
    weights = [len(fold.candles[0].arrays["open_time"]) for fold in folds]
    for at, key in enumerate(keys):
        values = np.array([value_of(result, key) for result in results], np.float64)
        score = trials.scores[tuned.row, at]
        assert abs(score) == pytest.approx(abs(np.average(values, weights=weights)))


def test_when_no_trial_has_a_value_the_run_is_refused_with_the_last_reason() -> None:
    space = {"oversold": (0.5, 1.0), "overbought": [99.0]}
    done: list[int] = []
    with pytest.raises(RunRefused) as refused:
        search(inputs(space=space), 5, tell=lambda told: done.append(told.done))
    assert refused.value.message == (
        "none of 5 trials gave a sharpe; the last one: needs 10 trades, has 0"
    )
    assert "let the rules hold more often" in refused.value.hint
    assert done == [0, 5]
    with pytest.raises(RunRefused, match="gave a total_return") as refused:
        search(inputs(space=space), 2, objective="total_return")
    assert "--objective" not in refused.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "--trials is 0"),
        ({"objective": "sharp"}, "unknown --objective 'sharp'"),
        ({"objective": "fees"}, "unknown --objective 'fees'"),
        ({"sampler": "cmaes"}, "unknown --sampler 'cmaes'"),
        ({"folds": 0}, "--folds is 0"),
        ({"constraints": ("trades>50", "trades<=50")}, "cannot both hold"),
        ({"constraints": ("drawdown<0.2",)}, "names 'drawdown'"),
        ({"constraints": ("trades=5",)}, "is no figure, < or >, and a number"),
        ({"constraints": ("max_drawdown>-0.2",)}, "is meant by its depth"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_a_setting_that_no_search_can_be_made_with_is_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(WickError, match=message):
        search(inputs(), **options)


@pytest.mark.parametrize(
    "space",
    [
        (5,), (20, 5), (5, 20, 0), (5, 20, -1), (0, 20, "log"), (5, 20, "linear"), (5.5, 20),
        (5, 20, 0.5), (True, 20), (5, float("inf")), (5, 20, 1, 1), "5 to 20", 5, [], [5, 6.5],
        ["a"], {5, 6}, (5, float("nan")),
    ],
)  # fmt: skip
def test_a_space_that_is_none_is_refused_with_the_forms_there_are(space: Any) -> None:
    with pytest.raises(WickError, match=r"TUNE\['rsi'\] is ") as error:
        search(inputs(space={"rsi": space}))
    assert '(low, high, "log")' in error.value.hint


def test_an_empty_space_and_a_split_outside_the_candles_are_refused() -> None:
    with pytest.raises(WickError, match="TUNE is missing or empty"):
        search(inputs(space={}))
    for split, which in ((START, "searched span"), (START + 99 * DAY_MS, "hold-out")):
        with pytest.raises(WickError, match=f"the {which} has no BTCUSDT candles"):
            search(inputs(), 1, split_ms=split)


def test_an_interrupt_ends_the_search() -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(inputs(), tell=stop)


def test_every_objective_is_a_figure_and_larger_is_better() -> None:
    result = search(inputs(), 1, objective="total_return").result
    keys = {figure.key for figure in figures_of(result)}
    assert set(OBJECTIVES) <= keys
    assert not {"volatility", "drawdown_days", "fees", "ambiguous"} & set(OBJECTIVES)


def test_a_search_leaves_optuna_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    search(inputs(), 3)
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    assert capfd.readouterr() == ("", "")
