"""Plans and combinations that tests of the cluster send about."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Asked, gather
from backtest.sweeps.figures import SweepTable
from backtest.sweeps.plan import SweepPlan
from data.synthetic import synthetic_market

START_MS = 1_672_531_200_000
AXES = ("channel", "stop", "risk.per_trade", "risk.part_1", "risk.part_1_share")


def plan_of(
    days: int, strategy: str = "breakout_donchian", axes: tuple[str, ...] = AXES
) -> SweepPlan:
    """Plan a sweep over a drawn market; with a share of a part its combinations are walked."""
    candles = synthetic_market(seed=7, minutes=days * 1440, start_ms=START_MS)
    inputs = gather(Asked(strategy), Path("nowhere"), Path("nowhere"), [candles])
    return SweepPlan.of(inputs, axes)


def values_of(count: int, walked: float = 0.25) -> NDArray[np.float64]:
    """Draw rows for AXES, a share of them with a part of the take; few of the others share much."""
    rng = np.random.default_rng(5)
    part = rng.random(count) < walked
    columns: list[Any] = [rng.integers(5, 90, count), rng.random(count) * 4 + 0.5]
    columns += [rng.choice([0.005, 0.01], count), part * 1.5, part * 0.4]
    return np.stack(columns, axis=1).astype(np.float64)


def bytes_of(table: SweepTable) -> bytes:
    """Return every bit of a table."""
    columns: tuple[Any, ...] = (*table.figures.values(), table.note, table.days)
    return b"".join(one.tobytes() for one in columns)
