"""One list of checks that every indicator passes; the indicators are listed in cases.py."""

import inspect
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy import indicators
from strategy.candles import Candles
from strategy.column import Column
from strategy.errors import WickError
from strategy.tape import Tape
from tests.strategy import resume_tape
from tests.strategy.case import Case
from tests.strategy.cases import CASES, NAMES, on_two_timeframes
from tests.strategy.market import IDENTITY, Bars, market, same_bits

ROOT = Path(__file__).resolve().parents[2]
STARTED_ANEW = set(
    "sma ema wilder wma dema hull rsi macd atr bollinger realized_volatility rolling_max"
    " rolling_min rolling_sum rolling_std zscore rolling_rank rolling_percentile"
    " linear_regression_slope adx supertrend obv mfi rolling_vwap".split()
)
averages = pytest.mark.parametrize(
    ("case",),
    [
        pytest.param(case, id=name)
        for case, name in zip(CASES, NAMES, strict=True)
        if case.function.__name__ in STARTED_ANEW
    ],
)
every_indicator = pytest.mark.parametrize("case", CASES, ids=NAMES)
seeds = st.integers(0, 2**32 - 1)
# The first example may compile a kernel, so there is no deadline.
few_examples = settings(max_examples=15, deadline=None)


def drawn(seed: int, n: int) -> Bars:
    return Bars.of(market(seed, n))


def test_every_public_function_is_a_case_and_says_where_it_is_first_valid() -> None:
    public = {
        name: value
        for name, value in vars(indicators).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert set(public) == {case.function.__name__ for case in CASES}
    for name, function in public.items():
        text = inspect.getdoc(function) or ""
        assert "irst valid at" in text or "value by value" in text, name


@every_indicator
@few_examples
@given(seed=seeds, n=st.integers(0, 150))
def test_equals_its_obvious_twin(case: Case, seed: int, n: int) -> None:
    compare_with_twin(case, drawn(seed, n))


@every_indicator
@few_examples
@given(
    seed=seeds,
    lead=st.integers(0, 30),
    holes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 119)), max_size=6),
)
def test_skips_leading_nan_and_begins_anew_after_one_inside(
    case: Case, seed: int, lead: int, holes: list[tuple[int, int]]
) -> None:
    history = drawn(seed, 120)
    for x in history.fields():
        x[:lead] = np.nan
    for which, at in holes:
        history.fields()[which][at] = np.nan
    compare_with_twin(case, history)


def compare_with_twin(case: Case, history: Bars) -> None:
    found = case.run(history.candles())
    expected = case.twin(history.lists())
    assert len(found) == len(expected)
    for column, twin in zip(found, expected, strict=True):
        if case.exact:
            np.testing.assert_array_equal(column.values, twin)
        else:
            # Of the price or of the percent scale: a difference of averages may be tiny itself.
            scale = max(100.0, float(np.nanmax(np.abs(twin), initial=0.0)))
            scale = max(scale, 1000.0) if case.function is indicators.macd else scale
            np.testing.assert_allclose(column.values, twin, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("case", [c for c in CASES if c.talib], ids=lambda c: c.name)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_talib(case: Case, seed: int) -> None:
    history = drawn(seed, 600)
    assert case.talib is not None
    theirs = case.talib(history)
    for ours, wanted in zip(case.run(history.candles()), theirs, strict=False):
        of_price = 1e-9 * 1000.0 if case.function is indicators.macd else 0.0
        assert not np.isnan(wanted[case.talib_from :]).any()
        np.testing.assert_allclose(
            ours.values[case.talib_from :],
            wanted[case.talib_from :],
            rtol=1e-9,
            atol=max(of_price, 1e-9),
        )


@every_indicator
def test_is_first_valid_where_its_docstring_says(case: Case) -> None:
    for column, first in zip(case.run(market(5, 200)), case.first, strict=True):
        assert np.isnan(column.values[:first]).all()
        assert not np.isnan(column.values[first:]).any()


@every_indicator
@few_examples
@given(seed=seeds, n=st.integers(0, 200), more=st.integers(1, 100))
def test_a_longer_history_has_the_same_beginning(case: Case, seed: int, n: int, more: int) -> None:
    history = market(seed, n + more, gap_rate=0.05)
    short = on_two_timeframes(case, history.slice(0, n))
    for a, b in zip(short, on_two_timeframes(case, history), strict=True):
        assert same_bits(a, b[:n])


@every_indicator
@few_examples
@given(
    seed=seeds,
    gap_rate=st.sampled_from([0.0, 0.05, 0.5]),
    cuts=st.lists(st.integers(0, 160), max_size=12),
)
def test_any_cutting_into_chunks_gives_the_same_bits(
    case: Case, seed: int, gap_rate: float, cuts: list[int]
) -> None:
    history = market(seed, 160, gap_rate=gap_rate)
    check_chunks(case, history, [0, *sorted(cuts), 160])


@every_indicator
@few_examples
@given(
    seed=seeds,
    holes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 89)), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 90), max_size=12),
)
def test_any_cutting_around_nan_gives_the_same_bits(
    case: Case, seed: int, holes: list[tuple[int, int]], cuts: list[int]
) -> None:
    history = drawn(seed, 90)
    for which, at in holes:
        history.fields()[which][at] = np.nan
    check_chunks(case, history.candles(), [0, *sorted(cuts), 90])


