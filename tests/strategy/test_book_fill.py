"""Fills booked one by one into a position, beside exact fractions."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.account import book_fill, fee_of, free_margin, money
from strategy.grid import grid
from strategy.records import ACCOUNT, POSITION

# The first call compiles.
quick = settings(deadline=None)
TICK, STEP = Fraction("0.1"), Fraction("0.001")
GRIDS: Any = grid("0.1", "0.001").view(np.recarray)
G: Any = GRIDS[0]

Fill = tuple[int, int]  # signed steps, price in ticks
fills = st.lists(
    st.tuples(st.integers(-50_000, 50_000).filter(bool), st.integers(1, 2_000_000)),
    min_size=1,
    max_size=30,
)


def flat() -> Any:
    return np.zeros(1, POSITION).view(np.recarray)[0]


def held(steps: int, entry: float) -> Any:
    position = flat()
    position.steps, position.entry = steps, entry
    return position


@dataclass(slots=True)
class Exact:
    """A position whose average and profit are never rounded."""

    steps: int = 0
    entry: Fraction = Fraction(0)
    realized: Fraction = Fraction(0)
    closes: int = 0
    turnover: Fraction = field(default=Fraction(0))

    def book(self, steps: int, price: Fraction) -> None:
        self.turnover += abs(steps) * STEP * price
        closed = min(abs(self.steps), abs(steps)) if self.steps * steps < 0 else 0
        if closed:
            side = 1 if self.steps > 0 else -1
            self.realized += side * closed * STEP * (price - self.entry)
            self.steps -= side * closed
            steps += side * closed
            self.closes += 1
        if steps:
            cost = self.steps * self.entry + steps * price
            self.steps += steps
            self.entry = cost / self.steps
        elif self.steps == 0:
            self.entry = Fraction(0)

    def rounding(self, count: int) -> float:
        """Return by how many units `count` fills may differ: half of one for each booking, and what
        floats of the turnover's size lose."""
        return 0.5 * self.closes + count * float(self.turnover) * 1e8 * 2.0**-51


def booked(path: list[Fill]) -> tuple[Any, int, Exact]:
    position, exact, units = flat(), Exact(), 0
    for steps, ticks in path:
        price = ticks * TICK
        units += int(book_fill(position, G, steps, float(price)))
        exact.book(steps, price)
    return position, units, exact


@quick
@given(fills)
def test_a_position_is_the_sum_of_its_fills_and_its_entry_their_average(path: list[Fill]) -> None:
    position, _, exact = booked(path)
    assert position.steps == sum(steps for steps, _ in path) == exact.steps
    assert position.entry == pytest.approx(float(exact.entry), rel=1e-13)


@quick
@given(fills)
def test_realized_profit_is_what_exact_arithmetic_says(path: list[Fill]) -> None:
    _, units, exact = booked(path)
    assert abs(float(units - exact.realized * 10**8)) <= exact.rounding(len(path))


@quick
@given(fills, st.integers(1, 2_000_000))
def test_once_flat_the_realized_profit_is_the_cash_that_flowed(path: list[Fill], last: int) -> None:
    if left := sum(steps for steps, _ in path):
        path = [*path, (-left, last)]
    position, units, exact = booked(path)
    cash = -sum((steps * STEP * ticks * TICK for steps, ticks in path), Fraction(0))
    assert (position.steps, position.entry) == (0, 0.0)
    assert abs(float(units - cash * 10**8)) <= exact.rounding(len(path))


@quick
@given(st.integers(-(10**9), 10**9).filter(bool), st.floats(1e-8, 1e6))
def test_the_first_price_is_the_entry_bit_for_bit(steps: int, price: float) -> None:
    position = flat()
    assert book_fill(position, G, steps, price) == 0
    assert (position.steps, position.entry) == (steps, price)


@quick
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20), st.floats(1e-8, 1e6))
def test_an_order_that_fills_in_parts_at_one_price_has_that_price(
    parts: list[int], price: float
) -> None:
    position = flat()
    for steps in parts:
        book_fill(position, G, -steps, price)
    assert (position.steps, position.entry) == (-sum(parts), price)


@quick
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6), st.booleans())
def test_a_whole_exit_in_one_fill_is_the_profit_in_one_rounding(
    steps: int, entry: int, leave: int, short: bool
) -> None:
    side = -1 if short else 1
    position = held(side * steps, entry / 10)
    profit = money(side * (steps / 1000) * (leave / 10 - entry / 10))
    assert book_fill(position, G, -side * steps, leave / 10) == profit
    assert (position.steps, position.entry) == (0, 0.0)


def test_what_is_left_of_a_reduced_position_keeps_its_entry() -> None:
    position = held(-3_000, 100.0)
    # A third bought back 10 lower.
    assert book_fill(position, G, 1_000, 90.0) == 10 * 10**8
    assert (position.steps, position.entry) == (-2_000, 100.0)


def test_a_fill_through_zero_closes_the_old_position_and_opens_the_rest() -> None:
    position = held(1_000, 100.0)
    # One sold 5 higher; two more are a new short.
    assert book_fill(position, G, -3_000, 105.0) == 5 * 10**8
    assert (position.steps, position.entry) == (-2_000, 105.0)


def test_only_steps_and_entry_are_touched() -> None:
    position = flat()
    for name in POSITION.names or ():
        position[name] = 7
    for steps in (3, -4, -20, 30):
        book_fill(position, G, steps, 50.0)
    rest = set(POSITION.names or ()) - {"steps", "entry"}
    assert {name: position[name] for name in rest} == dict.fromkeys(rest, 7)


def test_a_fee_is_rounded_once() -> None:
    assert fee_of(0.0005, 0.123, 20_000.1) == money(0.0005 * (0.123 * 20_000.1))
    assert fee_of(0.0, 1.0, 1.0) == 0


def test_free_margin_is_the_wallet_with_open_profit_less_margin() -> None:
    account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
    positions: Any = np.zeros(3, POSITION).view(np.recarray)
    account[0].wallet = 1_000 * 10**8
    for at, steps, entry, last in ((0, 2_000, 100.0, 110.0), (2, -1_000, 300.0, 330.0)):
        positions[at].steps, positions[at].entry, positions[at].mark = steps, entry, last
    grids = np.concatenate([GRIDS] * 3).view(np.recarray)
    # 1000 + 2 × 10 − 220 / 10, then − 1 × 30 − 330 / 10.
    assert free_margin(account[0], positions, grids, np.arange(3), 10.0) == 935.0
