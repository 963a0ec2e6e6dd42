"""Write docs/metrics.md from the definitions: python -m tests.strategy.metrics_page"""

from itertools import groupby
from pathlib import Path

from strategy.metrics import DEFINITIONS, MIN_DAYS, MIN_TRADES, ROLLING_DAYS, YEAR_DAYS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_HEAD = f"""# Figures

One definition each, for backtest, tuning, live and dashboard alike. `run.json` keeps every figure
with its formula and n, the number of days, candles or trades it rests on.

- **Equity** is marked at the close of every candle and contains open positions at that close. The
  starting balance comes before the first.
- **Daily returns** r are taken from it per UTC day, after fees and funding. A candle belongs to
  the day in which it closes; a close at 00:00 belongs to the day that ends. A day in which no
  candle closes counts as 0. The first day starts from the balance.
- **A year** has {YEAR_DAYS} days: the market never closes. The risk-free rate is 0. Many tools take
  252 days unless told otherwise; `quantstats` agrees with `periods=365`.
- **Drawdowns** are those of the candles' curve, not of the daily one, and the balance is its first
  peak.
- **Net** of a trade is its pnl less its fees and less the funding that it paid (what it received
  is below 0); slippage is part of pnl. A win is net above 0, a loss net below 0. A trade that
  comes out at 0 is neither and still counts as a trade.
- **Drawdowns by day**, the mean one and the ulcer index, are those of the equity at the ends of
  days: on candles thousands of tiny ones would outweigh the others.
- **Buy and hold** puts the balance in equal parts into the symbols traded, at the first open of
  each, and leaves it there; before that open a part is cash. It pays neither fees nor funding. Its
  daily returns are b.
- **Ranges and chances** of the Sharpe ratio take skew and kurtosis of r into account, but neither
  that days hang together nor how many tries came before: they are the friendliest reading.
- **Excursions** MAE and MFE are the worst and the best price between entry and exit, the fills
  among them, as shares of the entry price: below and above 0.
- **Leverage** counts positions at the closes they lived through. It is followed from candle to
  candle where a run is kept, and not in every trial of a search.
- **Span** is the time from the first open to the last close.
- **N/A** stands, with the reason, where dividing would say nothing: in the rows marked t below
  {MIN_TRADES} trades, in those marked d also below {MIN_DAYS} days, and everywhere when the divisor
  is 0, such as a profit factor without a losing trade. That goes for the tables too.
"""
_TABLE = """
## {group}

| key | figure | formula | unit | n counts | needs |
|---|---|---|---|---|---|
"""
_NOTE = f"""
Unit share is a fraction (0.05 is 5 %), money the quote currency, r a multiple of the risk at entry:
qty × stop distance, before costs. A time is in UTC milliseconds.

## Tables

`run.json` also keeps `months`, the return of each UTC month, product(1 + r) - 1, and `breakdowns`:
trades by `side`, by `exit_reason`, by `symbol` and by `hour`, the UTC hour of the entry. Each row
has n, the sum of net, the win rate and the expectancy in R, as above from its trades alone.

`trades.parquet` has one row a trade: among others `r` (net / risk at entry), `mae` and `mfe`, the
same in multiples of the risk at entry (`mae_r`, `mfe_r`: times qty * entry price / risk) and
`bars`, the candles from entry to exit.

The report draws Sharpe and volatility a year of the last {ROLLING_DAYS} days, for each day.
"""


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for group, rows in groupby(DEFINITIONS.items(), lambda row: row[1].group):
        parts.append(_TABLE.format(group=group))
        for key, its in rows:
            formula = its.formula.replace("|", "\\|")
            cells = (f"`{key}`", its.label, formula, its.unit, its.counted, its.needs)
            parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts) + _NOTE


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
