"""Names of timeframes: lengths, grids, months, and what a wrong name is answered with."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy.errors import WickError
from strategy.timeframes import (
    DAY_MS,
    close_times,
    grid_of,
    longest_ms,
    month_numbers,
    month_opens,
    timeframe_ms,
    timeframe_offset_ms,
)
from strategy.windows import month_of
from tests.strategy import naive
from tests.strategy.market import MINUTE, MONDAY

instants = st.integers(0, 2**53 // 1000)  # up to the year 2255


@pytest.mark.parametrize(
    ("name", "length"),
    [("100ms", 100), ("5s", 5_000), ("1m", MINUTE), ("4h", 240 * MINUTE), ("1w", 10_080 * MINUTE)],
)
def test_a_timeframe_is_a_number_and_a_unit(name: str, length: int) -> None:
    assert timeframe_ms(name) == longest_ms(name) == length
    assert (MONDAY - timeframe_offset_ms(name)) % length == 0
    assert grid_of(name) == (length, timeframe_offset_ms(name))


@pytest.mark.parametrize("name", ["", "m", "0m", "01m", "1 m", "-1m", "1.5m", "1mm", 60, "2M", "M"])
def test_another_name_for_a_timeframe_is_refused(name: Any) -> None:
    for function in (timeframe_ms, grid_of, longest_ms):
        with pytest.raises(WickError, match="unknown timeframe") as error:
            function(name)
        assert "known: 1s 1m" in error.value.hint


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("1x", "known: 1s"),
        ("0m", "did you mean 1m?"),
        ("1H", "did you mean 1h?"),
        ("5min", "did you mean 5m?"),
        ("10 secs", "did you mean 10s?"),
        ("1mo", "did you mean 1M, a calendar month? one minute is 1m;"),
        ("1month", "did you mean 1M, a calendar month? one minute is 1m;"),
        ("M", "1m is a minute, 1M a calendar month;"),
        ("2M", "1M is the only length in months, 2m is in minutes;"),
        ("1" * 30 + "w", "known: 1s"),
    ],
)
def test_a_wrong_name_is_answered_with_what_may_be_meant(name: str, answer: str) -> None:
    with pytest.raises(WickError) as error:
        grid_of(name)
    assert error.value.hint.startswith(answer)


def test_a_month_has_no_fixed_length_and_is_not_a_minute() -> None:
    assert longest_ms("1M") == 31 * DAY_MS
    with pytest.raises(WickError, match="1M is a calendar month, which has no fixed length") as e:
        timeframe_ms("1M")
    assert "one minute is 1m" in e.value.hint


def test_two_names_of_one_length_have_one_grid() -> None:
    assert grid_of("60s") == grid_of("1m")
    assert grid_of("7d") != grid_of("1w")  # from a Thursday, from a Monday


@given(instants)
def test_the_month_of_an_instant_is_that_of_the_calendar(time: int) -> None:
    begins, ends = naive.month_window(time)
    assert tuple(month_of(time)) == (begins, ends - begins)
    array = np.array([time], np.int64)
    assert month_opens(month_numbers(array))[0] == begins
    assert close_times(np.array([begins], np.int64), "1M")[0] == ends


def test_every_month_to_2286_begins_and_ends_where_numpy_says() -> None:
    opens = month_opens(np.arange(12 * 316))
    for begins, ends in zip(opens[:-1].tolist(), opens[1:].tolist(), strict=True):
        for inside in (begins, ends - 1):
            assert tuple(month_of(inside)) == (begins, ends - begins)


@given(instants, st.sampled_from(["100ms", "1s", "1m", "90s", "1h", "3d", "1w"]))
def test_a_candle_closes_where_the_next_one_opens(time: int, name: str) -> None:
    begins, ends = naive.window_of(name)(time)
    assert close_times(np.array([begins], np.int64), name).tolist() == [ends]
