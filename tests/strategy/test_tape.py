"""The tape: one sequence of calls, safe snapshots, and a memo that shares what is equal."""

import threading
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy import tape as tapes
from strategy.candles import Candles
from strategy.column import Column
from strategy.indicators import ema, macd, rsi, sma, where
from strategy.tape import Identity, MemoTape, Tape, TapeError
from tests.strategy.market import IDENTITY, MINUTE, MONDAY, market, same_bits

# Two chunks of one market.
FIRST, SECOND = market(1, 100).slice(0, 50), market(1, 100).slice(50, 100)


def used_tape() -> Tape:
    tape, candles = Tape(IDENTITY), FIRST
    with tape.reading(candles.open_time):
        rsi(candles.close, 14)
        ema(candles.resample("5m").close, 3)
    return tape


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda c: ema(c.close, 6), r"call 1 is ema\(6\) on 1m, the first pass had ema\(5\) on 1m"),
        (lambda c: sma(c.close, 5), r"call 1 is sma\(5\) on 1m, the first pass had ema\(5\) on 1m"),
        (
            lambda c: ema(Column(c.close._values, "5m"), 5),
            r"call 1 is ema\(5\) on 5m, the first pass had ema\(5\) on 1m",
        ),
        (
            lambda c: [ema(c.close, 5), rsi(c.close, 9), sma(c.close, 2)],
            r"call 3 is sma\(2\) on 1m, the first pass had no such call",
        ),
        (
            lambda c: ema(c.close, 5),
            r"1 indicator calls were made, the first pass made 2; the next one was rsi\(9\) on 1m",
        ),
    ],
)
@pytest.mark.parametrize("restored", [False, True])
def test_another_sequence_of_calls_is_refused_with_both_named(
    second: Callable[[Candles], object], said: str, restored: bool
) -> None:
    tape = Tape(IDENTITY)
    with tape.reading(FIRST.open_time):
        ema(FIRST.close, 5)
        rsi(FIRST.close, 9)
    if restored:
        tape = Tape.restore(tape.snapshot(), IDENTITY)
    with pytest.raises(TapeError, match=said) as error, tape.reading(SECOND.open_time):
        second(SECOND)
    assert "branch on p only" in error.value.hint


def test_a_pass_that_failed_leaves_a_tape_that_says_so() -> None:
    tape = used_tape()
    with pytest.raises(ZeroDivisionError), tape.reading(SECOND.open_time):
        rsi(SECOND.close, 14)
        1 / 0  # noqa: B018
    stopped = pytest.raises(TapeError, match="stopped in the middle of a pass")
    with stopped, tape.reading(SECOND.open_time):
        pass
    with pytest.raises(TapeError, match="stopped in the middle of a pass"):
        tape.snapshot()


def test_a_snapshot_in_the_middle_of_a_pass_is_refused() -> None:
    tape = used_tape()
    stopped = pytest.raises(TapeError, match="stopped in the middle")
    with stopped, tape.reading(SECOND.open_time):
        tape.snapshot()


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("again", [0, 30, 49])
def test_a_chunk_that_was_read_before_is_refused_with_both_times(
    again: int, restored: bool
) -> None:
    tape, clean = used_tape(), used_tape()
    if restored:
        tape = Tape.restore(tape.snapshot(), IDENTITY)
    chunk = market(1, 100).slice(again, 100)
    said = (
        rf"begins with the candle of 2023-01-02T00:{again:02d}:00.000 UTC,"
        r" .* up to the one of 2023-01-02T00:49:00.000 UTC"
    )
    with pytest.raises(TapeError, match=said) as error, tape.reading(chunk.open_time):
        raise AssertionError("it must not be read")
    assert "tape.last_open_time" in error.value.hint
    # The tape is as good as before.
    for one in (tape, clean):
        with one.reading(SECOND.open_time):
            rsi(SECOND.close, 14)
            ema(SECOND.resample("5m").close, 3)
    assert tape.snapshot() == clean.snapshot()


def test_a_pass_cannot_be_made_twice() -> None:
    reading = Tape(IDENTITY).reading(FIRST.open_time)
    with reading:
        rsi(FIRST.close, 14)
    with pytest.raises(TapeError, match="begins with the candle of"), reading:
        raise AssertionError("it must not be read")


def test_a_tape_knows_the_last_candle_it_has_read() -> None:
    tape = Tape(IDENTITY)
    assert tape.last_open_time == -1
    for stop in (0, 1, 1, 50):  # an empty chunk changes nothing
        at = (tape.last_open_time - MONDAY) // MINUTE + 1 if tape.last_open_time >= 0 else 0
        chunk = FIRST.slice(at, stop)
        with tape.reading(chunk.open_time):
            rsi(chunk.close, 14)
        assert tape.last_open_time == (FIRST.open_time[stop - 1] if stop else -1)
    assert Tape.restore(tape.snapshot(), IDENTITY).last_open_time == FIRST.open_time[49]


