"""Candles of calendar months: as higher timeframe by the rules of all others, and as they come."""

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.candles import Candles
from strategy.errors import WickError
from strategy.tape import MemoTape, Tape
from strategy.timeframes import DAY_MS, close_times, month_opens, timeframe_ms
from tests.strategy import naive
from tests.strategy.market import FIELDS, IDENTITY, market, same_bits

few_examples = settings(max_examples=60, deadline=None)


def at(text: str) -> int:
    """Return a UTC date in ms."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def history(seed: int, n: int, timeframe: str, start: int, gap_rate: float, widest: int) -> Candles:
    """Draw candles of a timeframe with gaps of up to `widest` candles."""
    draw = np.random.default_rng(seed)
    missing = np.where(draw.random(n) < gap_rate, draw.integers(1, widest + 1, n), 0)
    arrays = dict(market(seed, n).arrays)
    arrays["open_time"] = start + timeframe_ms(timeframe) * (np.arange(n) + np.cumsum(missing))
    arrays["taker_buy"] = arrays["volume"] / 2.0
    return Candles("BTCUSDT", "um", timeframe, arrays)


# Around a turn of the year and both kinds of February, at any hour.
starts = st.sampled_from(["1999-12-20", "2000-02-10", "2019-11-28", "2020-01-31", "2023-01-01"])


@st.composite
def histories(draw: st.DrawFn) -> Candles:
    timeframe, most, widest = draw(
        st.sampled_from([("1d", 900, 70), ("8h", 1500, 200), ("1h", 3000, 2000)])
    )
    shift = draw(st.integers(0, 40 * DAY_MS // timeframe_ms(timeframe)))
    return history(
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, most)),
        timeframe,
        at(draw(starts)) + shift * timeframe_ms(timeframe),
        draw(st.sampled_from([0.0, 0.005, 0.1])),
        widest,
    )


@few_examples
@given(histories())
def test_months_equal_the_obvious_twin_of_the_calendar(candles: Candles) -> None:
    months = candles.resample("1M")
    fields = {name: candles.arrays[name].tolist() for name in (*FIELDS, "taker_buy")}
    opens, values, known = naive.resample(
        candles.open_time.tolist(), fields, candles.timeframe_ms, naive.month_window
    )
    assert months.open_time.tolist() == opens
    assert months._windows[3].tolist() == known
    for name, expected in values.items():
        column = getattr(months, name)
        assert column.values.tolist() == expected
        np.testing.assert_array_equal(
            months.align(column).values, naive.align(expected, known, len(candles))
        )


@few_examples
@given(histories(), st.lists(st.integers(0, 3000), max_size=20))
def test_any_cutting_into_chunks_gives_the_same_months(candles: Candles, cuts: list[int]) -> None:
    def look(chunk: Candles) -> list[np.ndarray]:
        months = chunk.resample("1M")
        columns = [getattr(months, name) for name in (*FIELDS, "taker_buy")]
        aligned = [months.align(column).values for column in columns]
        return [months.open_time, *(column.values for column in columns), *aligned]

    whole = look(candles)
    tape, parts = Tape(IDENTITY), []
    edges = [0, *sorted(min(cut, len(candles)) for cut in cuts), len(candles)]
    for start, stop in itertools.pairwise(edges):
        chunk = candles.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append(look(chunk))
        tape = Tape.restore(tape.snapshot(), IDENTITY)
    for index, values in enumerate(whole):
        assert same_bits(np.concatenate([part[index] for part in parts]), values)
    with MemoTape():
        for values, shared in zip(whole, look(candles), strict=True):
            assert same_bits(shared, values)


def test_candle_by_candle_gives_the_same_months() -> None:
    candles = history(3, 200, "1d", at("2023-11-17"), 0.1, 40)
    whole = candles.resample("1M")
    tape, closes = Tape(IDENTITY), []
    for i in range(len(candles)):
        chunk = candles.slice(i, i + 1)
        with tape.reading(chunk.open_time):
            closes.append(chunk.resample("1M").close.values)
    assert same_bits(np.concatenate(closes), whole.close.values)
    assert len(whole.open_time) > 5


def days(*spans: tuple[str, str]) -> Candles:
    """Give daily candles of spans of days, the last one not included; the close is the row."""
    times = np.concatenate([np.arange(at(begin), at(end), DAY_MS) for begin, end in spans])
    close = np.arange(100.0, 100.0 + len(times))
    one = np.ones(len(times))
    return Candles.from_arrays(
        symbol="BTCUSDT", market="um", timeframe="1d", open_time=times, open=close,
        high=close + 1.0, low=close - 1.0, close=close, volume=one, trades=one,
    )  # fmt: skip


def test_a_month_is_known_from_the_close_of_its_last_day_in_leap_years_too() -> None:
    candles = days(("2023-12-01", "2024-03-02"))
    months = candles.resample("1M")
    assert months.open_time.tolist() == [at("2023-12-01"), at("2024-01-01"), at("2024-02-01")]
    assert months._windows[3].tolist() == [30, 61, 90]
    assert months.trades.values.tolist() == [31.0, 31.0, 29.0]
    aligned = months.align(months.close).values
    np.testing.assert_array_equal(aligned[29:32], [np.nan, 130.0, 130.0])


def test_a_month_that_lost_its_last_day_is_known_from_the_first_candle_after_it() -> None:
    months = days(("2023-02-01", "2023-02-28"), ("2023-03-05", "2023-03-07")).resample("1M")
    assert months.open_time.tolist() == [at("2023-02-01")]
    assert months._windows[3].tolist() == [27]


def test_one_day_can_close_two_months() -> None:
    months = days(("2023-02-01", "2023-02-27"), ("2023-03-31", "2023-04-02")).resample("1M")
    assert months.open_time.tolist() == [at("2023-02-01"), at("2023-03-01")]
    assert months._windows[3].tolist() == [26, 26]
    assert months.trades.values.tolist() == [26.0, 1.0]


def test_a_first_month_that_began_before_the_history_and_empty_ones_are_left_out() -> None:
    months = days(("2022-12-02", "2023-02-01"), ("2023-05-01", "2023-06-01")).resample("1M")
    assert months.open_time.tolist() == [at("2023-01-01"), at("2023-05-01")]


@pytest.mark.parametrize("timeframe", ["1w", "3d", "7h", "2d", "7m"])
def test_months_are_not_built_of_candles_that_cross_their_ends(timeframe: str) -> None:
    candles = Candles("BTCUSDT", "um", timeframe, days(("2023-01-01", "2023-01-02")).arrays)
    with pytest.raises(WickError, match=f"cannot build 1M candles from {timeframe} ones") as error:
        candles.resample("1M")
    assert "build it from 1d or shorter" in error.value.hint


def test_a_minute_asked_of_longer_candles_hints_at_the_month() -> None:
    with pytest.raises(WickError, match="cannot build 1m candles from 1d ones") as error:
        days(("2023-01-01", "2023-01-02")).resample("1m")
    assert "a calendar month is 1M" in error.value.hint


def monthly(*numbers: int) -> Candles:
    """Give candles of months, counted from January 1970."""
    one = np.full(len(numbers), 10.0)
    return Candles.from_arrays(
        symbol="BTCUSDT", market="um", timeframe="1M", open_time=month_opens(np.array(numbers)),
        open=one, high=one, low=one, close=one, volume=one,
    )  # fmt: skip


def test_candles_of_months_close_with_the_next_month_and_stay_what_they_are() -> None:
    candles = monthly(636, 637, 639)  # January, February and April 2023
    assert close_times(candles.open_time, "1M").tolist() == [
        at("2023-02-01"),
        at("2023-03-01"),
        at("2023-05-01"),
    ]
    months = candles.resample("1M")
    assert same_bits(months.open_time, candles.open_time)
    assert months._windows[3].tolist() == [0, 1, 2]
    tape = Tape(IDENTITY)
    for i in range(3):
        chunk = candles.slice(i, i + 1)
        with tape.reading(chunk.open_time):
            assert chunk.resample("1M").open_time.tolist() == [candles.open_time[i]]
    with pytest.raises(WickError, match="cannot build 1d candles from 1M ones"):
        candles.resample("1d")
    with pytest.raises(WickError, match="1M is a calendar month, which has no fixed length"):
        _ = candles.timeframe_ms


@pytest.mark.parametrize("off", [1, DAY_MS, 30 * DAY_MS])
def test_a_candle_of_a_month_that_opens_within_one_is_refused(off: int) -> None:
    arrays = {name: values.copy() for name, values in monthly(636, 637).arrays.items()}
    arrays["open_time"][1] += off
    with pytest.raises(WickError, match=r"1M candle 1 .*off the grid of the timeframe"):
        Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe="1M", **arrays)
