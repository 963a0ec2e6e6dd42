"""A backtest takes the exchange rules of the day it begins on, and says what it could not know."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from backtest.inputs import Asked, gather
from data.dates import parse_time
from data.rest.listings import Listing, Lot
from data.rules.history import with_answer
from data.rules.store import MarketRules, change_rules
from data.symbols import UNKNOWN
from data.synthetic import synthetic_market
from data.writer import save
from strategy.timeframes import DAY_MS
from tests.data.run_folders import record

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
    return rules.seen, rules.step_size, but_funding(found.notes)


def but_funding(notes: Sequence[str]) -> list[str]:
    """Leave out what is said of all these candles: no funding and no mark prices are stored, and
    brackets are known of a later day."""
    left_out = ("no funding is stored for", "no mark prices of", "the leverage brackets of")
    return [note for note in notes if not note.startswith(left_out)]


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
        " least quantity 0.01 → 0.002; taken once it is flat"
    )
    # Told on the day of the first candle: they are its rules.
    assert inputs(store, start_ms=FIRST + 4 * DAY_MS) == ("2024-03-05", "0.002", [])
    assert inputs(store, end_ms=FIRST + 4 * DAY_MS) == ("2024-02-20", "0.01", [])


def test_a_listing_inside_the_run_is_told(store: Path) -> None:
    tell(store, "2024-02-20", "0.01", listed_ms=FIRST + 2 * DAY_MS)
    tell(store, "2027-01-01", "0.01", listed_ms=FIRST + 2 * DAY_MS, delivery_ms=FIRST + 8 * DAY_MS)
    notes = inputs(store)[2]
    assert "BTCUSDT: the candles go on to 2024-03-10, after it was delisted (2024-03-09)" in notes


def test_a_repeated_run_keeps_its_own_rules_whatever_was_learned_since(store: Path) -> None:
    first = gather(Asked("rsi_macd_atr"), store, store / "runs")
    tell(store, "2024-02-20", "0.01")
    data = msgspec.structs.replace(record().data[0], rules=first.rules[0])
    source = msgspec.structs.replace(record(), params={}, data=[data])
    span = {"start_ms": FIRST, "end_ms": FIRST + DAY_MS}
    assert inputs(store, params=source, **span)[:2] == ("2025-11-26", "0.001")
    assert inputs(store, **span)[:2] == ("2024-02-20", "0.01")


def test_a_symbol_that_nobody_knows_gets_a_fine_grid_and_a_note(tmp_path: Path) -> None:
    save(tmp_path, synthetic_market(7, 1440, FIRST, "1m", "XYZUSDT"), "synthetic")
    seen, _, notes = inputs(tmp_path)
    assert seen == UNKNOWN
    assert notes == [
        "XYZUSDT: no exchange rules known, a fine grid is used",
        "XYZUSDT: no leverage brackets are known, nothing is liquidated",
    ]


def test_a_run_without_a_store_has_the_packaged_rules(tmp_path: Path) -> None:
    candles = synthetic_market(7, 1440, parse_time("2026-05-01", ""), "1m", "BTCUSDT")
    found = gather(Asked("rsi_macd_atr"), tmp_path / "none", tmp_path / "runs", [candles])
    assert (found.rules[0].seen, but_funding(found.notes)) == ("2026-03-31", [])
    assert not (tmp_path / "none").exists()
