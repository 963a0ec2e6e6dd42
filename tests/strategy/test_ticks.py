"""Candles of trades: exact sums, any cutting, and the exchange's own bars from its own trades."""

import csv
import gzip
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategy.ticks import fresh_state, tumble

T0 = 1_672_531_200_000
NAMES = "open_time open high low close volume quote_volume trades taker_buy".split()
Trade = tuple[int, str, str, int, bool]


def columns(trades: list[Trade]) -> list[NDArray[Any]]:
    """Give trades of (time, price, qty, count, buyer is maker) as the kernel takes them."""
    times, prices, quantities, counts, makers = zip(*trades, strict=True) if trades else [()] * 5
    return [
        np.array(times, np.int64),
        np.array([float(p) for p in prices]),
        np.array([float(q) for q in quantities]),
        np.array(counts, np.int64),
        np.array(makers, bool),
    ]


def slow(trades: list[Trade], length: int, offset: int, until: int) -> list[list[float]]:
    """Make candles in decimals, window by window."""
    real = [t for t in trades if Decimal(t[1]) * Decimal(t[2]) > 0]
    if not real:
        return []
    opens = (real[0][0] - offset) // length * length + offset
    found, close = [], 0.0
    while opens + length <= max(until, (real[-1][0] - offset) // length * length + offset):
        inside = [t for t in real if opens <= t[0] < opens + length]
        prices = [float(t[1]) for t in inside] or [close]
        close = prices[-1]
        unit = Decimal("1e-8")
        quotes = [(Decimal(t[1]) * Decimal(t[2])).quantize(unit) for t in inside]
        found.append(
            [
                float(opens),
                prices[0],
                max(prices),
                min(prices),
                close,
                float(sum((Decimal(t[2]) for t in inside), Decimal(0))),
                float(sum(quotes, Decimal(0))),
                float(sum(t[3] for t in inside)),
                float(sum((Decimal(t[2]) for t in inside if not t[4]), Decimal(0))),
            ]
        )
        opens += length
    return found


@st.composite
def markets(draw: st.DrawFn) -> list[Trade]:
    """Draw trades with decimals as an exchange has them, some of them empty."""
    price_digits, qty_digits = draw(st.sampled_from([(2, 5), (1, 3), (4, 0), (8, 0), (4, 4)]))
    largest = draw(st.sampled_from([1_000, 10**9, 10**13]))
    largest = min(largest, 10 ** (15 - qty_digits))
    count = draw(st.integers(0, 25))
    moment, trades = T0, []
    for _ in range(count):
        moment += draw(st.integers(0, 1_500))
        price = Decimal(draw(st.integers(0, 10**6))).scaleb(-price_digits)
        qty = Decimal(draw(st.integers(0, largest))).scaleb(-qty_digits)
        if price * qty >= Decimal(2**51).scaleb(-price_digits - qty_digits):
            # More digits than a double has: no single trade is worth that much.
            qty = Decimal(1).scaleb(-qty_digits)
        taken = (str(price), str(qty), draw(st.integers(1, 4)), draw(st.booleans()))
        trades.append((moment, *taken))
    return trades


LENGTHS = st.sampled_from([100, 250, 1_000, 5_000, 60_000])


@settings(max_examples=300, deadline=None)
@given(markets(), LENGTHS, st.sampled_from([0, 40]), st.integers(0, 4_000))
def test_candles_equal_those_made_in_decimals(
    trades: list[Trade], length: int, offset: int, after: int
) -> None:
    until = (trades[-1][0] if trades else T0) + after
    candles, left_out = tumble(*columns(trades), length, offset, until, fresh_state())
    assert candles.T.tolist() == slow(trades, length, offset, until)
    assert left_out == sum(float(t[1]) * float(t[2]) == 0 for t in trades)


@settings(max_examples=200, deadline=None)
@given(markets(), LENGTHS, st.data())
def test_any_cutting_gives_the_same_bits(
    trades: list[Trade], length: int, data: st.DataObject
) -> None:
    until = (trades[-1][0] if trades else T0) + 3_000
    whole, _ = tumble(*columns(trades), length, 0, until, fresh_state())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(trades)), max_size=6)))
    state, pieces = fresh_state(), []
    for low, high in zip([0, *cuts], [*cuts, len(trades)], strict=True):
        known = trades[high][0] if high < len(trades) else until
        piece = columns(trades[low:high])
        pieces.append(tumble(*piece, length, 0, data.draw(st.integers(0, known)), state)[0])
    pieces.append(tumble(*columns([]), length, 0, until, state)[0])
    assert np.concatenate(pieces, axis=1).tobytes() == np.ascontiguousarray(whole).tobytes()


