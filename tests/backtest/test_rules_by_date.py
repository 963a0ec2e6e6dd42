"""A backtest takes the exchange rules of the day it begins on, and says what it could not know."""

from pathlib import Path

import pytest

from backtest.inputs import Asked, gather
from data.dates import parse_time
from data.listings import Listing, Lot
from data.rule_history import with_answer
from data.rule_store import MarketRules, change_rules
from data.synthetic import synthetic_market
from data.writer import save
from strategy.timeframes import DAY_MS

FIRST = parse_time("2024-03-01", "")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Give ten days of BTCUSDT in 1m candles."""
    folder = tmp_path / "store"
    save(folder, synthetic_market(7, 10 * 1440, FIRST, "1m", "BTCUSDT"), "synthetic")
    return folder


def tell(store: Path, day: str, step: str, **more: object) -> None:
    listing = Listing("0.1", "5", Lot(step, step, "100"), "TRADING", **more)  # type: ignore[arg-type]

    def change(rules: MarketRules) -> MarketRules:
        at_ms = parse_time(day, "")
        return MarketRules(with_answer(rules.listings, at_ms, {"BTCUSDT": listing}, whole=False))

    change_rules(store, "um", change)


def inputs(store: Path, **asked: object) -> tuple[str | None, str, list[str]]:
    found = gather(Asked("rsi_macd_atr", **asked), store, store / "runs")  # type: ignore[arg-type]
    (rules,) = found.rules
    assert found.grids["step"][0] == float(rules.step_size)
    return rules.seen, rules.step_size, list(found.notes)


def test_where_only_later_rules_are_known_the_run_says_so(store: Path) -> None:
    assert inputs(store) == (
        "2025-11-26",
        "0.001",
        ["the exchange rules of BTCUSDT are of 2025-11-26, later than this run"],
    )


def test_the_rules_of_the_first_candle_are_used_and_changes_are_told(store: Path) -> None:
    tell(store, "2024-02-20", "0.01")
    tell(store, "2024-03-05T12:00", "0.002")
    seen, step, notes = inputs(store)
    assert (seen, step) == ("2024-02-20", "0.01")
    (note,) = notes
    assert note == (
        "BTCUSDT: the exchange rules had changed by 2024-03-05, step 0.01 → 0.002,"
        " least quantity 0.01 → 0.002; those of 2024-02-20 are used"
    )
    # Told on the day of the first candle: they are its rules.
    assert inputs(store, start_ms=FIRST + 4 * DAY_MS) == ("2024-03-05", "0.002", [])
    assert inputs(store, end_ms=FIRST + 4 * DAY_MS) == ("2024-02-20", "0.01", [])


def test_a_listing_inside_the_run_is_told(store: Path) -> None:
    tell(store, "2024-02-20", "0.01", listed_ms=FIRST + 2 * DAY_MS)
    tell(store, "2027-01-01", "0.01", listed_ms=FIRST + 2 * DAY_MS, delivery_ms=FIRST + 8 * DAY_MS)
    notes = inputs(store)[2]
    assert "BTCUSDT: the candles go on to 2024-03-10, after it was delisted (2024-03-09)" in notes
