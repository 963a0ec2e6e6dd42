"""What a session's records add up to."""

from typing import Any

import msgspec
import pytest

from dashboard.tables import trades_table
from dashboard.trades import LEGS, Book
from dashboard.view import View, view
from live.bus import ROLES
from live.journal_records import Asked, Began, Decided, Funded, Halted, Held, Record
from live.order_ids import CONDITIONAL_LEGS, MARKET_LEGS
from live.signs import Sign
from tests.dashboard.made_session import MINUTE, NOON, fill, session

STEP = 0.0001  # of BTCUSDT


def decided(minute: int, wallet: int = 10**12, **values: Any) -> Decided:
    plain: dict[str, Any] = {
        "equity": wallet / 1e8, "day": NOON // 86_400_000, "day_open": 10_000.0, "blocked": False,
        "marks": (94_000.0, 1_800.0),
    }  # fmt: skip
    return Decided(n=0, time=NOON + minute * MINUTE, wallet=wallet, **plain | values)


def seen(*records: Record, signs: tuple[Sign, ...] = ()) -> View:
    began = Began(n=0, time=NOON, wallet=10**12, last_trade={})
    return view(session(), [began, *records], signs)


def test_a_session_that_has_just_begun_has_its_balance_and_nothing_else() -> None:
    found = seen()
    assert (found.state, found.wallet, found.equity, found.today) == ("starting", 1e4, 1e4, 0.0)
    assert (found.positions, found.trades, found.fills, found.roles) == ((), (), (), ())


def test_nothing_at_all_is_a_session_that_starts() -> None:
    found = view(session(), [], [])
    assert (found.state, found.time, found.equity) == ("starting", 0, 0.0)


def test_a_position_is_that_of_the_last_fill_marked_at_the_last_close() -> None:
    entry = fill(
        1, NOON + MINUTE, steps=-500, held=-500, price=94_000.0, entry=94_000.0, fee=23_500_000,
        stop=94_900.0, take=92_000.0,
    )  # fmt: skip
    found = seen(decided(1), entry, decided(2, 10**12 - 23_500_000, marks=(93_800.0, 1_800.0)))
    (position,) = found.positions
    assert position.side == "short"
    assert position.qty == pytest.approx(0.05)
    assert position.unrealized == pytest.approx(10.0)  # 500 × 0.0001 × 200
    assert (position.stop, position.take, position.since) == (94_900.0, 92_000.0, NOON + MINUTE)
    assert found.equity == pytest.approx(10_000.0 - 0.235 + 10.0)
    assert found.position_of("BTCUSDT") is position
    assert found.position_of("ETHUSDT") is None


def test_a_stop_that_moved_is_shown_where_it_is_until_another_position_opens() -> None:
    entry = fill(1, NOON, steps=100, held=100, price=94_000.0, entry=94_000.0, stop=93_000.0)
    held = (Held("BTCUSDT", 93_900.0, 94_800.0, 93_800.0, 7),)
    (position,) = seen(entry, decided(1, held=held)).positions
    assert position.stop == 93_800.0
    out = fill(2, NOON + 90_000, steps=-100, held=0, price=93_800.0, leg="w", reason="trailing")
    again = fill(
        3, NOON + 100_000, steps=100, held=100, price=94_100.0, entry=94_100.0, stop=93_100.0
    )
    found = seen(entry, decided(1, held=held), out, again)
    assert [position.stop for position in found.positions] == [93_100.0]
    assert [one.leg for one in found.fills] == ["entry", "moved stop", "entry"]


def test_every_leg_of_an_order_has_a_word() -> None:
    assert set(LEGS) == {*MARKET_LEGS, *CONDITIONAL_LEGS, ""}


def test_fills_after_the_last_decision_change_the_balance_at_once() -> None:
    done = fill(1, NOON, steps=100, held=100, price=94_000.0, entry=94_000.0, fee=5 * 10**8)
    assert seen(decided(1), done).wallet == 9_995.0
    # The next decision says the whole wallet, the fee in it.
    assert seen(decided(1), done, decided(2, 10**12 - 5 * 10**8)).wallet == 9_995.0


def test_a_trade_lasts_from_flat_to_flat_over_all_its_fills() -> None:
    book = Book(STEP)
    fills = [
        fill(1, 1_000, steps=100, held=100, price=100.0, entry=100.0, fee=10**8),
        fill(2, 2_000, steps=300, held=400, price=104.0, entry=103.0, fee=3 * 10**8),
        fill(3, 3_000, steps=-100, held=300, price=105.0, entry=103.0, pnl=2 * 10**8, fee=10**8),
        fill(4, 4_000, steps=-300, held=0, price=101.0, pnl=-6 * 10**8, fee=3 * 10**8,
             reason="stop", leg="s"),
    ]  # fmt: skip
    found = [book.add(one) for one in fills]
    assert found[:3] == [None] * 3
    trade = found[3]
    assert trade is not None
    assert (trade.entry_time, trade.exit_time, trade.side) == (1_000, 4_000, "long")
    assert trade.qty == pytest.approx(0.04)
    assert trade.entry == 103.0
    assert trade.exit == pytest.approx((105.0 + 3 * 101.0) / 4)
    assert (trade.pnl, trade.fees, trade.net) == (-4.0, 8.0, -12.0)
    assert trade.reason == "stop"


