"""docs/strategies.md names every shipped strategy, every risk option and every optional column."""

import re
from pathlib import Path

from strategy.candles import OPTIONAL_FIELDS
from strategy.load import available
from strategy.options import OPTIONS
from strategy.risk import Risk

PAGE = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text()


def table_rows(heading: str) -> list[list[str]]:
    """Return the cells of the rows below a table's heading."""
    below = PAGE[PAGE.index(heading) :].splitlines()[2:]
    rows = []
    for line in below:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names_in(cell: str) -> list[str]:
    return [name.removeprefix("c.") for name in re.findall(r"`([^`]+)`", cell)]


def test_every_shipped_strategy_has_its_figures_and_its_paragraph() -> None:
    assert [names_in(row[0])[0] for row in table_rows("| strategy |")] == [
        "rsi_macd_atr", "trend_ema", "breakout_donchian", "mean_reversion_bollinger", "stoch_roc",
    ]  # fmt: skip
    assert {name for name in available() if f"**`{name}`**" in PAGE} == set(available())


def test_every_risk_option_is_in_the_table_with_the_worlds_that_know_it() -> None:
    rows = table_rows("| option |")
    named = [name for row in rows for name in names_in(row[0])]
    assert sorted(named) == sorted(Risk._fields)
    known = {one.name: [one.simulator, one.live, one.parity] for one in OPTIONS}
    for row in rows:
        for name in names_in(row[0]):
            worlds = known[f"risk.{name}"]
            assert row[2:] == ["yes", *("yes" if knows else "no" for knows in worlds)], name


def test_every_optional_column_is_in_the_table_with_all_four_worlds() -> None:
    rows = table_rows("| optional column of the candles |")
    assert [name for row in rows for name in names_in(row[0])] == list(OPTIONAL_FIELDS)
    assert all(row[1:] == ["yes"] * 4 for row in rows)
