"""A run takes brackets, mark prices and changes of rules from package and store by itself, says
what it lacked, and is repeated to the last bit whatever was learned since."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from backtest.inputs import Asked, Inputs, gather, run
from backtest.running import run_asked
from data.dates import parse_time
from data.manifest import Series, Source
from data.run_json import RunRecord
from data.runs import keep
from data.store import load as load_candles
from data.synthetic import synthetic_market
from data.writer import save, writing
from strategy.timeframes import DAY_MS
from tests.backtest.test_rules_by_date import FIRST, tell

MINUTE = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Give ten days of BTCUSDT in 1m candles, and mark prices for all but the first hour."""
    folder = tmp_path / "store"
    candles = synthetic_market(7, 10 * 1440, FIRST, "1m", "BTCUSDT")
    save(folder, candles, "synthetic")
    arrays = {name: candles.arrays[name][60:] for name in ("open_time", "open", "high", "low")}
    table = pa.table({**arrays, "close": candles.arrays["close"][60:]})
    with writing(folder, Series("um", "BTCUSDT", "1m", "mark")) as writer:
        writer.add(table, Source("synthetic", "0" * 64))
    return folder


def inputs_of(store: Path, **asked: object) -> Inputs:
    return gather(Asked("breakout_donchian", **asked), store, store / "runs")  # type: ignore[arg-type]


def kept(store: Path, **asked: object) -> RunRecord:
    """Run and keep a run."""
    run, inputs = run_asked(Asked("breakout_donchian", **asked), store, store / "runs")  # type: ignore[arg-type]
    return keep(store / "runs", run, inputs.strategy.source).record


def test_brackets_and_marks_are_taken_without_being_asked_for(store: Path) -> None:
    found = inputs_of(store)
    ((first,),) = found.terms
    assert first.margin is not None
    assert (first.margin.seen, len(first.margin.brackets)) == ("2026-09-25", 12)
    assert found.marks[0] is not None
    assert len(found.marks[0].time) == 10 * 1440 - 60
    fetch = "wick data fetch BTCUSDT --kind mark --timeframe 1m --from 2024-03-01"
    many = "60 of 14,400 candles have no mark price candle"
    assert set(found.notes) >= {
        "the leverage brackets of BTCUSDT are of 2026-09-25, later than this run begins",
        f"BTCUSDT: {many}, the contract's stand in: {fetch}",
    }


def test_the_record_says_which_brackets_changes_and_marks_were_used(store: Path) -> None:
    tell(store, "2024-02-20", "0.01")
    tell(store, "2024-03-05T12:00", "0.002", liquidation_fee="0.01")
    (data,) = kept(store).data
    assert data.margin is not None
    assert (data.margin.seen, data.margin.liquidation_fee) == ("2026-09-25", "")
    (change,) = data.changes
    assert change.at_ms == parse_time("2024-03-05T12:00", "")
    assert change.margin is not None
    assert (change.rules.step_size, change.margin.liquidation_fee) == ("0.002", "0.01")
    assert data.marks is not None
    assert data.marks.candles == 14_340


def test_only_trades_after_a_change_differ_from_those_without_it(store: Path) -> None:
    tell(store, "2024-02-20", "0.01")
    before = run(inputs_of(store)).trades
    tell(store, "2024-03-05T12:00", "0.002")
    inputs = inputs_of(store)
    after = run(inputs).trades
    at_ms = inputs.terms[0][1].at_ms
    # An entry fills at the open that is its decision's instant.
    early = before.entry_time < at_ms
    assert 3 < early.sum() < len(before) - 3
    assert before[early].tobytes() == after[: early.sum()].tobytes()
    later = after[early.sum() :]
    assert (later.entry_time >= at_ms).all()
    assert np.array_equal(later.qty, later.steps * 2 / 1000)
    assert (later.steps % 5 != 0).any()  # what a step of 0.01 could not be


def test_a_run_is_repeated_to_the_last_bit_whatever_was_learned_since(store: Path) -> None:
    tell(store, "2024-02-20", "0.01")
    tell(store, "2024-03-05T12:00", "0.002")
    first = kept(store)
    tell(store, "2024-03-03", "0.05")
    assert kept(store).result_hash != first.result_hash
    again = kept(store, params=first.id)
    assert again.result_hash == first.result_hash
    assert again.data == first.data
    assert any("had changed by 2024-03-03" in note for note in again.notes)


def test_a_run_of_before_there_was_margin_is_repeated_without(store: Path) -> None:
    first = kept(store)
    old = msgspec.structs.replace(first.data[0], margin=None, changes=[], marks=None)
    source = msgspec.structs.replace(first, data=[old])
    found = inputs_of(store, params=source)
    assert (found.terms[0][0].margin, found.marks) == (None, (None,))
    assert "BTCUSDT: no leverage brackets are known, nothing is liquidated" in found.notes


def test_what_nobody_set_free_changes_no_result(store: Path) -> None:
    # Far from any liquidation price, a run with brackets is the run without.
    inputs = inputs_of(store)
    bare = dataclasses.replace(inputs, terms=(), marks=())
    ours, theirs = run(inputs), run(bare)
    assert ours.trades.tobytes() == theirs.trades.tobytes()
    assert ours.equity.tobytes() == theirs.equity.tobytes()


def test_spot_candles_have_no_margin(tmp_path: Path) -> None:
    candles = synthetic_market(7, 1440, FIRST, "1m", "BTCUSDT")
    spot = type(candles)("BTCUSDT", "spot", "1m", candles.arrays)
    save(tmp_path, spot, "synthetic")
    found = inputs_of(tmp_path)
    assert (found.terms[0][0].margin, found.marks) == (None, (None,))
    assert not any("bracket" in note or "mark" in note for note in found.notes)
    alone = inputs_of(tmp_path, changes=("risk.isolated=1",))
    assert "BTCUSDT: no leverage brackets are known, nothing is liquidated" in alone.notes


def test_a_symbol_that_nobody_knows_is_not_liquidated_and_the_run_says_so(tmp_path: Path) -> None:
    save(tmp_path, synthetic_market(7, 1440, FIRST, "1m", "NOSUCHUSDT"), "synthetic")
    found = inputs_of(tmp_path)
    assert found.terms[0][0].margin is None
    assert set(found.notes) >= {
        "NOSUCHUSDT: no exchange rules known, a fine grid is used",
        "NOSUCHUSDT: no leverage brackets are known, nothing is liquidated",
    }


def test_a_cut_span_has_its_own_marks(store: Path) -> None:
    found = inputs_of(store, start_ms=FIRST + DAY_MS, end_ms=FIRST + 2 * DAY_MS)
    candles = load_candles(store, "um", "BTCUSDT", "1m", FIRST + DAY_MS, FIRST + 2 * DAY_MS)
    assert found.marks[0] is not None
    assert np.array_equal(found.marks[0].time, candles.open_time)
