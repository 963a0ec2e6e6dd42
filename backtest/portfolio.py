"""A run as a vectorbt Portfolio."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from data.runs import Run
from strategy.account import fee_of
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.fills import Costs
from strategy.records import UNIT

if TYPE_CHECKING:
    import pandas as pd

_SIMULATED = ("backtest", "sweep", "tune", "holdout", "walkforward")


def portfolio_of(run: Run, candles: Sequence[Candles]) -> Any:
    """Return a backtest as a vectorbt Portfolio with the same orders, trades and equity.

    It has a row a candle, by its open in UTC but without a zone, over all symbols, and a column a
    symbol; several symbols are one group that shares the cash. vectorbt simulates nothing: the
    Portfolio is made of our own orders, as many in a row as there were in a candle, in their order,
    each at its price and with its fee. A row's value is that at its close. A symbol without a
    candle has NaN as its close, which vectorbt fills with the last one.

    vectorbt knows no funding. What a trade paid of it is in the fee of the order that closes it, so
    trades agree, and values wherever nothing is open; while one is open, the value lacks the
    funding it has paid or received so far.

    `portfolio.trades` has a row for each of our trades (they are vectorbt's positions);
    `portfolio.exit_trades` has one for each part in which a trade was closed. vectorbt's statistics
    of time count rows, so where candles are missing they differ from ours.

    Parameters
    ----------
    run : Run
    candles : sequence of Candles
        One per symbol of the run, in its order.

    Returns
    -------
    vectorbt.Portfolio

    Raises
    ------
    WickError
        vectorbt is not installed, an order filled at a price of 0, or the run is of a session,
        whose fills and transfers are more than its trades say.
    """
    kind = run.record.kind
    if kind not in _SIMULATED:
        raise WickError(
            f"run {run.record.id} is of a session ({kind}), only backtests become a Portfolio",
            "wick backtest --params RUN makes one of the same strategy and candles",
        )
    vbt, order_dt, log_dt = _vectorbt()
    import pandas as pd

    trades, parts = run.trades.to_pandas(), None if run.parts is None else run.parts.to_pandas()
    closes = np.full((len(run.time), len(candles)), np.nan)
    records = []
    for column, one in enumerate(candles):
        rows = np.searchsorted(run.time, one.arrays["open_time"])
        closes[rows, column] = one.arrays["close"]
        orders = _orders(trades, parts, one, run.record.all_costs)
        its = np.empty(len(orders), order_dt)
        its["col"], its["idx"] = column, rows[orders["candle"]]
        for name in ("size", "price", "fees", "side"):
            its[name] = orders[name]
        records.append(its)
    joined = np.concatenate(records)
    if (joined["price"] <= 0.0).any():
        raise WickError(
            f"an order of run {run.record.id} filled at a price of 0, which vectorbt does not know",
            "the symbol trades at a few ticks, and slippage took one; lower it with --slippage-bps",
        )
    joined["id"] = np.arange(len(joined))
    # With a zone, vectorbt makes an object of every time at every step: 1.5 s each on a year of
    # minutes.
    index = pd.to_datetime(run.time, unit="ms")
    frame = pd.DataFrame(closes, index, columns=[one.symbol for one in candles])
    several = len(candles) > 1
    close = frame if several else frame.iloc[:, 0]
    return vbt.Portfolio(
        vbt.ArrayWrapper.from_obj(
            close, freq=pd.Timedelta(candles[0].timeframe_ms, "ms"), group_by=several or None
        ),
        close,
        joined,
        np.empty(0, log_dt),
        np.array([run.record.balance]),
        cash_sharing=several,
        fillna_close=True,
        trades_type="positions",
    )


def _orders(
    trades: "pd.DataFrame", parts: "pd.DataFrame | None", candles: Candles, costs: Costs
) -> "pd.DataFrame":
    # A symbol's positions follow each other, so its orders come by trade: the entry, then exits.
    import pandas as pd

    its = trades[trades["symbol"] == candles.symbol]
    long = its["side"] == "long"
    times = its["entry_time"].dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
    makers = its.get("maker", pd.Series(False, its.index))  # no column of runs of before
    entries = pd.DataFrame(
        {
            # What filled inside a candle has its last millisecond.
            "candle": np.searchsorted(candles.arrays["open_time"], times, side="right") - 1,
            "size": its["qty"],
            "price": its["entry_price"],
            "fees": [
                fee_of(costs.maker_rate if maker else costs.fee_rate, qty, price) / UNIT
                for qty, price, maker in zip(its["qty"], its["entry_price"], makers, strict=True)
            ],
            "side": (~long).astype(int),
        },
        its.index,
    )
    # Runs of before there was funding have no column for it.
    funding = its.get("funding", pd.Series(0.0, its.index))
    exits = pd.DataFrame(
        {
            "candle": entries["candle"] + its["bars"],
            "size": its["qty"],
            "price": its["exit_price"],
            "fees": its["fees"] - entries["fees"] + funding,
            "side": long.astype(int),
        }
    )
    if parts is not None:
        some = parts[parts["symbol"] == candles.symbol].set_index("trade")
        last = ~some.index.duplicated(keep="last")
        apart = pd.DataFrame(
            {
                "candle": entries["candle"].reindex(some.index) + some["bars"],
                "size": some["qty"],
                "price": some["price"],
                "fees": some["fee"] + funding.reindex(some.index) * last,
                "side": exits["side"].reindex(some.index),
            }
        )
        exits = pd.concat([exits.drop(some.index.unique()), apart])
    return pd.concat([entries, exits]).sort_index(kind="stable")


def _vectorbt() -> tuple[Any, Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it and what it imports lag behind pandas
            import vectorbt
            from vectorbt.portfolio.enums import log_dt, order_dt
    except ImportError as error:
        raise WickError(
            f"vectorbt is not installed ({error})", "pip install 'vectorbt>=1.2'"
        ) from error
    return vectorbt, order_dt, log_dt