@every_indicator
def test_candle_by_candle_across_gaps_gives_the_same_bits(case: Case) -> None:
    # With so many gaps, one candle at times closes its own 5m window and the one before.
    history = market(7, 300, gap_rate=0.5, start=1_672_617_600_000 + 120_000)
    windows = history.resample("5m")
    known = windows._windows[3]
    assert (np.diff(known) == 0).any(), "the market must close two windows at one candle"
    check_chunks(case, history, list(range(301)))


def check_chunks(case: Case, history: Candles, cuts: list[int]) -> None:
    whole = on_two_timeframes(case, history)
    tape = Tape(IDENTITY)
    parts = []
    for start, stop in itertools.pairwise(cuts):
        chunk = history.slice(start, stop)
        with tape.reading(chunk.open_time):
            parts.append(on_two_timeframes(case, chunk))
    for at, values in enumerate(whole):
        assert same_bits(np.concatenate([part[at] for part in parts]), values)


@every_indicator
def test_a_market_that_stands_still_gives_a_plain_value(case: Case) -> None:
    still = np.full(300, 100.0)
    for column, first, value in zip(
        case.run(Bars.still(still).candles()), case.first, case.constant, strict=True
    ):
        np.testing.assert_allclose(column.values[first:], value, rtol=1e-12, atol=1e-10)


@every_indicator
def test_no_candle_and_one_candle(case: Case) -> None:
    empty = np.empty(0)
    for column in case.run(Bars.still(empty).candles()):
        assert column.values.shape == (0,)
    one = np.array([100.0])
    for column, first in zip(case.run(Bars.still(one).candles()), case.first, strict=True):
        assert np.isnan(column.values[0]) == (first > 0)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Take a snapshot of every indicator inside a window and let a new process go on from it."""
    folder = tmp_path_factory.mktemp("tapes")
    beginning = market(resume_tape.SEED, resume_tape.COUNT, gap_rate=resume_tape.GAP_RATE)
    for case in CASES:
        tape = Tape(IDENTITY)
        chunk = beginning.slice(0, resume_tape.CUT)
        with tape.reading(chunk.open_time):
            on_two_timeframes(case, chunk)
        (folder / f"{case.name}.tape").write_bytes(tape.snapshot())
    subprocess.run(
        [sys.executable, "-m", "tests.strategy.resume_tape", str(folder)], cwd=ROOT, check=True
    )
    return folder


@every_indicator
def test_a_snapshot_goes_on_in_a_new_process_with_the_same_bits(case: Case, resumed: Path) -> None:
    history = market(resume_tape.SEED, resume_tape.COUNT, gap_rate=resume_tape.GAP_RATE)
    whole = on_two_timeframes(case, history)
    for a, b in zip(np.load(resumed / f"{case.name}.npy"), whole, strict=True):
        assert same_bits(a, b[resume_tape.CUT :])


@pytest.mark.parametrize("length", [0, -3, 100_001, 14.0, True, None])
def test_a_length_that_is_no_whole_number_in_range_is_refused(length: object) -> None:
    with pytest.raises(WickError, match=r"rsi: length is .*, expected a whole number from 1"):
        indicators.rsi(market(1, 5).close, length)  # type: ignore[arg-type]


def test_macd_refuses_a_fast_length_that_is_not_shorter() -> None:
    with pytest.raises(WickError, match=r"macd: fast is 26, expected less than slow \(26\)"):
        indicators.macd(market(1, 5).close, 26, 26, 9)


def test_the_rounding_of_large_values_leaves_the_simple_average() -> None:
    x = np.concatenate([np.full(25, 1e15), np.full(40, 0.1)])
    values = indicators.sma(Column(x, "1m"), 10).values
    np.testing.assert_allclose(values[-20:], 0.1, rtol=1e-15)


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
@averages
def test_an_infinity_starts_an_average_anew_as_a_nan_does(case: Case, bad: float) -> None:
    def outputs(value: float, at: int) -> list[np.ndarray]:
        history = drawn(5, 3000)
        history.close[at] = value
        return [np.asarray(one.values) for one in case.run(history.candles())]

    for at in (0, 3, 700, 2990):
        for ours, theirs in zip(outputs(bad, at), outputs(math.nan, at), strict=True):
            assert same_bits(ours, theirs)
            assert at == 2990 or np.isfinite(ours[-1])
