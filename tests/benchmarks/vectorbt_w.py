"""Workload W as a user of vectorbt's Rust engine would write it for speed.

    python -m tests.benchmarks.vectorbt_w FOLDER_OF_PARQUET_FILES [ENGINE [HALF COUNT]]

With HALF (0 or 1) and COUNT it runs so many combinations instead, spread over that half of the grid
of 1,000, with indicator columns shared by hand, and prints the seconds of the columns and of the
loop.

vectorbt's `ewm` takes a span: 2 * 14 - 1 is Wilder's factor 1/14. Its averages start from the first
value and not from a mean, so the first candles differ. It has no leverage, looks at stops from the
candle after the entry on, and a countervailing signal only closes, since sizes in percent cannot
reverse: some trades differ, the work is the same.
"""

import sys
import time
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
FIELDS = ("open_time", "open", "high", "low", "close")


def strength(close: Array, length: int) -> Array:
    """Return the RSI."""
    return np.asarray(vbt.RSI.run(close, window=2 * length - 1, ewm=True).rsi)


def momentum(open_time: Array, close: Array, fast: int, slow: int) -> Array:
    """Return MACD's histogram on 5m."""
    ends = _ends(open_time, 300_000)
    macd = vbt.MACD.run(close[ends], fast, slow, 9, macd_ewm=True, signal_ewm=True)
    return _spread(macd.macd.to_numpy() - macd.signal.to_numpy(), ends, len(close))


def trend_and_range(open_time: Array, high: Array, low: Array, close: Array) -> tuple[Array, Array]:
    """Return the close above its average on 15m, and the ATR."""
    atr = vbt.ATR.run(high, low, close, window=27, ewm=True).atr.to_numpy()
    ends = _ends(open_time, 900_000)
    trend = vbt.MA.run(close[ends], 50, ewm=True).ma.to_numpy()
    return _spread(close[ends] - trend, ends, len(close)), atr


def portfolio(open_time: Array, open_: Array, high: Array, low: Array, close: Array) -> Any:
    """Compute the indicators and simulate."""
    rsi, histogram = strength(close, 14), momentum(open_time, close, 12, 26)
    above, atr = trend_and_range(open_time, high, low, close)
    return simulate((rsi, histogram, above, atr), (30.0, 2.0, 3.0), open_, high, low, close)


def simulate(
    columns: tuple[Array, ...],
    levels: tuple[float, float, float],
    open_: Array,
    high: Array,
    low: Array,
    close: Array,
) -> Any:
    """Simulate from columns, with the RSI's lower level and stop and take in ATRs."""
    rsi, histogram, above, atr = columns
    oversold, stop_atr, take_atr = levels
    longs, shorts = np.zeros((2, len(close)), bool)
    longs[1:] = ((rsi < oversold) & (histogram > 0) & (above > 0))[:-1]
    shorts[1:] = ((rsi > 100.0 - oversold) & (histogram < 0) & (above < 0))[:-1]
    stop = np.full(len(close), np.nan)
    np.divide(stop_atr * atr[:-1], open_[1:], out=stop[1:])
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
        tp_stop=take_atr / stop_atr * stop,
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


def run(arrays: dict[str, Array], engine: str = "rust") -> int:
    """Run W with its figures and return how many trades it made."""
    vbt.settings["engine"] = engine
    fields = (arrays[name] for name in FIELDS)
    return int(figures(portfolio(*fields))["trades"])


def loop(arrays: dict[str, Array], half: int, count: int) -> tuple[float, float]:
    """Run some of the grid of 1,000; return the seconds of the columns and of the loop."""
    from tests.benchmarks.grids import thousand

    combos = thousand()[500 * half : 500 * half + 500]
    ours = np.linspace(0, len(combos) - 1, count).astype(int)
    open_time, open_, high, low, close = (arrays[name] for name in FIELDS)
    run(arrays)
    began = time.perf_counter()
    above, atr = trend_and_range(open_time, high, low, close)
    rsis = {length: strength(close, int(length)) for length in np.unique(combos[:, 0])}
    bars = {
        one: momentum(open_time, close, *map(int, one)) for one in {*map(tuple, combos[:, 3:5])}
    }
    ready = time.perf_counter()
    for rsi, oversold, _, fast, slow, stop, take in combos[ours]:
        columns = (rsis[rsi], bars[fast, slow], above, atr)
        pf = simulate(columns, (oversold, stop, take), open_, high, low, close)
        _ = pf.total_return(), pf.max_drawdown(), pf.trades.count()
    return ready - began, time.perf_counter() - ready


def _ends(open_time: Array, length_ms: int) -> Array:
    # Where windows end; one whose last candle is missing is left out.
    return np.flatnonzero((open_time + 60_000) % length_ms == 0)


def _spread(values: Array, ends: Array, count: int) -> Array:
    repeats = np.diff(np.append(ends, count))
    return np.concatenate((np.full(ends[0], np.nan), np.repeat(values, repeats)))


def main() -> None:
    """Read stored months as a script would, run W once and print the number of trades."""
    files = sorted(Path(sys.argv[1]).glob("2023-*.parquet"))
    table = pd.concat([pd.read_parquet(file, columns=list(FIELDS)) for file in files])
    arrays = {name: table[name].to_numpy() for name in FIELDS}
    if len(sys.argv) > 3:
        print(*loop(arrays, int(sys.argv[3]), int(sys.argv[4])))
    else:
        print(run(arrays, *sys.argv[2:3]))


if __name__ == "__main__":
    main()
