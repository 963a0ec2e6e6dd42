"""Higher candles: grouped by UTC time, known once closed, the same in any chunks."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.candles import Candles, HigherCandles
from strategy.errors import WickError
from strategy.tape import Tape
from strategy.timeframes import timeframe_ms
from tests.strategy import naive
from tests.strategy.market import FIELDS, IDENTITY, MINUTE, MONDAY, market, same_bits

few_examples = settings(max_examples=60, deadline=None)
markets = st.builds(
    market,
    st.integers(0, 2**32 - 1),
    st.integers(0, 200),
    gap_rate=st.sampled_from([0.0, 0.02, 0.3, 0.9]),
    start=st.integers(0, 60 * 24 * 7).map(lambda minutes: MONDAY + minutes * MINUTE),
)
timeframes = st.sampled_from(["1m", "3m", "5m", "15m", "1h", "1w"])


def at_minutes(*minutes: int, start: int = MONDAY) -> Candles:
    """Give candles at these minutes, whose close is the minute."""
    close = 100.0 + np.array(minutes, np.float64)
    return Candles.from_arrays(
        symbol="BTCUSDT",
        market="um",
        timeframe="1m",
        open_time=start + MINUTE * np.array(minutes, np.int64),
        open=close,
        high=close + 1.0,
        low=close - 1.0,
        close=close,
        volume=np.ones(len(close)),
    )


def known_at(higher: HigherCandles) -> list[int]:
    return higher._windows[3].tolist()


@few_examples
@given(candles=markets, timeframe=timeframes)
def test_windows_fields_and_alignment_equal_the_obvious_twin(
    candles: Candles, timeframe: str
) -> None:
    higher = candles.resample(timeframe)
    fields = {name: candles.arrays[name].tolist() for name in FIELDS}
    opens, values, known = naive.resample(
        candles.open_time.tolist(),
        fields,
        MINUTE,
        naive.window_of(timeframe),
    )
    assert higher.open_time.tolist() == opens
    assert known_at(higher) == known
    for name in FIELDS:
        column = getattr(higher, name)
        assert column.values.tolist() == values[name]
        np.testing.assert_array_equal(
            higher.align(column).values, naive.align(values[name], known, len(candles))
        )


@few_examples
@given(candles=markets, timeframe=timeframes, cuts=st.lists(st.integers(0, 200), max_size=15))
def test_any_cutting_into_chunks_gives_the_same_candles(
    candles: Candles, timeframe: str, cuts: list[int]
) -> None:
    def look(chunk: Candles) -> list[np.ndarray]:
        higher = chunk.resample(timeframe)
        columns = [getattr(higher, name) for name in FIELDS]
        aligned = [higher.align(column).values for column in columns]
        return [higher.open_time, *(column.values for column in columns), *aligned]

    whole = look(candles)
    tape, parts = Tape(IDENTITY), []
    for start, stop in itertools.pairwise([0, *sorted(cuts), len(candles)]):
        chunk = candles.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append(look(chunk))
    for at, values in enumerate(whole):
        assert same_bits(np.concatenate([part[at] for part in parts]), values)


def test_windows_are_anchored_to_utc_time_and_weeks_to_monday() -> None:
    candles = at_minutes(*range(7, 60 * 24 * 8, 60))
    hours = candles.resample("4h").open_time
    assert (hours % timeframe_ms("4h") == 0).all()
    assert candles.resample("1w").open_time.tolist() == []  # the only whole week is not over
    later = at_minutes(*range(0, 60 * 24 * 7, 1))
    assert later.resample("1w").open_time.tolist() == [MONDAY]


def test_a_candle_is_known_from_the_close_of_its_last_base_candle() -> None:
    five = at_minutes(0, 1, 2, 3, 4, 5, 6).resample("5m")
    assert known_at(five) == [4]
    aligned = five.align(five.close).values
    np.testing.assert_array_equal(aligned, [np.nan] * 4 + [104.0] * 3)


def test_a_candle_without_its_last_base_candle_is_known_from_the_next_window_on() -> None:
    five = at_minutes(0, 1, 2, 3, 7, 8).resample("5m")
    assert known_at(five) == [4]
    np.testing.assert_array_equal(five.align(five.close).values, [np.nan] * 4 + [103.0] * 2)


def test_one_base_candle_can_close_two_windows() -> None:
    five = at_minutes(0, 1, 9, 10).resample("5m")
    assert known_at(five) == [2, 2]
    np.testing.assert_array_equal(five.align(five.close).values, [np.nan] * 2 + [109.0] * 2)


def test_a_first_window_that_began_before_the_history_is_left_out() -> None:
    five = at_minutes(*range(2, 10)).resample("5m")
    assert five.open_time.tolist() == [MONDAY + 5 * MINUTE]


def test_a_window_without_any_candle_does_not_exist() -> None:
    five = at_minutes(*range(5), *range(20, 25)).resample("5m")
    assert five.open_time.tolist() == [MONDAY, MONDAY + 20 * MINUTE]


@pytest.mark.parametrize("timeframe", ["30s", "90s", "7d"])
def test_a_timeframe_that_does_not_hold_whole_candles_is_refused(timeframe: str) -> None:
    candles = at_minutes(0, 1)
    if timeframe == "7d":  # seven days, but counted from a Thursday
        candles = Candles("BTCUSDT", "um", "1w", candles.arrays)
    with pytest.raises(WickError, match=f"cannot build {timeframe} candles from") as error:
        candles.resample(timeframe)
    assert "resample to" in error.value.hint


def test_an_unknown_timeframe_is_refused() -> None:
    with pytest.raises(WickError, match=r"unknown timeframe '5x'.*"):
        at_minutes(0).resample("5x")


def test_align_refuses_a_column_of_another_timeframe_or_of_other_candles() -> None:
    candles = at_minutes(*range(40))
    five, fifteen = candles.resample("5m"), candles.resample("15m")
    with pytest.raises(WickError, match="cannot align a 15m column with 5m candles"):
        five.align(fifteen.close)
    other = at_minutes(*range(20)).resample("5m")
    with pytest.raises(WickError, match="cannot align a column of 4 candles with 8"):
        five.align(other.close)
