"""The gap ledger remembers for every missing row what was last found out about it."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.gaps import (
    ARCHIVE_LOSS,
    CAUSES,
    LEDGER,
    OUR_LOSS,
    OUTAGE,
    UNKNOWN,
    Cause,
    Entry,
    Explained,
    Ledger,
    classify,
    read_ledger,
    record,
    recorded,
    unexplained,
    write_ledger,
)
from data.manifest import Series, read_manifest
from data.quality import Gap
from data.store import load
from data.writer import save
from strategy.candles import Candles
from strategy.errors import WickError

MINUTE = 60_000
SERIES = Series("um", "BTCUSDT", "1m")
TRADES = Series("um", "BTCUSDT", "", "aggTrades")


def entry(first: int, count: int, cause: Cause = OUTAGE, filled: bool = False) -> Entry:
    last = first + count - 1
    return Entry(first * MINUTE, last * MINUTE, count, cause, count * filled, "REST" * filled, 7)


entries = st.lists(
    st.builds(entry, st.integers(0, 40), st.integers(1, 12), st.sampled_from(CAUSES), st.booleans())
)


def places(ledger: Ledger) -> dict[int, tuple[str, bool]]:
    """Spell a ledger out minute by minute; a minute twice is an error."""
    found: dict[int, tuple[str, bool]] = {}
    for one in ledger.entries:
        minutes = range(one.first // MINUTE, one.last // MINUTE + 1)
        assert len(minutes) == one.count
        assert one.filled in (0, one.count)
        for minute in minutes:
            assert minute not in found
            found[minute] = (one.cause, bool(one.filled))
    return found


@given(entries)
def test_of_each_minute_the_last_thing_recorded_is_known(added: list[Entry]) -> None:
    expected = {}
    for one in added:
        for minute in range(one.first // MINUTE, one.last // MINUTE + 1):
            expected[minute] = (one.cause, bool(one.filled))
    ledger = recorded(Ledger(), SERIES, added)
    assert places(ledger) == expected
    firsts = [one.first for one in ledger.entries]
    assert firsts == sorted(firsts)
    assert all(
        (a.cause, bool(a.filled)) != (b.cause, bool(b.filled)) or b.first > a.last + MINUTE
        for a, b in zip(ledger.entries, ledger.entries[1:], strict=False)
    )


@given(entries)
def test_recording_the_same_again_changes_nothing(added: list[Entry]) -> None:
    ledger = recorded(Ledger(), SERIES, added)
    assert recorded(ledger, SERIES, ledger.entries) == ledger


@given(entries, st.sets(st.integers(0, 60)))
def test_a_hole_is_cut_where_causes_change_and_nothing_is_lost(
    added: list[Entry], missing: set[int]
) -> None:
    ledger = recorded(Ledger(), SERIES, added)
    gaps = [Gap(m * MINUTE, m * MINUTE, 1) for m in sorted(missing)]
    known = places(ledger)
    causes = {m: OUR_LOSS if known[m][1] else known[m][0] for m in missing & known.keys()}
    found = {one.gap.first_missing // MINUTE: one.cause for one in classify(gaps, ledger, SERIES)}
    assert found == {m: causes.get(m, UNKNOWN) for m in missing}
    whole = classify([Gap(0, 60 * MINUTE, 61)], ledger, SERIES)
    assert sum(one.gap.count for one in whole) == 61


def test_only_what_the_exchange_itself_lacks_is_explained() -> None:
    ledger = recorded(Ledger(), SERIES, [entry(10, 2), entry(12, 2, ARCHIVE_LOSS, filled=True)])
    gap = Gap(9 * MINUTE, 14 * MINUTE, 6)
    assert unexplained([gap], ledger, SERIES) == [
        Explained(Gap(9 * MINUTE, 9 * MINUTE, 1), UNKNOWN),
        Explained(Gap(12 * MINUTE, 13 * MINUTE, 2), OUR_LOSS),
        Explained(Gap(14 * MINUTE, 14 * MINUTE, 1), UNKNOWN),
    ]


def test_months_and_trades_are_cut_between_rows() -> None:
    months = Series("um", "BTCUSDT", "1M")
    opens = [0, 2_678_400_000, 5_097_600_000, 7_776_000_000]
    ledger = recorded(Ledger(), months, [Entry(opens[0], opens[3], 4, OUTAGE)])
    ledger = recorded(ledger, months, [Entry(opens[1], opens[1], 1, OUR_LOSS, 1, "REST")])
    assert [(e.first, e.last, e.count) for e in ledger.entries] == [
        (opens[0], opens[0], 1),
        (opens[1], opens[1], 1),
        (opens[2], opens[3], 2),
    ]
    ids = recorded(Ledger(), TRADES, [Entry(5, 14, 10, UNKNOWN), Entry(8, 8, 1, OUTAGE)])
    assert [(e.first, e.last, e.count) for e in ids.entries] == [(5, 7, 3), (8, 8, 1), (9, 14, 6)]


def test_rows_off_any_grid_keep_their_share() -> None:
    funding = Series("um", "BTCUSDT", "", "funding")
    ledger = recorded(Ledger(), funding, [Entry(0, 999, 10, UNKNOWN)])
    ledger = recorded(ledger, funding, [Entry(0, 499, 4, OUTAGE)])
    assert [e.count for e in ledger.entries] == [4, 5]


def test_a_ledger_lies_beside_the_manifest_and_comes_back(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == Ledger()
    ledger = record(tmp_path, SERIES, [entry(3, 2)])
    assert read_ledger(tmp_path) == ledger == Ledger((entry(3, 2),))
    assert [path.name for path in tmp_path.iterdir()] == [LEDGER]
    assert set(CAUSES) == set(get_args(Cause))


@pytest.mark.parametrize("raw", [b"", b"{", b'{"entries": [{"first": 1}]}', b"\xff\xfe"])
def test_a_damaged_ledger_is_one_sentence_and_candles_are_read_without_it(
    tmp_path: Path, hourly: Candles, raw: bytes
) -> None:
    save(tmp_path, hourly, "test")
    folder = tmp_path / "um" / "BTCUSDT" / "1h"
    write_ledger(folder, Ledger())
    (folder / LEDGER).write_bytes(raw)
    with pytest.raises(WickError, match=r"the gap ledger .*gaps.json cannot be read") as refused:
        read_ledger(folder)
    assert refused.value.hint.startswith("wick data repair BTCUSDT")
    assert len(load(tmp_path, "um", "BTCUSDT", "1h").open_time) == len(hourly.open_time)
    assert read_manifest(folder).files
