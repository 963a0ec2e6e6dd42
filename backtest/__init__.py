"""The engine, runs from Python, sweeps over parameters, and the report of a run."""

# The room of this name first: its own import would put it in the place of the function.
import backtest.sweep as _room  # noqa: F401
from backtest.api import Run, backtest
from backtest.sweep_api import Sweep, sweep

__all__ = ["Run", "Sweep", "backtest", "sweep"]
