"""The engine, runs from Python, sweeps over parameters, and the report of a run."""

from backtest.api import Run, backtest
from backtest.sweep_api import Sweep, sweep

__all__ = ["Run", "Sweep", "backtest", "sweep"]
