"""Money in whole units, and the mark of an account."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.account import (
    ACCOUNT,
    EXIT_REASONS,
    ORDER,
    POSITION,
    SAID,
    TRADE,
    mark,
    money,
    notional,
)
from strategy.grid import grid

# The first call compiles.
quick = settings(deadline=None)


@pytest.mark.parametrize(
    ("amount", "booked"),
    [
        (0.0, 0),
        (1.0, 100_000_000),
        (-2.5025, -250_250_000),
        (1 / 512, 195_312),  # 195,312.5 units, exactly: half goes to the even one
        (3 / 512, 585_938),
        (-1 / 512, -195_312),
        (-3 / 512, -585_938),
        (1e10, 10**18),
    ],
)
def test_money_is_rounded_half_even_to_a_hundred_millionth(amount: float, booked: int) -> None:
    assert money(amount) == booked


@quick
@given(st.integers(-(10**14), 10**14))
def test_a_whole_number_of_units_is_booked_as_it_is(units: int) -> None:
    assert money(units / 1e8) == units


@quick
@given(st.floats(-1e5, 1e5))
def test_money_is_the_nearest_unit(amount: float) -> None:
    exact = Decimal(amount) * 10**8
    nearest = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    # Scaling by 1e8 rounds once, so only what lies at a half to within that may differ.
    if abs(abs(exact - nearest) - Decimal("0.5")) > Decimal("0.01"):
        assert money(amount) == nearest


def test_the_mark_is_the_wallet_and_each_open_profit() -> None:
    account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
    positions: Any = np.zeros(3, POSITION).view(np.recarray)
    account[0].wallet = 10_000 * 10**8
    for at, steps, entry, last in ((0, 50, 100.0, 101.0), (2, -20, 200.0, 210.0)):
        positions[at].steps, positions[at].entry, positions[at].mark = steps, entry, last
    positions[1].mark = 77.0  # nothing held
    grids = np.concatenate([grid("0.1", "0.1")] * 3).view(np.recarray)
    # 5 × 1 − 2 × 10.
    assert mark(account[0], positions, grids) == 9_985.0
    assert account[0].equity == 9_985.0
    assert notional(positions[2], grids[2]) == 420.0
    assert notional(positions[1], grids[1]) == 0.0


def test_a_record_has_no_bytes_between_its_fields() -> None:
    # Trades are compared and fingerprinted as bytes.
    for kind in (ACCOUNT, POSITION, ORDER, SAID, TRADE):
        assert kind.itemsize == 8 * len(kind.names or ())


def test_what_kernels_read_is_not_hidden_by_a_method_of_numpy_records() -> None:
    for kind in (ACCOUNT, POSITION, ORDER, SAID):
        hidden = {name for name in kind.names or () if hasattr(np.void, name)}
        assert hidden == set()


def test_exit_reasons_are_distinct_words() -> None:
    assert EXIT_REASONS == ("", "stop", "take", "signal", "reversal", "end", "flatten")
