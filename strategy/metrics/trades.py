"""Figures from closed trades, and the small tables that split them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.kernel import kernel
from strategy.metrics.definitions import MIN_TRADES
from strategy.metrics.sums import total, wins_and_losses
from strategy.records import EXIT_REASONS, UNIT

Floats = NDArray[np.float64]
_HOUR_MS = 3_600_000
# Multiples that differ by less than this share differ by the rounding of their division.
_NOISE = 1e-12


class Group(NamedTuple):
    """The trades that have something in common.

    Attributes
    ----------
    name : str
    n : int
    net : float
        Sum, quote currency.
    win_rate, expectancy_r : float
        NaN below 10 trades.
    """

    name: str
    n: int
    net: float
    win_rate: float
    expectancy_r: float


def exit_counts(trades: Any) -> dict[str, int]:
    """Count trades by the reason of their exit."""
    counts = np.bincount(trades["exit_reason"], minlength=len(EXIT_REASONS))
    return {name: int(count) for name, count in zip(EXIT_REASONS, counts, strict=True) if name}


def net(trades: Any) -> Floats:
    """Return each trade's profit after fees and funding in quote currency."""
    out: Floats = (trades["pnl"] - trades["fees"] - trades["funding"]) / UNIT
    return out


def groups(labels: NDArray[np.int64], names: Sequence[str], nets: Floats, r: Floats) -> list[Group]:
    """Split trades by a label each; groups without a trade are left out.

    Parameters
    ----------
    labels : int64 (n,)
        Positions in `names`.
    nets, r : float64 (n,)
        Profit after fees and funding, in quote currency and in multiples of the risk at entry.
    """
    found = []
    for at, name in enumerate(names):
        mine = labels == at
        n = int(np.count_nonzero(mine))
        enough = n >= MIN_TRADES
        if n:
            found.append(
                Group(
                    name,
                    n,
                    float(nets[mine].sum()),
                    float(np.count_nonzero(nets[mine] > 0.0) / n) if enough else math.nan,
                    float(r[mine].sum() / n) if enough else math.nan,
                )
            )
    return found


def entry_hours(entry_time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the UTC hour of each time, 0 to 23."""
    return entry_time // _HOUR_MS % 24


def breakdowns(trades: Any, symbols: Sequence[str]) -> dict[str, list[Group]]:
    """Split trades by side, exit reason, symbol and the UTC hour of their entry."""
    nets = net(trades)
    return split(
        {
            "side": (np.where(trades["side"] > 0, 0, 1), ("long", "short")),
            "exit_reason": (trades["exit_reason"], EXIT_REASONS),
            "symbol": (trades["symbol"], symbols),
        },
        trades["entry_time"],
        nets,
        nets / trades["risked"],
    )


def split(
    labels: dict[str, tuple[NDArray[np.int64], Sequence[str]]],
    entry_time: NDArray[np.int64],
    nets: Floats,
    r: Floats,
) -> dict[str, list[Group]]:
    """Split trades by several labels each, and by the UTC hour of their entry."""
    hours = (entry_hours(entry_time), [f"{hour:02}" for hour in range(24)])
    return {
        kind: groups(label, names, nets, r)
        for kind, (label, names) in (*labels.items(), ("hour", hours))
    }


def from_trades(trades: Any, span_ms: int) -> dict[str, float]:
    """Compute the figures of trades; `span_ms` is that of the run, times its symbols."""
    t = trades.view(np.ndarray)
    units = t["pnl"] - t["fees"] - t["funding"]
    nets, n = units / UNIT, len(t)
    won, lost = nets > 0.0, nets < 0.0
    wins, losses, gained, paid = wins_and_losses(units)
    gained, paid = np.float64(gained / UNIT), np.float64(paid / UNIT)
    held = (t["exit_time"] - t["entry_time"]).sum()
    notional = t["qty"] * t["entry_price"]
    gross, fees, funding = (t[name].sum() / UNIT for name in ("pnl", "fees", "funding"))
    slippage = t["slippage"].sum()
    free = gross + slippage
    with np.errstate(all="ignore"):
        r = nets / t["risked"]
        count = np.float64(n)
        rate = wins / count
        payoff = (gained / wins) / (paid / losses)
        mean_r = total(r) / count
        spread = r.std(ddof=1) if n > 1 else 0.0
        mae, mfe = t["mae"].sum(), t["mfe"].sum()
        in_r = notional / t["risked"]
        return {
            "trades": n,
            "longs": np.count_nonzero(t["side"] > 0),
            "win_rate": rate,
            "profit_factor": gained / paid,
            "payoff": payoff,
            "average_win": gained / wins,
            "average_loss": -paid / losses,
            "expectancy": units.sum() / UNIT / count,
            "expectancy_share": (nets / notional).sum() / count,
            "expectancy_r": mean_r,
            "sqn": np.sqrt(count) * mean_r / spread if spread > _NOISE * abs(mean_r) else np.nan,
            "kelly": rate - (1.0 - rate) / payoff,
            "win_streak": _streak(won),
            "loss_streak": _streak(lost),
            "best_trade": nets.max(initial=-np.inf),
            "worst_trade": nets.min(initial=np.inf),
            "holding": held / count / 60_000.0,
            "exposure": held / span_ms,
            "mae": mae / count,
            "mfe": mfe / count,
            "mae_r": np.dot(t["mae"], in_r) / count,
            "mfe_r": np.dot(t["mfe"], in_r) / count,
            "edge_ratio": mfe / abs(mae),
            "gross": gross,
            "fees": fees,
            "funding": funding,
            "slippage": slippage,
            "fees_share": fees / free if free > 0.0 else np.nan,
            "slippage_share": slippage / free if free > 0.0 else np.nan,
            "ambiguous": t["ambiguous"].sum() / count,
            "open_at_end": np.count_nonzero(t["exit_reason"] == EXIT_REASONS.index("end")),
        }


def traded(trades: Any) -> float:
    """Return what was bought and sold in all, in quote currency."""
    return float(np.dot(trades["qty"], trades["entry_price"] + trades["exit_price"]))


@kernel
def _streak(hits):
    longest, now = 0, 0
    for hit in hits:
        now = now + 1 if hit else 0
        longest = max(longest, now)
    return longest
