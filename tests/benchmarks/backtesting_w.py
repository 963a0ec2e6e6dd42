"""Workload W for backtesting.py, with indicators from pandas as its own examples have them.

Sizes are a share of the margin there, whole units, so prices are counted in millionths; stop and
take are measured from the close of the decision, since the fill is not known yet.
"""

import os
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

os.environ["TQDM_DISABLE"] = "1"  # it draws a bar into the tables
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from backtesting import Backtest, Strategy

from tests.benchmarks.naive_w import FEE, SLIP, columns


class _W(Strategy):  # type: ignore[misc]
    def init(self) -> None:
        self.rsi = self.I(lambda: self.data.df["rsi"])
        self.atr = self.I(lambda: self.data.df["atr"])
        self.histogram = self.I(lambda: self.data.df["histogram"])
        self.above = self.I(lambda: self.data.df["above"])

    def next(self) -> None:
        rsi, atr, histogram, above = self.rsi[-1], self.atr[-1], self.histogram[-1], self.above[-1]
        if self.position or len(self.data) < 3_000:
            return
        close, distance = self.data.Close[-1], 2 * atr
        size = min(0.01 * close / distance / 3, 0.99)
        if 1.5 * distance <= 2 * SLIP * close:  # a take within the spread, which it refuses
            return
        if rsi < 30 and histogram > 0 and above > 0:
            self.buy(size=size, sl=close - distance, tp=close + 1.5 * distance)
        elif rsi > 70 and histogram < 0 and above < 0:
            self.sell(size=size, sl=close + distance, tp=close - 1.5 * distance)


def run(arrays: dict[str, NDArray[Any]]) -> int:
    """Run W with its figures and return how many trades it made."""
    rsi, atr, histogram, above = columns(arrays)
    unit = 1e-6
    fields = ("open", "high", "low", "close", "volume")
    table = {name.capitalize(): arrays[name] * unit for name in fields}
    table |= {"rsi": rsi, "atr": np.nan_to_num(atr * unit), "histogram": histogram, "above": above}
    frame = pd.DataFrame(table, index=pd.to_datetime(arrays["open_time"], unit="ms"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = Backtest(
            frame, _W, cash=10_000, commission=FEE, spread=SLIP, margin=1 / 3, finalize_trades=True
        )
        return int(test.run()["# Trades"])
