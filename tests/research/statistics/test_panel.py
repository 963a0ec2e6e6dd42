"""The panel puts its parts together, and small samples get notes and no verdict."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from backtest.inputs import run
from backtest.sweeps.plan import SweepPlan
from data.run_record import figures_of
from data.symbols import grids_of
from data.tune_json import OverfitRecord, PanelRecord, PlaceboRecord, PlateauRecord
from research.statistics.panel import PARTS, PLACEBOS, Tried, panel_of
from research.statistics.verdict import conditions_of
from strategy.candles import Candles
from strategy.metrics.daily import by_day
from tests.calibration import USUAL, inputs_of, market, searched, trend
from tests.research.statistics.searches import small_search

NAN = float("nan")


def unknown(*_: Any) -> float:
    return NAN


def test_the_panel_of_a_search_in_trends() -> None:
    tried, ticks = small_search(0.3), []
    record, around = panel_of(tried, lambda: ticks.append(1))
    assert len(ticks) == PARTS
    assert record.edge
    assert [one.holds for one in record.conditions] == [True] * 4
    assert (record.trials, record.days) == (30, 120)
    figures = {one.key: one.value for one in figures_of(tried.result)}
    assert record.sharpe_day is not None and figures["sharpe"] is not None
    assert record.sharpe_day * math.sqrt(365) == pytest.approx(figures["sharpe"])
    assert record.psr == pytest.approx(figures["psr"])
    assert record.track_days == pytest.approx(figures["track_record"])
    assert record.psr is not None and record.dsr is not None
    assert record.psr >= record.dsr
    assert record.overfit.trials <= 30
    assert len(record.placebo.best) == PLACEBOS
    assert record.placebo.score == tried.scores[tried.best]
    assert sum(one.trades for one in record.folds) == len(tried.result.trades)
    assert record.intervals["profit_factor"].value == figures["profit_factor"]
    assert around.column_names == [*(f"params_{one.name}" for one in tried.spaces), "score"]
    assert len(around) == record.plateau.points
    scores = around["score"].to_numpy()
    assert (scores >= record.plateau.least).sum() == record.plateau.holding


def test_a_panel_is_the_same_each_time_and_survives_its_file() -> None:
    tried = small_search()
    (record, around), (again, others) = (panel_of(tried) for _ in range(2))
    assert record == again
    assert around.equals(others)
    assert msgspec.json.decode(msgspec.json.encode(record), type=PanelRecord) == record


def test_trials_of_all_processes_count_and_those_without_days_too() -> None:
    tried = small_search()
    more = dataclasses.replace(
        tried,
        values=np.concatenate((tried.values, tried.values)),
        scores=np.append(tried.scores, np.full(30, NAN)),
        days=np.concatenate((tried.days, np.full_like(tried.days, NAN))),
        search=unknown,
    )
    one, two = (panel_of(dataclasses.replace(it, search=unknown))[0] for it in (tried, more))
    assert two.trials == 60
    assert one.luck_day is not None and two.luck_day is not None
    assert two.luck_day > one.luck_day
    assert one.overfit == two.overfit
    assert one.psr == two.psr


def test_one_trial_says_nothing_of_luck() -> None:
    tried = small_search()
    alone = dataclasses.replace(
        tried,
        values=tried.values[[tried.best]],
        scores=tried.scores[[tried.best]],
        days=tried.days[[tried.best]],
        best=0,
        search=unknown,
    )
    record, _ = panel_of(alone)
    assert (record.luck_day, record.dsr) == (None, None)
    assert record.psr is not None
    assert record.overfit.pbo is None
    assert not record.edge


@pytest.mark.parametrize("days", [1, 3, 12])
def test_a_span_of_few_days_has_notes_and_no_verdict(days: int) -> None:
    inputs = inputs_of(trend(), market(1, 20, 0.2), USUAL)
    few = inputs.candles[0].slice(96 * 15, 96 * (15 + days))
    short = dataclasses.replace(inputs, candles=(few,))
    plan = SweepPlan.of(short, ["fast", "slow", "filter", "stop"])
    values = np.array([[5.0, 45.0, 20.0, 2.0], [6.0, 45.0, 20.0, 2.0]])
    results = [run(short, plan.params(row)) for row in values]
    curves = [by_day(its.time, its.equity, its.balance, 900_000).equity[1:] for its in results]
    tried = dataclasses.replace(
        small_search(),
        inputs=short,
        values=values,
        scores=np.array([curve[-1] / 10_000.0 - 1.0 for curve in curves]),
        objective="total_return",
        days=np.array(curves),
        best=0,
        result=results[0],
    )
    record, _ = panel_of(tried)
    assert (record.psr, record.dsr, record.overfit.pbo, record.track_days) == (None,) * 4
    assert record.overfit.note
    assert record.entries.note
    assert record.montecarlo.note
    assert all(one.note for one in record.intervals.values())
    assert len(record.folds) == min(days, 5)
    assert not record.edge
    assert msgspec.json.decode(msgspec.json.encode(record), type=PanelRecord) == record


def test_several_symbols_on_one_balance_have_a_panel() -> None:
    inputs = inputs_of(trend(), market(1, 60, 0.2), USUAL)
    arrays = dict(market(2, 60, 0.2).arrays)
    other = Candles.from_arrays(symbol="OTHERUSDT", market="um", timeframe="15m", **arrays)
    rules = inputs.rules * 2
    both = dataclasses.replace(
        inputs,
        candles=(*inputs.candles, other),
        rules=rules,
        grids=grids_of(rules),
        funding=inputs.funding * 2,
    )
    tried = searched(both, 12, 1)
    assert isinstance(tried, Tried)
    assert set(tried.result.trades.symbol) == {0, 1}
    record, _ = panel_of(tried)
    assert record.entries.p is not None
    assert len(record.placebo.best) == PLACEBOS
    assert record.overfit.pbo is not None
    assert record.dsr is not None


def test_what_is_missing_never_holds() -> None:
    good = (
        0.96,
        OverfitRecord(0.4, 16, 12_870, 100, 0.1, []),
        PlateauRecord(64, 64, 32, 1.0, 0.5),
        PlaceboRecord(5, [1.0, 1.0, 1.0], 2.0, 0),
    )
    names = ["deflated Sharpe", "overfitting", "plateau", "placebo"]
    assert [one.name for one in conditions_of(*good)] == names
    assert all(one.holds for one in conditions_of(*good))
    bad: list[list[Any]] = [
        [0.95, None, NAN],
        [OverfitRecord(pbo, 0, 0, 1, None, [], "x") for pbo in (None, 0.5)],
        [PlateauRecord(64, 64, 31, 1.0, 31 / 64), PlateauRecord(0, 0, 0, 1.0, 0.0)],
        [PlaceboRecord(5, [2.0], 2.0, 1), PlaceboRecord(5, [], 2.0, 0, "needs 60 candles, has 3")],
    ]
    for at, ones in enumerate(bad):
        for one in ones:
            some: Any = [*good[:at], one, *good[at + 1 :]]
            found = conditions_of(*some)
            assert [not it.holds for it in found] == [place == at for place in range(4)], one


def test_the_page_names_the_conditions_as_the_verdict_does() -> None:
    page = (Path(__file__).parents[3] / "docs" / "overfitting.md").read_text()
    record, _ = panel_of(dataclasses.replace(small_search(), search=unknown))
    for one in record.conditions:
        assert f"| {one.name} | {one.asks} |" in page
    for name in ("psr", "luck_day", "dsr", "track_days", "pbo", "loss", "share", "beaten", "p"):
        assert f"`{name}`" in page
