"""Leverage from candle to candle: what the positions were worth beside the equity."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.kernel import kernel

Floats = NDArray[np.float64]


class Leverage(NamedTuple):
    """Value of the positions over the equity, at the close of every candle of a run.

    Attributes
    ----------
    gross : float64 (n,)
        Of all positions without sign.
    net : float64 (n,)
        Long less short.
    """

    gross: Floats
    net: Floats


def leverage(
    time: NDArray[np.int64],
    equity: Floats,
    trades: Any,
    parts: Any,
    candles: Sequence[tuple[Any, Any]],
) -> Leverage:
    """Follow the positions of a run through its candles.

    Parameters
    ----------
    time : int64 (n,)
        Open times of the run's candles, UTC ms.
    equity : float64 (n,)
        At their closes.
    trades : record array of TRADE
    parts : record array of PART
        The exits of trades that were closed in parts; for others none is needed.
    candles : sequence of (open_time, close)
        Per symbol. A trade is in the market at the closes from its entry candle's on to the one
        before its exit candle's; where a candle is missing the last close counts.
    """
    gross, net = np.zeros((2, len(time)))
    for s, (open_time, close) in enumerate(candles):
        entries, exits, qty = _held(trades, parts, s)
        if len(qty) and len(open_time):
            _add(time, open_time, close, entries, exits, qty, gross, net)
    worth = np.where(equity == 0.0, np.inf, equity)  # with nothing left nothing is held
    return Leverage(gross / worth, net / worth)


def _held(trades: Any, parts: Any, s: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    # Entry candle, exit candle and signed quantity of whatever left the market at once.
    split = np.zeros(len(trades), bool)
    split[parts["trade"]] = True
    mine = trades[(trades["symbol"] == s) & ~split]
    its = parts[parts["symbol"] == s]
    of = trades[its["trade"]]
    share = its["steps"] / of["steps"]
    return (
        np.concatenate([mine["entry_candle"], of["entry_candle"]]),
        np.concatenate([mine["exit_candle"], its["candle"]]),
        np.concatenate([mine["side"] * mine["qty"], of["side"] * of["qty"] * share]),
    )


def from_leverage(found: Leverage | None) -> dict[str, float]:
    """Compute the figures of leverage; NaN where positions were not followed."""
    if found is None:
        return dict.fromkeys(
            ("gross_leverage", "gross_leverage_max", "net_leverage", "net_leverage_max"), np.nan
        )
    gross, net = found
    return {
        "gross_leverage": gross.mean(),
        "gross_leverage_max": gross.max(),
        "net_leverage": net.mean(),
        "net_leverage_max": max(net.max(), -net.min()),
    }


@kernel
def _add(time, open_time, close, entries, exits, qty, gross, net):
    for j in range(len(qty)):
        i, size, until = entries[j], qty[j], open_time[exits[j]]
        k = np.searchsorted(time, open_time[i])
        while k < len(time) and time[k] < until:
            while i + 1 < len(open_time) and open_time[i + 1] <= time[k]:
                i += 1
            gross[k] += abs(size) * close[i]
            net[k] += size * close[i]
            k += 1
