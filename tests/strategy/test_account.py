"""Money in whole units, and the mark of an account."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.account import (
    book_transfer,
    funding_of,
    loses_too_much,
    mark,
    money,
    notional,
    step,
)
from strategy.booking import book_funding
from strategy.grid import grid
from strategy.records import ACCOUNT, EXIT_REASONS, ORDER, PART, POSITION, SAID, TRADE
from strategy.risk import REFUSALS, Risk
from strategy.rules import ENTER_LONG, ENTER_SHORT, EXIT_LONG

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
    assert mark(account[0], positions, grids, np.arange(len(positions))) == 9_985.0
    assert account[0].equity == 9_985.0
    assert notional(positions[2], grids[2]) == 420.0
    assert notional(positions[1], grids[1]) == 0.0


@pytest.mark.parametrize(
    ("steps", "rate", "paid"),
    [
        (2_500, 0.0001, 12_518_750),  # 2.5 × 500.75 × 0.0001 = 0.1251875
        (-2_500, 0.0001, -12_518_750),
        (2_500, -0.0075, -938_906_250),
        (-2_500, -0.0075, 938_906_250),
        (2_500, 0.0, 0),
        (1, 1 / 512, 97_803),  # 0.50075 / 512 = 0.00097802734…
    ],
)
def test_a_long_pays_a_positive_rate_and_a_short_receives_it(
    steps: int, rate: float, paid: int
) -> None:
    assert funding_of(steps, grid("0.01", "0.001")[0], 500.75, rate) == paid


def test_half_a_unit_of_funding_is_rounded_to_the_even_one() -> None:
    one = grid("0.01", "1")[0]
    assert [funding_of(1, one, x, 1 / 512) for x in (1.0, 3.0, -1.0)] == [
        195_312,
        585_938,
        -195_312,
    ]


def test_funding_leaves_the_wallet_and_is_kept_with_the_position() -> None:
    account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
    position: Any = np.zeros(1, POSITION).view(np.recarray)
    account[0].wallet, position[0].steps = 1_000 * 10**8, -20
    for rate, wallet, booked in ((0.001, 1_000.2, -0.2), (-0.005, 999.2, 0.8)):
        book_funding(account[0], position[0], grid("0.1", "0.1")[0], 100.0, rate)
        assert account[0].wallet == round(wallet * 1e8)
        assert position[0].funding == round(booked * 1e8)


def test_a_record_has_no_bytes_between_its_fields() -> None:
    # Trades are compared and fingerprinted as bytes.
    for kind in (ACCOUNT, POSITION, ORDER, SAID, TRADE, PART):
        assert kind.itemsize == 8 * len(kind.names or ())


def test_what_kernels_read_is_not_hidden_by_a_method_of_numpy_records() -> None:
    for kind in (ACCOUNT, POSITION, ORDER, SAID):
        hidden = {name for name in kind.names or () if hasattr(np.void, name)}
        assert hidden == set()


def test_exit_reasons_are_distinct_words() -> None:
    # Stored runs and journals have the words, and records their positions: new ones come last.
    old = ("", "stop", "take", "signal", "reversal", "end", "flatten")
    assert EXIT_REASONS[: len(old)] == old
    assert len(set(EXIT_REASONS)) == len(EXIT_REASONS)


DAY = 86_400_000
NOON = 20_000 * DAY + DAY // 2


@dataclass(slots=True)
class Desk:
    """An account with 10,000 over some symbols, asked candle by candle."""

    symbols: int = 1
    risk: Risk = field(default_factory=Risk)
    account: Any = None
    positions: Any = None
    orders: Any = None
    refused: Any = None

    def __post_init__(self) -> None:
        self.account = np.zeros(1, ACCOUNT).view(np.recarray)
        self.account[0].wallet, self.account[0].equity = 10_000 * 10**8, 10_000.0
        self.account[0].day = -1
        self.positions = np.zeros(self.symbols, POSITION).view(np.recarray)
        self.positions.mark = 100.0
        self.orders = np.zeros(self.symbols, ORDER).view(np.recarray)
        self.refused = np.zeros((self.symbols, len(REFUSALS)), np.int64)

    def hears(self, now: int, *signals: int | None) -> None:
        said: Any = np.zeros(self.symbols, SAID).view(np.recarray)
        for word, bits in zip(said, signals, strict=True):
            word.present, word.signals = bits is not None, bits or 0
            word.stop_distance, word.take_distance = 2.0, 4.0
        grids = np.concatenate([grid("0.1", "0.01")] * self.symbols).view(np.recarray)
        risk = Risk(*map(float, self.risk))  # type: ignore[arg-type]
        step(
            self.account[0],
            self.positions,
            self.orders,
            grids,
            said,
            np.arange(len(said)),
            risk,
            True,
            False,
            now,
            self.refused,
        )


def test_a_decision_leaves_an_order_with_its_instant_and_its_close() -> None:
    desk = Desk(symbols=2)
    desk.hears(NOON, ENTER_SHORT, 0)
    # 1 % of 10,000 is 100; 50 pieces lose that on a way of 2; 5,000 steps of 0.01.
    assert desk.orders[0].item() == (0, -1, 5_000, 2.0, 4.0, 0, NOON, 100.0, 0.0, 0, 0)
    assert desk.orders[1].item() == (0, 0, 0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0, 0)


def test_an_order_that_waits_is_not_decided_again() -> None:
    desk = Desk()
    desk.hears(NOON, ENTER_LONG)
    before = desk.orders.copy()
    desk.positions[0].mark = 101.0
    desk.hears(NOON + 60_000, ENTER_SHORT)
    assert desk.orders.tobytes() == before.tobytes()


def test_an_exit_that_waits_keeps_its_reason_and_its_instant() -> None:
    desk = Desk()
    desk.positions[0].steps, desk.positions[0].entry = 100, 100.0
    desk.hears(NOON, EXIT_LONG)
    desk.hears(NOON + 60_000, ENTER_SHORT)
    assert EXIT_REASONS[desk.orders[0].close_reason] == "signal"
    assert (desk.orders[0].decided_at, desk.orders[0].side) == (NOON, 0)


def test_a_reversal_is_one_order_with_an_exit_and_an_entry() -> None:
    desk = Desk()
    desk.positions[0].steps, desk.positions[0].entry = 100, 100.0
    desk.hears(NOON, ENTER_SHORT)
    order = desk.orders[0]
    assert (EXIT_REASONS[order.close_reason], order.side, order.reversal) == ("reversal", -1, 1)


def test_an_order_that_waits_holds_its_slot() -> None:
    desk = Desk(symbols=2, risk=Risk(max_positions=1))
    desk.hears(NOON, ENTER_LONG, None)
    desk.hears(NOON + 60_000, None, ENTER_LONG)
    assert desk.orders[1].side == 0
    assert desk.refused[1, REFUSALS.index("position limit")] == 1


def test_money_taken_out_is_no_loss_and_money_paid_in_hides_none() -> None:
    desk = Desk(risk=Risk(daily_loss_limit=0.05))
    desk.hears(NOON, 0)
    book_transfer(desk.account[0], -4_000 * 10**8)
    desk.hears(NOON + 60_000, 0)
    assert (desk.account[0].equity, desk.account[0].blocked) == (6_000.0, 0)
    book_transfer(desk.account[0], 9_000 * 10**8)
    desk.account[0].wallet -= 500 * 10**8  # 5 % of the opening lost, though there is more than then
    desk.hears(NOON + 120_000, ENTER_LONG)
    assert (desk.account[0].equity, desk.account[0].blocked) == (14_500.0, 1)
    assert desk.refused[0, REFUSALS.index("daily loss limit")] == 1


def test_a_transfer_between_midnight_and_the_next_mark_belongs_to_the_new_day() -> None:
    desk = Desk(risk=Risk(daily_loss_limit=0.05))
    midnight = 20_001 * DAY
    desk.hears(midnight, 0)
    book_transfer(desk.account[0], -5_000 * 10**8)
    desk.hears(midnight + 60_000, 0)
    account = desk.account[0]
    assert (account.day_open, account.transfers, account.blocked) == (5_000.0, 0, 0)


@quick
@given(st.integers(-(10**12), 10**12), st.integers(0, 2 * 10**12))
def test_a_transfer_changes_loss_by_nothing(units: int, equity: int) -> None:
    account: Any = np.zeros(1, ACCOUNT).view(np.recarray)
    account[0].day_open, account[0].equity = 10_000.0, equity / 1e8
    before = loses_too_much(account[0], account[0].equity, 0.05)
    book_transfer(account[0], units)
    after = loses_too_much(account[0], account[0].equity, 0.05)
    # At the limit itself the sum's rounding may decide.
    assert before == after or abs(equity / 1e8 - 9_500.0) < 1e-6
