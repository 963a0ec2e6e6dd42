"""The tables of a run, its trades and every exit of those closed in parts, and their hash."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.table import arrow, arrow_text
from strategy.records import EXIT_REASONS, TRADE, UNIT

TIME = pa.timestamp("ms", tz="UTC")


def result_hash(trades: Any, equity: NDArray[np.float64]) -> str:
    """Return a SHA-256 over every bit of trades and equity: equal means the same result."""
    # With their number, or a trade could pass for the first values of a longer equity curve.
    digest = hashlib.sha256(len(trades).to_bytes(8, "little"))
    for name in TRADE.names or ():
        # Without limit orders the hash is that of before there were any.
        if name == "maker" and not trades[name].any():
            continue
        digest.update(np.ascontiguousarray(trades[name]).tobytes())
    digest.update(equity.tobytes())
    return digest.hexdigest()


def trade_table(trades: Any, symbols: tuple[str, ...]) -> pa.Table:
    """Turn trade records into a table with names, signs and money that a person can read."""
    net = (trades["pnl"] - trades["fees"] - trades["funding"]) / UNIT
    in_r = trades["qty"] * trades["entry_price"] / trades["risked"]
    columns = {
        "symbol": arrow_text(symbols, trades["symbol"]),
        "side": arrow_text(("short", "long"), (trades["side"] > 0).astype(np.int64)),
        "entry_time": arrow(trades["entry_time"], TIME),
        "exit_time": arrow(trades["exit_time"], TIME),
        "qty": trades["qty"],
        "entry_price": trades["entry_price"],
        "exit_price": trades["exit_price"],
        "stop": trades["stop"],
        "last_stop": trades["last_stop"],
        "take": np.where(trades["take"] > 0.0, trades["take"], np.nan),
        "pnl": trades["pnl"] / UNIT,
        "fees": trades["fees"] / UNIT,
        "funding": trades["funding"] / UNIT,
        "net": net,
        "slippage": trades["slippage"],
        "mae": trades["mae"],
        "mfe": trades["mfe"],
        "risked": trades["risked"],
        "r": net / trades["risked"],
        "mae_r": trades["mae"] * in_r,
        "mfe_r": trades["mfe"] * in_r,
        "bars": trades["exit_candle"] - trades["entry_candle"],
        "exit_reason": arrow_text(EXIT_REASONS, trades["exit_reason"]),
        "ordered": trades["ordered"] != 0,
        "reversal": trades["reversal"] != 0,
        "ambiguous": trades["ambiguous"] != 0,
        "maker": trades["maker"] != 0,
    }
    return pa.table(
        {
            name: values if isinstance(values, pa.Array) else arrow(np.asarray(values))
            for name, values in columns.items()
        }
    )


_PARTS = pa.schema(
    [
        ("trade", pa.int64()),
        ("symbol", pa.string()),
        ("time", TIME),
        ("bars", pa.int64()),
        ("qty", pa.float64()),
        ("price", pa.float64()),
        ("pnl", pa.float64()),
        ("fee", pa.float64()),
    ]
)
# Not empty_table(), which imports pandas.
NO_PARTS = pa.Table.from_batches([], _PARTS)


def part_table(parts: Any, trades: Any, symbols: tuple[str, ...]) -> pa.Table | None:
    """Turn the records of parts into a table; None where no trade was closed in parts."""
    if not len(parts):
        return None
    return pa.table(
        {
            "trade": arrow(parts.trade),
            "symbol": arrow_text(symbols, parts.symbol),
            "time": arrow(parts.time, TIME),
            "bars": arrow(parts.candle - trades.entry_candle[parts.trade]),
            "qty": arrow(parts.qty),
            "price": arrow(parts.price),
            "pnl": arrow(parts.pnl / UNIT),
            "fee": arrow(parts.fee / UNIT),
        }
    )
