"""Sessions begin at UTC boundaries, across gaps, on higher timeframes and in the middle of one."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.candles import Candles
from strategy.column import Column
from strategy.errors import WickError
from strategy.indicators import session_high, session_low, session_vwap
from strategy.tape import MemoTape, Tape, TapeError, inside_indicators
from tests.strategy import naive_volume as naive
from tests.strategy.market import IDENTITY, MINUTE, MONDAY, market, same_bits

FUNCTIONS = [
    (session_high, naive.session_high),
    (session_low, naive.session_low),
    (session_vwap, naive.session_vwap),
]
markets = st.builds(
    market,
    st.integers(0, 2**32 - 1),
    st.integers(0, 120),
    gap_rate=st.sampled_from([0.0, 0.1, 0.9]),
    # Close before a Monday, so that a day and a week begin inside.
    start=st.integers(-300, 60).map(lambda minutes: MONDAY + minutes * MINUTE),
)
sessions = st.sampled_from(["1m", "7m", "1h", "4h", "1d", "1w"])
few_examples = settings(max_examples=40, deadline=None)


def lists(candles: Candles) -> SimpleNamespace:
    return SimpleNamespace(**{name: array.tolist() for name, array in candles.arrays.items()})


@few_examples
@given(candles=markets, session=sessions)
def test_equal_their_twins_across_gaps_and_from_inside_a_session(
    candles: Candles, session: str
) -> None:
    for function, twin in FUNCTIONS:
        np.testing.assert_allclose(
            function(candles, session).values, twin(lists(candles), session), rtol=1e-12
        )


@few_examples
@given(candles=markets, session=sessions, cuts=st.lists(st.integers(0, 120), max_size=9))
def test_any_cutting_into_chunks_gives_the_same_bits(
    candles: Candles, session: str, cuts: list[int]
) -> None:
    tape, parts = Tape(IDENTITY), []
    for start, stop in itertools.pairwise([0, *sorted(cuts), 120]):
        chunk = candles.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append([function(chunk, session).values for function, _ in FUNCTIONS])
    for at, (function, _) in enumerate(FUNCTIONS):
        whole = function(candles, session).values
        assert same_bits(np.concatenate([part[at] for part in parts]), whole)


def at_minutes(*minutes: int) -> Candles:
    """Give candles at these minutes, whose high is the minute, counted down."""
    high = 20_000.0 - np.array(minutes, np.float64)
    return Candles.from_arrays(
        symbol="BTCUSDT",
        market="um",
        timeframe="1m",
        open_time=MONDAY + MINUTE * np.array(minutes, np.int64),
        open=high,
        high=high,
        low=high,
        close=high,
        volume=np.ones(len(high)),
    )


def test_a_session_begins_with_its_first_candle_when_those_at_the_boundary_are_missing() -> None:
    candles = at_minutes(0, 1, 58, 63, 64, 200)
    np.testing.assert_array_equal(
        session_high(candles, "1h").values, [20000, 20000, 20000, 19937, 19937, 19800]
    )


def test_a_session_that_began_before_the_history_has_no_value() -> None:
    candles = at_minutes(1, 59, 60, 61)
    for function, _ in FUNCTIONS:
        assert np.isnan(function(candles, "1h").values).tolist() == [True, True, False, False]


def test_weeks_begin_on_monday_and_days_at_midnight() -> None:
    candles = at_minutes(-1440 * 7, -2, -1, 0, 1440, 1441, 1440 * 7)
    week, day = session_high(candles, "1w").values, session_high(candles).values
    np.testing.assert_array_equal(week[3:], [20000, 20000, 20000, 9920])
    np.testing.assert_array_equal(day[1:], [20002, 20002, 20000, 18560, 18560, 9920])


def test_a_higher_timeframe_has_sessions_of_its_own_candles() -> None:
    candles = market(4, 600, gap_rate=0.2)
    five = candles.resample("5m")
    names = ("open", "high", "low", "close", "volume")
    own = Candles.from_arrays(
        symbol="BTCUSDT",
        market="um",
        timeframe="5m",
        open_time=five.open_time,
        **{name: getattr(five, name).values for name in names},
    )
    for function, _ in FUNCTIONS:
        of_five = function(five, "1h")
        assert of_five.timeframe == "5m"
        assert same_bits(of_five.values, function(own, "1h").values)


def test_the_session_before_is_had_by_resampling() -> None:
    candles = at_minutes(*range(180))
    hour = candles.resample("1h")
    before = hour.align(hour.high).values
    so_far = session_high(candles, "1h").values
    np.testing.assert_array_equal(before[60:119], so_far[59])
    assert before[119] == so_far[119]  # at the last candle's close, its own


def test_they_work_inside_indicators_where_times_are_not_shown() -> None:
    with inside_indicators():
        assert isinstance(session_vwap(market(1, 20)), Column)


def test_a_memo_tape_shares_a_session_between_equal_candles_only() -> None:
    memo = MemoTape()
    with memo:
        for expected, candles in ((1, market(3, 100)), (1, market(3, 100)), (2, market(4, 100))):
            values = session_high(candles, "1h")._values
            assert memo.computed == expected
            session_high(candles, "1h")
            assert memo.computed == expected
    assert same_bits(values, session_high(market(4, 100), "1h").values)
    with memo:
        session_high(market(3, 100), "4h")
        assert memo.computed == 3
        session_low(market(3, 100), "4h")
        assert memo.computed == 4
        five = market(3, 100).resample("5m")
        session_vwap(five, "1h")
        once = memo.computed
        session_vwap(market(3, 100).resample("5m"), "1h")
        assert memo.computed == once


def test_a_tape_refuses_another_session_in_the_same_place() -> None:
    tape, candles = Tape(IDENTITY), market(1, 40)
    with tape.reading(candles.open_time[:20]):
        session_high(candles.slice(0, 20), "1h")
    with (
        pytest.raises(TapeError, match="indicator call 1 is session_high"),
        tape.reading(candles.open_time[20:]),
    ):
        session_high(candles.slice(20, 40), "1d")


@pytest.mark.parametrize(
    ("session", "said"),
    [
        ("30s", r"session_low: a session of 30s is not a multiple of 1m candles"),
        ("90s", r"a session of 90s is not a multiple of 1m candles"),
        ("day", r"unknown timeframe 'day'"),
    ],
)
def test_a_session_that_does_not_hold_whole_candles_is_refused(session: str, said: str) -> None:
    with pytest.raises(WickError, match=said):
        session_low(market(1, 20), session)


def test_seven_days_are_no_weeks() -> None:
    weeks = Candles("BTCUSDT", "um", "1w", market(1, 2).arrays)
    with pytest.raises(WickError, match="a session of 7d is not a multiple of 1w candles") as error:
        session_high(weeks, "7d")
    assert error.value.hint == "choose a multiple of 1w, such as 1d or 1w"


def test_a_column_instead_of_candles_is_refused() -> None:
    with pytest.raises(WickError, match="session_high was given Column, expected candles") as error:
        session_high(market(1, 20).high)  # type: ignore[arg-type]
    assert error.value.hint == 'pass the candles themselves: session_high(c, "1d")'
