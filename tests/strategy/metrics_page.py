"""Write docs/metrics.md from the definitions: python -m tests.strategy.metrics_page"""

from pathlib import Path

from strategy.metrics import DEFINITIONS, MIN_DAYS, MIN_TRADES, NEEDS_DAYS, NEEDS_TRADES, YEAR_DAYS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_HEAD = f"""# Figures

One definition each, for backtest, tuning, live and dashboard alike. `run.json` keeps every figure
with its formula and n, the number of days, candles or trades it rests on.

- **Equity** is marked at the close of every candle and contains open positions at that close. The
  starting balance comes before the first.
- **Daily returns** r are taken from it per UTC day, after fees. A candle belongs to the day in
  which it closes; a close at 00:00 belongs to the day that ends. A day in which no candle closes
  counts as 0. The first day starts from the balance.
- **A year** has {YEAR_DAYS} days: the market never closes. The risk-free rate is 0. Many tools take
  252 days unless told otherwise; `quantstats` agrees with `periods=365`.
- **Drawdowns** are those of the candles' curve, not of the daily one, and the balance is its first
  peak.
- **Net** of a trade is its pnl less its fees; slippage is part of pnl. A win is net above 0, a loss
  net below 0. A trade that comes out at 0 is neither and still counts as a trade.
- **Span** is the time from the first open to the last close.
- **N/A** stands, with the reason, where dividing would say nothing: in the rows marked t below
  {MIN_TRADES} trades, in those marked d also below {MIN_DAYS} days, and everywhere when the divisor
  is 0, such as a profit factor without a losing trade.

| key | figure | formula | unit | n counts | needs |
|---|---|---|---|---|---|
"""
_NOTE = """
Unit share is a fraction (0.05 is 5 %), money the quote currency, r a multiple of the risk at entry:
qty × stop distance, before costs.
"""


def page() -> str:
    """Return the page's text."""
    rows = []
    for key, (label, unit, counted, formula) in DEFINITIONS.items():
        needs = "d t" if key in NEEDS_DAYS else "t" if key in NEEDS_TRADES else ""
        shown = formula.replace("|", "\\|")
        rows.append(f"| `{key}` | {label} | {shown} | {unit} | {counted} | {needs} |\n")
    return _HEAD + "".join(rows) + _NOTE


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
