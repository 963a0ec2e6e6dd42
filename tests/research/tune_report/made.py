"""Tunings and walk-forwards as they lie in a folder of runs, with records filled by hand."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from data.run_json import TuneRecord
from data.runs import Run, keep
from data.tune_json import (
    ConditionRecord,
    CostsRecord,
    EntriesRecord,
    FoldRecord,
    HoldoutRecord,
    IntervalOfRecord,
    MonteCarloRecord,
    OverfitRecord,
    PanelRecord,
    PlaceboRecord,
    PlateauRecord,
    SearchRecord,
    SpaceRecord,
    WalkRecord,
    WindowRecord,
)
from strategy.timeframes import DAY_MS
from tests.backtest.report_runs import market, report_run

NAMES = ("channel", "stop", "hold", "kind")
SPACES = (
    SpaceRecord("channel", 20, 120, 1, False, [], True),
    SpaceRecord("stop", 0.5, 8, 0, True, [], False),
    SpaceRecord("hold", 10, 60, 5, False, [], True),
    SpaceRecord("kind", 1, 4, 0, False, [1, 2, 4], True),
)
LEVELS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
STATES = ("complete", "complete", "complete", "complete", "pruned", "infeasible", "failed")


def tune_run(
    runs: Path,
    *,
    trials: int = 300,
    objectives: tuple[str, ...] = ("sharpe",),
    panel: PanelRecord | None = None,
    name: str | None = None,
    spaces: tuple[SpaceRecord, ...] = SPACES,
    note: str = "",
) -> Run:
    """Keep a tuning: real trades, a made-up study around them, closed hold-out."""
    base = report_run(runs / ".base", [market(20_000, 90)], name=name, notes=[note] if note else [])
    tried, best = _trials(trials, objectives, spaces)
    record = base.record
    winner = {one.name: tried[f"params_{one.name}"][best].as_py() for one in spaces}
    end_ms = record.data[0].end_ms
    front = [best, *range(0, trials, 40)] if len(objectives) > 1 else [best]
    states = tried["state"].to_pylist()
    counted = {name: states.count(name) for name in ("complete", "pruned", "infeasible", "failed")}
    search = SearchRecord(
        "made", "study.journal", list(objectives), ["max_drawdown > -0.2"], list(spaces), best,
        sorted(set(front)), **counted,
        importance=dict(zip([one.name for one in spaces], (0.61, 0.24, 0.1, 0.05), strict=True)),
        folds=4,
    )  # fmt: skip
    tune = TuneRecord(
        objectives[0], trials, "tpe", record.data[0].first_ms, end_ms, end_ms + 9 * DAY_MS,
        tried[f"value_{objectives[0]}"][best].as_py(), search=search, panel=panel,
        holdout=HoldoutRecord(end_ms, end_ms + 9 * DAY_MS),
    )  # fmt: skip
    kept = msgspec.structs.replace(
        record, kind="tune", params=winner | {"fixed": 3}, tune=tune, id="tuned", seed=7
    )
    run = Run(runs / "tuned", kept, base.trades, base.time, base.equity)
    return keep(runs, run, None, {"trials": tried, "neighbours": _neighbours(winner, spaces)})


def _trials(
    count: int, objectives: tuple[str, ...], spaces: tuple[SpaceRecord, ...]
) -> tuple[pa.Table, int]:
    rng = np.random.default_rng(3)
    at = rng.random((count, len(spaces)))
    at[count // 3 :] = np.clip(0.6 + 0.2 * rng.standard_normal(at[count // 3 :].shape), 0, 1)
    params = np.column_stack([_spread(one, at[:, i]) for i, one in enumerate(spaces)])
    score = 2.0 - 9.0 * (at[:, 0] - 0.6) ** 2 - 4.0 * (at[:, 1] - 0.5) ** 2
    score += 0.3 * rng.standard_normal(count)
    state = np.array(STATES)[rng.integers(0, len(STATES), count)]
    values = [score, 0.02 * score - 0.4 * at[:, 2], np.abs(score) + at[:, 3]]
    columns: dict[str, Any] = {"trial": np.arange(count), "state": state}
    columns |= {f"params_{one.name}": params[:, i] for i, one in enumerate(spaces)}
    for key, value in zip(objectives, values, strict=False):
        columns[f"value_{key}"] = np.where(
            np.isin(state, ("complete", "infeasible")), value, np.nan
        )
    complete = np.where(state == "complete", score, -np.inf)
    return pa.table(columns, None), int(np.argmax(complete))


def _spread(space: SpaceRecord, at: Any) -> Any:
    if space.choices:
        return np.array(space.choices)[np.minimum((at * 3).astype(int), 2)]
    if space.log:
        return space.low * (space.high / space.low) ** at
    made = space.low + at * (space.high - space.low)
    return np.round(made / space.step) * space.step if space.step else made


def _neighbours(winner: dict[str, float], spaces: tuple[SpaceRecord, ...]) -> pa.Table:
    rng = np.random.default_rng(5)
    score = 1.7 + 0.5 * rng.standard_normal(60)
    score[-3:] = math.nan
    columns = {f"params_{one.name}": np.full(60, winner[one.name]) for one in spaces}
    return pa.table(columns | {"score": score})


def panel_record(edge: bool, evil: str = "") -> PanelRecord:
    """Fill every part of a panel by hand."""
    quantiles = [0.02 * at - 1.1 for at in range(101)]
    conditions = [
        ConditionRecord("deflated Sharpe", "above 0.95", 0.981 if edge else 0.61, edge),
        ConditionRecord("overfitting", "below 0.5", 0.2 if edge else 0.71, edge),
        ConditionRecord(f"plateau{evil}", f"at least half{evil}", 0.62, True),
        ConditionRecord("placebo", "not beaten", None, edge),
    ]
    return PanelRecord(
        trials=2_345, days=14, sharpe_day=0.12, luck_day=0.1, psr=0.97, dsr=0.981, track_days=211.0,
        overfit=OverfitRecord(0.2 if edge else 0.71, 8, 70, 180, 0.4, quantiles, evil),
        plateau=PlateauRecord(60, 57, 37, 1.5, 37 / 60),
        folds=[
            FoldRecord(at * 3 * DAY_MS, (at + 1) * 3 * DAY_MS, [1.2, -0.4, None, 2.0][at], 0.01, 9)
            for at in range(4)
        ],
        costs=CostsRecord(0.4, 0.4, -0.01),
        placebo=PlaceboRecord(240, [0.1, 0.8, 0.9, 1.4, 0.2], 2.1, 0),
        montecarlo=MonteCarloRecord(
            1_000, 5, LEVELS, [-0.3 + 0.04 * at for at in range(7)],
            [-0.4 + 0.05 * at for at in range(7)], [-0.1 + 0.06 * at for at in range(7)],
        ),
        entries=EntriesRecord(500, 0.11, LEVELS, [-0.2 + 0.05 * at for at in range(7)], 0.02),
        intervals={
            "sharpe": IntervalOfRecord(2.1, -0.4, 4.4, 0.95, 14),
            "total_return": IntervalOfRecord(0.11, -0.02, 0.24, 0.95, 14),
            "profit_factor": IntervalOfRecord(1.4, None, None, 0.95, 6, f"needs 10 trades{evil}"),
        },
        conditions=conditions, edge=edge,
    )  # fmt: skip


def walk_run(runs: Path, evil: str = "") -> Run:
    """Keep a walk-forward of four windows."""
    base = report_run(runs / ".base", [market(20_000, 90)])
    first, end = base.record.data[0].first_ms, base.record.data[0].end_ms
    step = (end - first) // 4
    windows = [
        WindowRecord(
            [(first - 30 * DAY_MS, first + at * step)],
            (first + at * step, first + (at + 1) * step),
            {"channel": 24 + 8 * (at % 3), f"stop{evil}": 1.5 + at}, 1.9 - 0.2 * at,
            [1.1, None, -0.3, 0.8][at], [0.02, 0.0, -0.013, 0.008][at], -0.03, 11 + at,
            f"few trades{evil}" if at == 1 else "",
        )
        for at in range(4)
    ]  # fmt: skip
    walk = WalkRecord("rolling", "sharpe", 200, windows, 3_600_000, 2 * DAY_MS, 0.42, [0.4, 1.0])
    record = msgspec.structs.replace(
        base.record, kind="walkforward", id="walked", walk=walk, params=windows[-1].params
    )
    return keep(runs, Run(runs / "walked", record, base.trades, base.time, base.equity))