def test_funding_is_in_the_trade_that_paid_it_and_in_the_balance() -> None:
    def paid(n: int, units: int, time: int, opened: int) -> Funded:
        return Funded(n=0, symbol="BTCUSDT", number=n, payment=units, time=time, opened=opened)

    opened = NOON + MINUTE
    enter = fill(1, opened, steps=100, held=100, price=94_000.0, entry=94_000.0)
    leave = fill(2, opened + 50, steps=-100, held=0, price=94_000.0, reason="take", leg="t")
    again = fill(3, opened + 60, steps=100, held=100, price=94_000.0, entry=94_000.0)
    found = seen(
        decided(1), enter, paid(1, 3 * 10**8, opened + 10, opened), leave, again,
        paid(2, 10**8, opened + 40, opened), paid(3, -(10**8), opened + 70, opened + 60),
    )  # fmt: skip
    (trade,) = found.trades
    assert (trade.funding, trade.net) == (4.0, -4.0)
    assert found.wallet == 10_000.0 - 3.0
    table = trades_table(found, session()).data
    assert table["funding"].tolist() == [4.0]
    # A decision's wallet has what was paid before it.
    later = seen(enter, paid(1, 3 * 10**8, opened + 10, opened), decided(2, 10**12 - 3 * 10**8))
    assert later.wallet == 9_997.0


def test_a_fill_through_zero_ends_one_trade_and_begins_the_next() -> None:
    book = Book(STEP)
    book.add(fill(1, 1_000, steps=100, held=100, price=100.0, entry=100.0, fee=10**8))
    first = book.add(
        fill(2, 2_000, steps=-300, held=-200, price=110.0, entry=110.0, pnl=10**8, fee=3 * 10**8)
    )
    assert first is not None
    assert (first.side, first.fees, first.pnl, first.exit) == ("long", 2.0, 1.0, 110.0)
    second = book.add(fill(3, 3_000, steps=200, held=0, price=120.0, pnl=-2 * 10**8, fee=10**8))
    assert second is not None
    assert (second.side, second.entry_time, second.entry) == ("short", 2_000, 110.0)
    assert second.fees == 3.0
    assert second.qty == pytest.approx(0.02)


def test_a_fill_is_told_by_the_position_that_it_opens_or_closes() -> None:
    found = seen(
        fill(1, NOON, steps=-100, held=-100, price=94_000.0, entry=94_000.0),
        fill(2, NOON + 1, steps=100, held=0, price=94_100.0, leg="s", reason="stop"),
    ).fills
    assert [(one.leg, one.side, one.opens) for one in found] == [
        ("entry", "short", True),
        ("stop", "short", False),
    ]


def test_the_state_says_what_keeps_entries_out() -> None:
    pause = Asked(n=0, command="pause", by="dashboard", time=NOON)
    resume = msgspec.structs.replace(pause, command="resume")
    halt = Halted(n=0, reason="a foreign fill on BTCUSDT", time=NOON)
    flatten = msgspec.structs.replace(pause, command="flatten")
    for records, state in (
        ([decided(1)], "running"),
        ([decided(1), pause], "paused"),
        ([decided(1), flatten], "paused"),
        ([decided(1), pause, resume], "running"),
        ([decided(1), halt], "halted"),
        ([decided(1), halt, resume], "running"),
        ([decided(1), pause, halt], "halted"),
        ([decided(1, blocked=True)], "blocked"),
        ([decided(1, blocked=True), decided(2)], "running"),
    ):
        found = seen(*records)
        assert (found.state, bool(found.why)) == (state, state != "running")
    assert "a foreign fill on BTCUSDT" in seen(decided(1), halt).why


def test_what_was_asked_too_late_is_told_and_changes_nothing() -> None:
    late = Asked(n=0, command="flatten", by="dashboard", time=NOON, late=True)
    found = seen(decided(1), late)
    assert found.state == "running"
    assert found.why == "flatten by dashboard came too late, nothing was done."
    pause = msgspec.structs.replace(late, command="pause", late=False)
    assert "too late" not in seen(decided(1), late, pause).why


def test_today_is_the_change_since_the_day_began_beside_its_limit() -> None:
    found = seen(decided(1, 98 * 10**10))
    assert found.today == pytest.approx(-0.02)
    assert found.limit == 0.05
    without = view(msgspec.structs.replace(session(), risk={}), [decided(1)], [])
    assert without.limit == 0.0


def test_roles_are_shown_as_they_are_judged() -> None:
    signs = tuple(Sign(role, 1, NOON, "running", "", 2_000) for role in ROLES)
    found = seen(decided(1), signs=signs)
    assert [(one.name, one.age_ms) for one in found.roles] == [(role, 2_000) for role in ROLES]
    ended = tuple(msgspec.structs.replace(one, state="ended") for one in signs)
    assert seen(decided(1), signs=ended).state == "ended"


def test_the_equity_curve_has_every_decision() -> None:
    found = seen(decided(1, equity=10_001.0), decided(2, equity=9_999.0))
    assert found.equity_times == (NOON + MINUTE, NOON + 2 * MINUTE)
    assert found.equities == (10_001.0, 9_999.0)
