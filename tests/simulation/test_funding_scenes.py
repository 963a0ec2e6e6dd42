"""What the trader does about funding in single situations that a drawn world seldom comes to."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from live.exchange.port import AccountEvent, Unavailable
from live.journal import read
from live.journal_records import Decided, Funded
from live.trade_log import TradeLog
from strategy.rules import ENTER_LONG
from tests.live.sessions import START
from tests.simulation.scene import FULL, PRICE, SYMBOL, Play, Scene, enter

RATE = Fraction(1, 1_000)
PAID = 833_300_000  # 8.333 × 1000.0 × 0.001


def pay(scene: Scene) -> None:
    scene.account.fund(SYMBOL, RATE, PRICE)


def payments(scene: Scene) -> list[Funded]:
    return [one for one in read(scene.folder) if isinstance(one, Funded)]


def trades(scene: Scene) -> list[tuple[int, int]]:
    """Tell what each trade that is over brought, and what it paid of funding."""
    log: Any = TradeLog(scene.session)
    for one in read(scene.folder):
        log.apply(one)
    assert log.began + log.booked == scene.account.wallet
    return [(trip.net, trip.funding) for trip in log._done]


def assert_at_peace(scene: Scene) -> None:
    assert not scene.trader.ledger.halted
    assert scene.trader.executor.quiet


def test_a_payment_is_in_the_wallet_of_the_next_decision_and_with_its_position(
    play: Play,
) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        before = scene.account.wallet
        await scene.at(70_000)
        pay(scene)
        await scene.at(71_000)
        (one,) = payments(scene)
        assert (one.payment, one.opened > 0, one.time) == (PAID, True, START + 70_000)
        await scene.at(120_020)
        scene.say(2)
        await scene.at(120_500)
        decided = [one for one in read(scene.folder) if isinstance(one, Decided)][-1]
        assert decided.wallet == before - PAID
        assert int(scene.trader.ledger.position(SYMBOL).funding) == PAID
        assert_at_peace(scene)
        assert scene.legs_sent("x") == scene.legs_sent("q") == 0

    play(script)


def test_a_payment_told_twice_is_booked_once(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.at(70_000)
        pay(scene)
        await scene.at(70_100)
        told = AccountEvent(
            START + 70_000, "FUNDING_FEE", scene.account.balance(), (), SYMBOL, -PAID
        )
        for _ in range(3):
            scene.connection.events.put_nowait(told)
        await scene.at(90_000)
        assert [one.payment for one in payments(scene)] == [PAID]
        assert_at_peace(scene)

    play(script)


def test_payments_equal_to_the_unit_are_each_booked(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        for second in (70, 75, 80):
            await scene.at(second * 1_000)
            pay(scene)
        pay(scene)  # a second one of the same instant, as of a dividend
        await scene.at(90_000)
        assert [one.payment for one in payments(scene)] == [PAID] * 4
        assert len({one.number for one in payments(scene)}) == 4
        assert int(scene.trader.ledger.position(SYMBOL).funding) == 4 * PAID

    play(script)


@pytest.mark.parametrize("noticed", [False, True])
def test_a_payment_that_nobody_told_is_found_in_the_history(play: Play, noticed: bool) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        scene.break_stream(noticed=noticed)
        await scene.at(70_000)
        pay(scene)
        await scene.at(80_000)
        scene.mend_stream()
        await scene.at(81_000)
        assert [one.payment for one in payments(scene)] == [PAID]
        assert_at_peace(scene)

    play(script)


def test_a_payment_while_the_trader_is_dead_belongs_to_the_trade_that_its_stop_ended(
    play: Play,
) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.kill()
        await scene.at(70_000)
        pay(scene)
        await scene.at(71_000)
        scene.account.move(SYMBOL, PRICE - 500)
        assert scene.held == 0
        await scene.at(75_000)
        scene.start()
        await scene.at(80_000)
        (one,) = payments(scene)
        assert one.payment == PAID
        ((net, funding),) = trades(scene)
        assert funding == PAID
        (over,) = scene.trader.ledger.books[SYMBOL].closed
        assert (over.first, over.net) == (one.opened, net)
        assert_at_peace(scene)

    play(script)


def test_a_restart_books_no_payment_again(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.at(70_000)
        pay(scene)
        await scene.at(71_000)
        await scene.kill()
        scene.start()
        await scene.at(140_000)  # and a look at everything, once a minute
        assert [one.payment for one in payments(scene)] == [PAID]

    play(script)


def test_an_event_that_names_nobody_is_looked_up(play: Play) -> None:
    async def script(scene: Scene) -> None:
        scene.account.names_payers = False
        await enter(scene)
        await scene.at(70_000)
        pay(scene)
        await scene.at(70_500)
        (one,) = payments(scene)
        assert (one.symbol, one.payment) == (SYMBOL, PAID)

    play(script)


def test_a_history_that_lags_is_asked_again(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        scene.account.lag = lambda: 4_000
        await scene.at(70_000)
        pay(scene)
        await scene.at(73_900)
        assert payments(scene) == []
        await scene.at(78_500)
        assert [one.payment for one in payments(scene)] == [PAID]
        assert_at_peace(scene)

    play(script)


def test_a_history_that_does_not_answer_keeps_nobody_from_trading(play: Play) -> None:
    async def script(scene: Scene) -> None:
        asked = []

        async def silent(since_ms: int) -> Any:
            asked.append(since_ms)
            raise Unavailable("no answer")

        await enter(scene)
        fees = scene.connection.funding_fees
        scene.connection.funding_fees = silent  # type: ignore[method-assign]
        await scene.at(70_000)
        pay(scene)
        scene.account.move(SYMBOL, PRICE - 500)
        await scene.at(72_000)
        assert int(scene.trader.ledger.position(SYMBOL).steps) == 0
        assert 2 < len(asked) < 20
        scene.connection.funding_fees = fees  # type: ignore[method-assign]
        await scene.at(76_000)
        ((_, funding),) = trades(scene)
        assert funding == PAID
        assert_at_peace(scene)

    play(script)


def test_a_start_does_not_wait_for_a_history_that_does_not_answer(play: Play) -> None:
    async def script(scene: Scene) -> None:
        async def silent(since_ms: int) -> Any:
            raise Unavailable("no answer")

        fees = scene.connection.funding_fees
        scene.connection.funding_fees = silent  # type: ignore[method-assign]
        await enter(scene)
        await scene.at(70_000)
        pay(scene)
        scene.connection.funding_fees = fees  # type: ignore[method-assign]
        await scene.at(110_000)
        assert [one.payment for one in payments(scene)] == [PAID]
        assert_at_peace(scene)

    play(script)


def test_a_trade_that_only_its_funding_made_a_loss_rests_however_late_that_is_told(
    play: Callable[..., None],
) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        scene.break_stream()
        ask = scene.connection.funding_fees

        async def nothing_yet(since_ms: int) -> Any:
            return []

        scene.connection.funding_fees = nothing_yet  # type: ignore[method-assign]
        await scene.at(70_000)
        scene.account.fund(SYMBOL, Fraction(3, 10), PRICE)
        scene.account.move(SYMBOL, PRICE + 500)  # its take
        scene.mend_stream()
        await scene.at(71_000)
        position: Any = scene.trader.ledger.position(SYMBOL)
        assert (int(position.steps), int(position.cooldown_until)) == (0, 0)
        assert len(scene.trader.ledger.books[SYMBOL].closed) == 1
        scene.connection.funding_fees = ask  # type: ignore[method-assign]
        scene.connection.events.put_nowait(
            AccountEvent(START + 70_000, "FUNDING_FEE", None, (), SYMBOL)
        )
        await scene.at(72_000)
        ((net, _),) = trades(scene)
        assert net < 0
        assert int(position.cooldown_until) == 1 + 5
        await scene.at(120_020)
        scene.say(2, ENTER_LONG)
        await scene.at(120_500)
        assert scene.held == 0
        assert scene.trader.ledger.refused[SYMBOL, "cooldown"] == 1

    play(script, cooldown=5.0, daily_loss_limit=0.0)


def test_what_funding_gave_can_make_a_loss_none(play: Callable[..., None]) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.kill()
        await scene.at(70_000)
        scene.account.fund(SYMBOL, Fraction(-3, 10), PRICE)
        scene.account.move(SYMBOL, PRICE - 500)
        await scene.at(71_000)
        scene.start()
        await scene.at(72_000)
        ((net, funding),) = trades(scene)
        assert funding < 0 < net
        assert int(scene.trader.ledger.position(SYMBOL).cooldown_until) == 0

    play(script, cooldown=5.0)


def test_funding_counts_towards_the_daily_loss_limit(play: Callable[..., None]) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.at(120_020)
        scene.say(2)
        await scene.at(121_000)
        assert not scene.trader.ledger.account[0].blocked
        scene.account.fund(SYMBOL, Fraction(1, 10), PRICE)
        await scene.at(180_020)
        scene.say(3)
        await scene.at(180_500)
        account: Any = scene.trader.ledger.account[0]
        assert (int(account.blocked), int(account.transfers)) == (1, 0)

    play(script, daily_loss_limit=0.05)


def test_an_instant_stamped_before_the_fill_that_it_charges_is_found_all_the_same(
    play: Play,
) -> None:
    # The exchange takes some seconds over an instant and stamps the full hour.
    async def script(scene: Scene) -> None:
        await enter(scene)
        pay(scene)
        seen = scene.account.fees[-1]
        early = seen.fee.time - 500
        seen.fee = type(seen.fee)(seen.fee.symbol, seen.fee.number, seen.fee.income, early)
        await scene.at(90_000)
        (one,) = payments(scene)
        assert START + 60_000 <= one.time < one.opened
        assert int(scene.trader.ledger.position(SYMBOL).funding) == PAID
        assert_at_peace(scene)

    play(script)


def test_a_fill_is_known_before_the_payment_that_it_owes(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await scene.at(60_020)
        scene.say(1, ENTER_LONG)
        told: list[Any] = []
        scene.account.emit = lambda symbol, event: told.append((symbol, event))
        await scene.at(60_080)
        assert scene.held == FULL
        pay(scene)
        scene.account.emit = scene.server.tell
        # The payment's event overtakes all of the fill's.
        symbol, event = told[-1]
        assert event.cause == "FUNDING_FEE"
        scene.server.tell(symbol, event)
        await scene.at(75_000)
        (one,) = payments(scene)
        assert one.opened == scene.trader.ledger.books[SYMBOL].opened_ms
        assert int(scene.trader.ledger.position(SYMBOL).funding) == PAID

    play(script)
