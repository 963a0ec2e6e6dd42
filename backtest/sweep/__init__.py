"""Many combinations of params, risk settings and costs over the same candles."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backtest.sweep.engine import evaluate, trades_of
    from backtest.sweep.figures import FIGURES, NOTES, SweepTable
    from backtest.sweep.plan import SweepPlan

__all__ = ["FIGURES", "NOTES", "SweepPlan", "SweepTable", "evaluate", "trades_of"]
_HOMES = {"evaluate": "engine", "trades_of": "engine", "SweepPlan": "plan"}


def __getattr__(name: str) -> Any:
    # When it is asked for: `wick --help` imports this room and must not import Numba.
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'figures')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
