"""Workload W as a user of vectorbt's Rust engine would write it for speed.

    python -m tests.benchmarks.vectorbt_w FOLDER_OF_PARQUET_FILES

vectorbt's `ewm` takes a span: 2 * 14 - 1 is Wilder's factor 1/14. Its averages start from the first
value and not from a mean, so the first candles differ. It has no leverage, looks at stops from the
candle after the entry on, and a countervailing signal only closes, since sizes in percent cannot
reverse: some trades differ, the work is the same.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import vectorbt as vbt

Array = NDArray[Any]
vbt.settings["engine"] = "rust"


def signals(
    open_time: Array, open_: Array, high: Array, low: Array, close: Array
) -> tuple[Array, Array, Array]:
    """Return long and short entries and the stop distance as a share, at the candle of the fill."""
    rsi = vbt.RSI.run(close, window=27, ewm=True).rsi.to_numpy()
    atr = vbt.ATR.run(high, low, close, window=27, ewm=True).atr.to_numpy()
    ends5, ends15 = _ends(open_time, 300_000), _ends(open_time, 900_000)
    macd = vbt.MACD.run(close[ends5], 12, 26, 9, macd_ewm=True, signal_ewm=True)
    histogram = _spread(macd.macd.to_numpy() - macd.signal.to_numpy(), ends5, len(close))
    trend = vbt.MA.run(close[ends15], 50, ewm=True).ma.to_numpy()
    above = _spread(close[ends15] - trend, ends15, len(close))
    longs, shorts = np.zeros((2, len(close)), bool)
    longs[1:] = ((rsi < 30) & (histogram > 0) & (above > 0))[:-1]
    shorts[1:] = ((rsi > 70) & (histogram < 0) & (above < 0))[:-1]
    stop = np.full(len(close), np.nan)
    np.divide(2.0 * atr[:-1], open_[1:], out=stop[1:])
    return longs, shorts, stop


def portfolio(open_time: Array, open_: Array, high: Array, low: Array, close: Array) -> Any:
    """Compute the indicators and simulate."""
    longs, shorts, stop = signals(open_time, open_, high, low, close)
    return vbt.Portfolio.from_signals(
        pd.Series(close),
        longs,
        False,
        shorts,
        False,
        price=open_,
        open=open_,
        high=high,
        low=low,
        size=np.minimum(0.01 / stop, 0.99),
        size_type="percent",
        sl_stop=stop,
        tp_stop=1.5 * stop,
        stop_entry_price="fillprice",
        stop_exit_price="stopmarket",
        upon_opposite_entry="close",
        fees=0.0005,
        slippage=0.0001,
        init_cash=10_000.0,
        freq="1min",
        max_orders=1 << 15,  # the default reserves one for each candle
    )


def figures(pf: Any) -> dict[str, float]:
    """Compute the figures that Candlewick gives too, one by one: `stats()` takes longer."""
    trades, drawdowns = pf.trades, pf.drawdowns
    records = trades.records
    return {
        "total_return": pf.total_return(),
        "cagr": pf.annualized_return(),
        "volatility": pf.annualized_volatility(),
        "sharpe": pf.sharpe_ratio(),
        "sortino": pf.sortino_ratio(),
        "calmar": pf.calmar_ratio(),
        "max_drawdown": drawdowns.max_drawdown(),
        "drawdown_duration": drawdowns.max_duration(wrap_kwargs={"to_timedelta": False}),
        "trades": trades.count(),
        "win_rate": trades.win_rate(),
        "profit_factor": trades.profit_factor(),
        "expectancy": trades.expectancy(),
        "best_trade": trades.pnl.max(),
        "worst_trade": trades.pnl.min(),
        "holding": (records["exit_idx"] - records["entry_idx"]).mean(),
        "fees": pf.orders.fees.sum(),
    }


def run(arrays: dict[str, Array]) -> int:
    """Run W with its figures and return how many trades it made."""
    fields = (arrays[name] for name in ("open_time", "open", "high", "low", "close"))
    return int(figures(portfolio(*fields))["trades"])


def _ends(open_time: Array, length_ms: int) -> Array:
    # Where windows end; one whose last candle is missing is left out.
    return np.flatnonzero((open_time + 60_000) % length_ms == 0)


def _spread(values: Array, ends: Array, count: int) -> Array:
    repeats = np.diff(np.append(ends, count))
    return np.concatenate((np.full(ends[0], np.nan), np.repeat(values, repeats)))


def main() -> None:
    """Read stored months as a script would, run W once and print the number of trades."""
    columns = ["open_time", "open", "high", "low", "close"]
    files = sorted(Path(sys.argv[1]).glob("2023-*.parquet"))
    table = pd.concat([pd.read_parquet(file, columns=columns) for file in files])
    print(run({name: table[name].to_numpy() for name in columns}))


if __name__ == "__main__":
    main()
