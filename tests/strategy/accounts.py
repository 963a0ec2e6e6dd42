"""Accounts for the tests of figures: made by hand, or drawn with gaps, ties and flat stretches."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategy.metrics import day_ends, figures
from strategy.records import BY_STOP, TRADE, UNIT
from strategy.timeframes import DAY_MS, timeframe_ms

MONDAY = 1_672_617_600_000  # 2023-01-02 00:00 UTC
HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Account:
    """Equity and trades as a run leaves them."""

    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    trades: Any
    balance: float
    timeframe_ms: int
    hold: NDArray[np.float64] | None = None

    def figures(self, symbols: int = 1) -> Any:
        return figures(
            self.time, self.equity, self.trades, self.balance, self.timeframe_ms, self.hold, symbols
        )

    def value(self, key: str) -> float:
        found: float = self.figures()[key].value
        return found

    def note(self, key: str) -> str:
        found: str = self.figures()[key].note
        return found


def trades_of(nets: list[float], fee: float = 0.0, minutes: int = 60) -> Any:
    """Make one trade an hour with these profits after fees; each risked 10."""
    out: Any = np.zeros(len(nets), TRADE).view(np.recarray)
    out.entry_time = MONDAY + HOUR * np.arange(len(nets))
    out.exit_time = out.entry_time + minutes * 60_000
    out.pnl = [round((net + fee) * UNIT) for net in nets]
    out.fees = round(fee * UNIT)
    out.risked, out.side, out.exit_reason = 10.0, 1, BY_STOP
    out.qty, out.entry_price, out.exit_price, out.mae, out.mfe = 2.0, 50.0, 51.0, -0.04, 0.06
    return out


def daily(equity: list[float], nets: list[float], balance: float = 100.0) -> Account:
    """Make an account with one candle a day."""
    time = MONDAY + DAY_MS * np.arange(len(equity))
    hold = np.array([1.0 + 0.02 * (-1.0) ** k for k in range(len(equity))])
    return Account(time, np.array(equity), trades_of(nets), balance, DAY_MS, hold)


def drawn(seed: int, frame: str, candles: int, trades: int) -> Account:
    """Draw an account with gaps, flat stretches, ties and either many or no losses."""
    draw = np.random.default_rng(seed)
    length = timeframe_ms(frame)
    gaps = np.where(draw.random(candles) < 0.1, draw.integers(1, 40, candles), 0)
    start = MONDAY + int(draw.integers(0, 2000)) * length
    time = start + length * (np.arange(candles) + np.cumsum(gaps))
    size = draw.choice([0.0, 1e-5, 0.003, 0.1])
    moves = draw.normal(0.0, size, candles) * (draw.random(candles) < draw.choice([0.1, 0.9]))
    balance = float(draw.choice([100.0, 12_345.67]))
    equity = np.round(balance * np.exp(np.cumsum(moves)), draw.choice([2, 8])) + 0.01
    out: Any = np.zeros(trades, TRADE).view(np.recarray)
    entry = draw.integers(0, candles, trades)
    out.entry_time = time[entry]
    out.exit_time = out.entry_time + length * draw.integers(0, 50, trades)
    low = draw.choice([-1, 0, 1]) * 10**9
    out.pnl = draw.choice([0, 1, 10**6], trades) * draw.integers(low, low + 10**9, trades) // 10**5
    out.fees = draw.choice([0, 123_456]) * draw.integers(0, 9, trades)
    out.funding = draw.choice([0, 1, 54_321]) * draw.integers(-9, 9, trades)
    out.slippage, out.risked = draw.random(trades), 0.5 + draw.random(trades)
    out.side, out.exit_reason = draw.choice([-1, 1], trades), draw.integers(1, 6, trades)
    out.ambiguous = draw.integers(0, 2, trades)
    out.qty, out.entry_price = draw.lognormal(0.0, 2.0, (2, trades))
    out.exit_price = out.entry_price * draw.lognormal(0.0, 0.01, trades)
    out.mae, out.mfe = -draw.choice([0.0, 0.1]) * draw.random(trades), 0.1 * draw.random(trades)
    days = len(day_ends(time, length))
    hold = np.exp(np.cumsum(draw.normal(0.0, draw.choice([0.0, 0.001, 0.1]), days)))
    return Account(time, equity, out, balance, length, hold)


accounts = st.builds(
    drawn,
    st.integers(0, 2**32),
    st.sampled_from(["1m", "7m", "1h", "4h", "1d", "3d", "1w"]),
    st.integers(1, 90),
    st.sampled_from([0, 1, 9, 10, 11, 40]),
)


def close(ours: float, theirs: float, scale: float = 1e-12) -> bool:
    return abs(ours - theirs) <= scale * max(1.0, abs(theirs))


def holding(account: Account) -> NDArray[np.float64]:
    assert account.hold is not None
    return account.hold