def test_a_gap_between_chunks_is_no_repetition() -> None:
    tape = used_tape()
    later = SECOND.slice(20, 50)
    with tape.reading(later.open_time):
        rsi(later.close, 14)
        ema(later.resample("5m").close, 3)
    assert tape.last_open_time == later.open_time[-1]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_snapshot_is_refused(data: st.DataObject) -> None:
    snapshot = used_tape().snapshot()
    if data.draw(st.booleans(), "cut off"):
        snapshot = snapshot[: data.draw(st.integers(0, len(snapshot) - 1))]
    else:
        at = data.draw(st.integers(0, len(snapshot) - 1))
        bit = data.draw(st.integers(0, 7))
        snapshot = snapshot[:at] + bytes([snapshot[at] ^ 1 << bit]) + snapshot[at + 1 :]
    with pytest.raises(TapeError, match="damaged") as error:
        Tape.restore(snapshot, IDENTITY)
    assert "rebuild it from the first candle" in error.value.hint


@pytest.mark.parametrize("field", Identity._fields)
def test_a_snapshot_of_something_else_is_refused(field: str) -> None:
    value: Any = 7 if field == "first_open_time" else "other"
    other = IDENTITY._replace(**{field: value})
    with pytest.raises(TapeError, match=r"the tape snapshot belongs to .*, expected .*(other|=7)"):
        Tape.restore(used_tape().snapshot(), other)


def test_a_snapshot_of_other_kernels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = used_tape().snapshot()
    monkeypatch.setattr(tapes, "SOURCE_HASH", "0123456789abcdef")
    with pytest.raises(TapeError, match=r"belongs to .* expected .* and 0123456789abcdef"):
        Tape.restore(snapshot, IDENTITY)


def test_a_snapshot_taken_before_the_first_candle_can_be_gone_on_with() -> None:
    tape = Tape.restore(Tape(IDENTITY).snapshot(), IDENTITY)
    with tape.reading(FIRST.open_time):
        rsi(FIRST.close, 14)


def test_two_snapshots_of_one_state_are_the_same_bytes() -> None:
    snapshot = used_tape().snapshot()
    assert used_tape().snapshot() == snapshot
    assert Tape.restore(snapshot, IDENTITY).snapshot() == snapshot