def test_a_window_without_trades_is_flat_and_one_before_the_first_does_not_exist() -> None:
    trades: list[Trade] = [(T0 + 2_100, "10", "1", 2, False), (T0 + 5_900, "11", "2", 1, True)]
    candles, _ = tumble(*columns(trades), 1_000, 0, T0 + 7_000, fresh_state())
    assert candles[0].tolist() == [T0 + 1_000 * i for i in range(2, 7)]
    assert candles[1].tolist() == [10, 10, 10, 11, 11]
    assert candles[5].tolist() == [1, 0, 0, 2, 0]
    assert candles[7].tolist() == [2, 0, 0, 1, 0]
    assert candles[8].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("qty", ["0.1", "4987654321.25", "0.00000001", "12345678901.5"])
def test_sums_are_the_decimals_of_the_exchange(qty: str) -> None:
    """Ten thousand times 0.1 in doubles is not a thousand."""
    count = 10_000
    arrays = columns([(T0, "1", qty, 1, False)] * count)
    candles, _ = tumble(*arrays, 60_000, 0, T0 + 60_000, fresh_state())
    assert candles[5, 0] == candles[6, 0] == candles[8, 0] == float(Decimal(qty) * count)


def test_recorded_trades_rebuild_the_bars_of_the_exchange(shared_data: Path) -> None:
    """Five minutes of BTCUSDT spot: bars and trades come from two recordings."""
    recorded = shared_data / "raw/nkaz001__hftbacktest/examples/spot/btcusdt_20240808.gz"
    found: dict[int, Trade] = {}
    for line in gzip.decompress(recorded.read_bytes()).decode().splitlines():
        message = json.loads(line.partition(" ")[2]).get("data", {})
        if message.get("e") == "trade":
            t = message
            found[t["t"]] = (t["T"], t["p"], t["q"], 1, t["m"])
    trades = [found[i] for i in sorted(found)]
    until = trades[-1][0] // 60_000 * 60_000
    candles, left_out = tumble(*columns(trades), 60_000, 0, until, fresh_state())
    mine = {int(c[0]): c.tolist() for c in candles.T}
    bars = shared_data / "derived/BTCUSDT-spot-1m-20240808T2340-20240809T0010.csv"
    equal = 0
    for row in csv.DictReader(bars.read_text().splitlines()):
        opens = int(row["open_time"])
        # Whole minutes of the recording only.
        if opens in mine and opens > trades[0][0]:
            assert mine[opens][1:6] == [float(row[n]) for n in NAMES[1:6]], opens
            equal += 1
    assert (equal, left_out) == (5, 0)


def test_a_million_trades_take_well_under_a_second() -> None:
    rng = np.random.default_rng(1)
    n = 1_000_000
    moments = T0 + np.sort(rng.integers(0, 86_400_000, n))
    arrays = (moments, np.full(n, 0.7), np.full(n, 1.3), np.ones(n, np.int64), rng.random(n) < 0.5)
    tumble(*arrays, 100, 0, T0, fresh_state())
    began = time.perf_counter()
    candles, _ = tumble(*arrays, 100, 0, T0 + 86_400_000, fresh_state())
    assert candles.shape[1] > 860_000
    assert time.perf_counter() - began < 2.0
