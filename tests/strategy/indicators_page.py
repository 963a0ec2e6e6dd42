"""Write docs/indicators.md from the docstrings: python -m tests.strategy.indicators_page"""

from itertools import groupby
from pathlib import Path

from research.indicator_list import Indicator, all_indicators

PAGE = Path(__file__).parents[2] / "docs" / "indicators.md"
_HEAD = """# Indicators

Import them from `strategy.indicators` and call them inside a strategy's `indicators`. They take
columns (`c.close`, or another indicator) and give columns; `->` names the columns of those that
give several, as in `macd(c.close).histogram`. Lengths are whole numbers of candles. Values that are
not warm are NaN, and a comparison with NaN does not hold.

Each is one compiled loop that can stop and go on: a year at once and a year candle by candle give
the same bits. Each is tested against a slow twin written from its formula, and against TA-Lib to
1e-9 where TA-Lib has it.

`wick indicators` lists them, `wick indicators rsi` explains one, and `wick indicators rsi --plot
--set length=21` draws it over candles.
"""


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for (module, about), group in groupby(
        all_indicators(), key=lambda one: (one.module, one.about)
    ):
        parts.append(f"\n## {module}\n\n{about}.\n")
        parts += [_entry(one) for one in group]
    return "".join(parts)


def _entry(one: Indicator) -> str:
    text = one.text.replace("``", "`")
    for heading in ("Raises", "Examples"):
        text = text.replace(f"{heading}\n{'-' * len(heading)}\n", f"{heading}:\n\n")
    return f"\n### {one.name}\n\n`{one.signature}`\n\n{text}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