def test_numbers_are_told_apart_by_type_and_by_bit() -> None:
    written = [tapes.exact(x) for x in (5, 5.0, 0, 0.0, -0.0, 0.1, 0.1 + 2**-56)]
    assert len(set(written)) == len(written)
    assert tapes.exact(np.float64(5.0)) == tapes.exact(5.0)
    assert tapes.exact(cast(int, np.int64(5))) == tapes.exact(5)
    calls = 0

    def kernel(number: float, state: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return np.array([number])

    with MemoTape():
        for number in (5, 5.0, 0.0, -0.0, 5, -0.0):
            (values,), _ = tapes.call("f", "1m", kernel, (), (), (number,), 0)
            assert tapes.exact(float(values[0])) == tapes.exact(float(number))
    assert calls == 4


def row(c: Candles, length: int = 14) -> list[np.ndarray]:
    five = c.resample("5m")
    lines = macd(five.close, 3, 6, 2)
    columns = [
        rsi(c.close, length),
        five.align(lines.histogram),
        five.align(lines.signal),
        where(c.close > ema(c.close, 5) * 1.001, c.high, -c.low),
    ]
    return [column._values for column in columns]


def test_the_memo_computes_each_distinct_column_once() -> None:
    candles, memo = market(3, 300), MemoTape()
    with memo:
        first = row(candles)
        once = memo.computed
        again = row(candles)
        assert memo.computed == once
        row(candles, length=9)
        assert memo.computed == once + 1
    for a, b, fresh in zip(first, again, row(candles), strict=True):
        assert a is b
        assert same_bits(a, fresh)


def test_equal_candles_share_and_different_ones_do_not() -> None:
    memo = MemoTape()
    with memo:
        first = row(market(3, 300))
        once = memo.computed
        assert all(a is b for a, b in zip(first, row(market(3, 300)), strict=True))
        assert memo.computed == once
        different = row(market(4, 300))
        assert memo.computed == 2 * once
        part = row(market(3, 300).slice(0, 299))
        assert memo.computed == 3 * once
    for got, candles in ((different, market(4, 300)), (part, market(3, 300).slice(0, 299))):
        assert all(same_bits(a, b) for a, b in zip(got, row(candles), strict=True))


def test_the_memo_is_right_after_columns_were_used_without_it() -> None:
    candles = market(3, 300)
    plain = row(candles)
    outside = candles.close
    with MemoTape():
        assert all(same_bits(a, b) for a, b in zip(row(candles), plain, strict=True))
        # Two columns that no key describes must never stand for each other.
        low, double = ema(outside - 1.0, 5), ema(outside * 2.0, 5)
        assert not same_bits(low._values, double._values)
        made_outside = [Column(candles.arrays[name], "1m") for name in ("high", "low")]
        a, b = (ema(column + 1.0, 5)._values for column in made_outside)
    assert (a >= b).sum() == (~np.isnan(a)).sum()
    assert not same_bits(a, b)


def test_columns_that_are_gone_never_stand_for_new_ones() -> None:
    # A key made of id() would hit here: each sum is freed before the next is made.
    candles = market(3, 100)
    close = candles.arrays["close"]
    with MemoTape(budget_bytes=1):
        for number in range(200):
            assert same_bits((candles.close + number)._values, close + number)


def test_what_the_memo_hands_out_cannot_be_written() -> None:
    with MemoTape():
        for values in row(market(3, 100)):
            with pytest.raises(ValueError, match="read-only"):
                values[0] = 1.0


def test_the_memo_stays_within_its_budget_and_right() -> None:
    candles = market(3, 1000)
    column = 8 * 1000
    memo = MemoTape(budget_bytes=3 * column)
    expected = {n: sma(candles.close, n)._values for n in range(1, 11)}
    with memo:
        for _ in range(2):
            for n, values in expected.items():
                assert same_bits(sma(candles.close, n)._values, values)
                assert memo.used_bytes <= memo.budget_bytes
        assert memo.computed == 20  # each was gone before it was asked for again
        before = memo.computed
        sma(candles.close, 10)
        assert memo.computed == before
    assert memo.used_bytes == sum(a.nbytes for kept in memo._kept.values() for a in kept)


def test_a_column_is_dropped_behind_the_last_time_it_is_expected() -> None:
    candles, first, memo = market(3, 1000), MemoTape(), MemoTape()
    first.asked = []
    with first:
        for n in (2, 3, 2):
            sma(candles.close, n)
    memo.expect(first.asked)
    with memo:
        sma(candles.close, 2)
        sma(candles.close, 3)
        assert memo.used_bytes == 8 * 1000
        sma(candles.close, 2)
        assert (memo.computed, memo.used_bytes) == (2, 0)
        sma(candles.close, 2)  # beyond what was expected it is kept as ever
        assert (memo.computed, memo.used_bytes) == (3, 8 * 1000)


def test_a_column_that_somebody_holds_is_not_computed_again() -> None:
    candles, memo = market(3, 1000), MemoTape(budget_bytes=1)
    with memo:
        held = sma(candles.close, 2)._values
        for n in range(3, 6):
            sma(candles.close, n)
        once = memo.computed
        assert sma(candles.close, 2)._values is held
        assert memo.computed == once
        del held
        sma(candles.close, 2)
        assert memo.computed == once + 1


def test_two_threads_share_one_computation() -> None:
    memo, started, answers = MemoTape(), threading.Barrier(2), []
    entered = []

    def slow(state: np.ndarray) -> np.ndarray:
        entered.append(threading.get_ident())
        release.wait(5)
        return np.array([1.0])

    def ask() -> None:
        with memo:
            started.wait()
            answers.append(tapes.call("slow", "1m", slow, (), (), (), 0)[0][0])

    release = threading.Event()
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not entered:
        pass
    release.set()
    for thread in threads:
        thread.join()
    assert len(entered) == 1
    assert memo.computed == 1
    assert answers[0] is answers[1]


def test_many_threads_get_the_values_of_one() -> None:
    candles = market(3, 500)
    expected = [row(candles, n) for n in range(2, 8)]
    memo, wrong = MemoTape(budget_bytes=40_000), []

    def work(offset: int) -> None:
        with memo:
            for turn in range(30):
                n = (turn * 5 + offset) % 6
                found = row(candles, n + 2)
                if not all(same_bits(a, b) for a, b in zip(found, expected[n], strict=True)):
                    wrong.append((offset, turn))

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert memo.used_bytes == sum(a.nbytes for kept in memo._kept.values() for a in kept)


def test_tapes_of_two_threads_do_not_meet() -> None:
    candles, found = market(3, 200), {}

    def work(length: int) -> None:
        tape = Tape(IDENTITY)
        parts = []
        for at in range(0, 200, 10):
            chunk = candles.slice(at, at + 10)
            with tape.reading(chunk.open_time):
                parts.append(ema(chunk.close, length)._values)
        found[length] = np.concatenate(parts)

    threads = [threading.Thread(target=work, args=(length,)) for length in (3, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for length, values in found.items():
        assert same_bits(values, ema(candles.close, length)._values)


def test_a_fork_goes_on_alone_and_leaves_the_tape_as_it_is() -> None:
    tape, alone = used_tape(), used_tape()
    fork = tape.fork()
    for one in (fork, tape):
        with one.reading(SECOND.open_time):
            said = rsi(SECOND.close, 14)
            ema(SECOND.resample("5m").close, 3)
    with alone.reading(SECOND.open_time):
        expected = rsi(SECOND.close, 14)
        ema(SECOND.resample("5m").close, 3)
    assert same_bits(said.values, expected.values)
    assert fork.snapshot() == tape.snapshot() == alone.snapshot()


def test_a_tape_in_the_middle_of_a_pass_is_not_forked() -> None:
    tape = used_tape()
    with pytest.raises(TapeError, match="middle of a pass"), tape.reading(SECOND.open_time):
        tape.fork()
