"""The figures of all combinations at once; each equals that of a single run to the last bit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.run_record import figures_of
from strategy.metrics import DEFINITIONS, MIN_DAYS, MIN_TRADES, by_day
from strategy.metrics.daily import NOISE, YEAR
from strategy.records import UNIT
from strategy.timeframes import DAY_MS, YEAR_DAYS

# What a combination's `note` says; a row with one has no figures.
NOTES = (
    "",
    "the balance was used up",
    "the equity passed what any market could fill",
    "these settings do not go together",
    "its params are refused",
)
NOT_TOGETHER, REFUSED = 3, 4
FIGURES = tuple(
    """total_return cagr best_day worst_day sharpe sortino calmar volatility max_drawdown exposure
    trades longs win_rate profit_factor payoff average_win average_loss expectancy expectancy_r
    kelly best_trade worst_trade holding gross fees funding ambiguous open_at_end""".split()
)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SweepTable:
    """What came out, one entry a combination, in the order they were given.

    Attributes
    ----------
    figures : dict of float64 (m,)
        By the keys of `FIGURES`, and ``equity``, the account at the end; NaN where there is none.
    note : int8 (m,)
        Position in `NOTES`: why a combination has no figures, 0 where it has.
    days : float64 (m, days)
        The equity at the end of each UTC day, see `strategy.metrics.by_day`; NaN in rows with a
        note. (0, 0) where it was not asked for.
    """

    figures: dict[str, Floats]
    note: NDArray[np.int8]
    days: Floats

    @classmethod
    def blank(cls, m: int, days: int | None = None) -> "SweepTable":
        """Return a table without a value, with room for a number of days."""
        figures = {key: np.full(m, np.nan) for key in (*FIGURES, "equity")}
        room = np.empty((0, 0)) if days is None else np.full((m, days), np.nan)
        return cls(figures, np.zeros(m, np.int8), room)

    def fill(
        self, rows: NDArray[np.int64], sums: Any, balance: float, days: int, span_ms: int
    ) -> None:
        """Write the figures of walked combinations, given their sums."""
        self.note[rows] = sums["note"]
        for key, column in _figures(sums, balance, days, span_ms).items():
            self.figures[key][rows] = np.where(sums["note"] == 0, column, np.nan)
        if len(self.days):
            self.days[rows[sums["note"] != 0]] = np.nan

    def fill_one(self, row: int, result: Any) -> None:
        """Write the figures of a single run."""
        for one in figures_of(result):
            if one.key in self.figures and one.value is not None:
                self.figures[one.key][row] = one.value
        self.figures["equity"][row] = result.equity[-1]
        if len(self.days):
            length = result.candles[0].timeframe_ms
            self.days[row] = by_day(result.time, result.equity, result.balance, length).equity[1:]


def _figures(sums: Any, balance: float, days: int, span_ms: int) -> dict[str, Floats]:
    s = {name: sums[name] for name in sums.dtype.names}
    with np.errstate(all="ignore"):
        count = s["trades"].astype(np.float64)
        growth = s["equity"] / balance
        power = YEAR_DAYS * DAY_MS / span_ms
        # One by one: NumPy's power of an array may differ from that of a number in the last bit.
        cagr = np.array([value**power - 1.0 for value in growth])
        spread = np.sqrt(s["second"] / (days - 1)) if days > 1 else np.zeros(len(count))
        gained, paid = s["gained"] / UNIT, s["paid"] / UNIT
        rate, payoff = s["wins"] / count, (gained / s["wins"]) / (paid / s["losses"])
        gross, fees, funding = (s[name] / UNIT for name in ("gross", "fees", "funding"))
        values = {
            "total_return": growth - 1.0,
            "cagr": cagr,
            "best_day": s["best_day"],
            "worst_day": s["worst_day"],
            "sharpe": np.where(spread > NOISE, s["mean"] / spread, np.nan) * YEAR,
            "sortino": np.where(s["downside"] > NOISE, s["mean"] / s["downside"] * YEAR, np.nan),
            "calmar": cagr / np.abs(s["deepest"]),
            "volatility": spread * YEAR,
            "max_drawdown": s["deepest"],
            "exposure": s["held"] / span_ms,
            "trades": count,
            "longs": s["longs"].astype(np.float64),
            "win_rate": rate,
            "profit_factor": gained / paid,
            "payoff": payoff,
            "average_win": gained / s["wins"],
            "average_loss": -paid / s["losses"],
            "expectancy": (s["gross"] - s["fees"] - s["funding"]) / UNIT / count,
            "expectancy_r": s["r"] / count,
            "kelly": rate - (1.0 - rate) / payoff,
            "best_trade": np.where(count > 0, s["best"] / UNIT, -np.inf),
            "worst_trade": np.where(count > 0, s["worst"] / UNIT, np.inf),
            "holding": s["held"] / count / 60_000.0,
            "gross": gross,
            "fees": fees,
            "funding": funding,
            "ambiguous": s["ambiguous"] / count,
            "open_at_end": s["open_at_end"].astype(np.float64),
            "equity": s["equity"],
        }
    few = count < MIN_TRADES
    for key, column in values.items():
        needs = DEFINITIONS[key].needs if key in DEFINITIONS else ""
        unknown = ~np.isfinite(column) | (few if needs else False)
        if needs == "d t" and days < MIN_DAYS:
            unknown = np.ones(len(column), bool)
        column[unknown] = np.nan
    return values
