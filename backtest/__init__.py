"""The engine, runs from Python, sweeps over parameters, and the report of a run."""

from backtest.api import Run, backtest

__all__ = ["Run", "backtest"]
