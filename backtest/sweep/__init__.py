"""Many combinations of params, risk and costs over the same candles."""

from backtest.sweep.engine import evaluate, trades_of
from backtest.sweep.figures import FIGURES, NOTES, SweepTable
from backtest.sweep.plan import SweepPlan

__all__ = ["FIGURES", "NOTES", "SweepPlan", "SweepTable", "evaluate", "trades_of"]
