"""What the trader does in single situations that a drawn world seldom comes to."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import RedisError

from live.exchange.port import AccountMode, Rejected, Unavailable, Unknown
from live.journal import read
from live.journal_records import Halted
from strategy.rules import ENTER_LONG
from tests.simulation.account import Order
from tests.simulation.scene import FULL, SYMBOL, Play, Scene, enter
from tests.simulation.virtual_time import now_ms


def lose_answer(scene: Scene, leg: str) -> None:
    """Let the answer to the first attempt of a leg get lost at once; it was executed."""
    lost: list[str] = []

    def instead(name: str, call: Callable[[], Any], content: tuple[Any, ...]) -> Any:
        if content and str(content[0]).endswith(f"-{leg}1") and name != "cancel" and not lost:
            lost.append(content[0])
            call()
            return Unknown("connection reset")
        return None

    scene.answer_instead(instead)


def test_a_stop_whose_answer_was_lost_is_known_from_the_stream(play: Play) -> None:
    async def script(scene: Scene) -> None:
        scene.account.lag = lambda: 8_000
        lose_answer(scene, "s")
        await enter(scene)
        await scene.at(80_000)
        assert (scene.held, scene.legs_sent("s"), scene.legs_sent("q")) == (FULL, 1, 0)

    play(script)


def test_a_stop_that_stands_unseen_does_not_cost_the_position(play: Play) -> None:
    # The exchange refuses a second one, and shows the first only seconds later.
    async def script(scene: Scene) -> None:
        scene.account.lag = lambda: 8_000
        lose_answer(scene, "s")
        await scene.at(60_020)
        scene.say(1, ENTER_LONG)
        await scene.at(60_023)
        scene.break_stream(noticed=False)
        await scene.at(62_000)
        assert scene.standing == ["p1"]  # its fill cannot be seen yet
        await scene.at(90_000)
        assert (scene.held, scene.standing) == (FULL, ["s1", "t1"])
        assert scene.legs_sent("s") > 1
        assert scene.legs_sent("q") == 0

    play(script)


@pytest.mark.parametrize("lag_ms", [3_900, 4_200, 6_000, 9_000])
def test_an_entry_is_not_sent_twice_however_late_it_is_shown(play: Play, lag_ms: int) -> None:
    async def script(scene: Scene) -> None:
        await scene.at(50_000)
        scene.break_stream(noticed=False)
        scene.account.lag = lambda: lag_ms if now_ms() % 60_000 < 1_000 else 0
        lose_answer(scene, "e")
        await scene.at(60_020)
        scene.say(1, ENTER_LONG)
        await scene.at(60_500)
        assert scene.standing == ["p1"]
        await scene.at(90_000)
        assert (scene.held, scene.legs_sent("e")) == (FULL, 1)
        assert scene.standing == ["s1", "t1"]

    play(script)


def test_a_position_that_is_there_keeps_the_entry_from_being_sent_again(play: Play) -> None:
    # Everything else says for minutes that the order never was.
    async def script(scene: Scene) -> None:
        await scene.at(50_000)
        scene.break_stream(noticed=False)
        lose_answer(scene, "e")
        scene.account.lag = lambda: 10**9
        await scene.at(60_020)
        scene.say(1, ENTER_LONG)
        await scene.at(85_000)
        assert (scene.held, scene.legs_sent("e")) == (FULL, 1)
        assert "p1" in [str(one[1]).rsplit("-", 1)[1] for one in scene.sent]

    play(script)


def test_an_entry_whose_request_hangs_is_covered_before_it_is_asked_for(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await scene.at(50_000)
        scene.break_stream(noticed=False)

        async def hang(call: Callable[[], Any]) -> Any:
            call()
            await asyncio.sleep(3.0)
            return Unknown("no answer")

        def instead(name: str, call: Callable[[], Any], content: tuple[Any, ...]) -> Any:
            return hang(call) if name == "market" else None

        scene.answer_instead(instead)

        async def silent(call: Any) -> Any:
            await asyncio.sleep(3.0)
            raise Unavailable("no answer")

        await scene.at(59_000)
        scene.connection._ask = silent  # type: ignore[method-assign]
        await scene.at(60_000)
        scene.say(1, ENTER_LONG)
        await scene.at(64_500)
        assert (scene.held, scene.standing) == (FULL, ["p1"])

    play(script)


def test_a_stop_that_went_off_in_part_while_the_stream_is_down_is_found(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        scene.break_stream()
        await scene.at(80_000)
        scene.account.prices[SYMBOL] = 9_870
        scene.trigger_partly(3_000)
        await scene.at(86_000)
        assert scene.held == 0
        await scene.at(90_000)
        assert scene.standing == []
        assert not scene.trader.ledger.halted

    play(script)


def test_a_stop_that_went_off_in_part_while_the_stream_is_silent_is_found(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.at(72_000)
        scene.break_stream(noticed=False)
        scene.account.prices[SYMBOL] = 9_870
        scene.trigger_partly(3_000)
        await scene.at(79_000)
        assert scene.held == 0

    play(script)


def test_a_trader_that_begins_without_its_stream_looks_after_what_is_held(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.kill()
        scene.account.prices[SYMBOL] = 9_870
        scene.trigger_partly(3_000)
        scene.start()
        scene.server.faults = scene.server.faults.__class__(streams=(_for_ever(),))
        await scene.at(72_000)
        assert scene.held == 0

    play(script)


def test_nothing_is_decided_before_the_fills_of_the_candle_are_known(play: Play) -> None:
    # The stop fills inside the second candle; its close asks for another entry.
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.at(118_000)
        scene.break_stream()
        scene.account.move(SYMBOL, 9_870)
        assert scene.held == 0
        await scene.at(120_010)
        scene.say(2, ENTER_LONG)
        await scene.at(121_000)
        assert scene.trader.ledger.decided < now_ms() - 60_000
        scene.mend_stream()
        await scene.at(123_000)
        assert scene.held > 0
        assert scene.legs_sent("e") == 2

    play(script)


def test_a_stop_that_somebody_cancels_is_placed_again(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await enter(scene)
        await scene.at(80_000)
        scene.account.cancel_algo(scene.account.algos[SYMBOL][0].client_id)
        await scene.at(80_500)
        assert (scene.held, scene.standing) == (FULL, ["s2", "t1"])

    play(script)


def test_a_fill_in_many_parts_takes_one_question_to_know(play: Play) -> None:
    async def script(scene: Scene) -> None:
        def in_parts(order: Order | None) -> None:
            while order is not None and order.filled < order.steps:
                scene.account.fill(order, order.steps // 80)

        scene.server.execute = in_parts  # type: ignore[method-assign]
        await scene.at(50_000)
        scene.break_stream(noticed=False)
        await scene.at(60_020)
        before = scene.reads
        scene.say(1, ENTER_LONG)
        await scene.at(62_500)
        assert len(scene.account.trades[SYMBOL]) > 80
        assert scene.standing == ["s1", "t1"]
        assert scene.reads - before < 12

    play(script)


def test_a_redis_that_hangs_holds_nothing_up(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await scene.at(50_000)

        async def hang(health: Any) -> None:
            await asyncio.sleep(10)
            raise RedisError("hangs")

        scene.trader._bus.set_health = hang  # type: ignore[method-assign]
        await scene.at(58_000)
        scene.break_stream(noticed=False)
        await scene.at(60_020)
        scene.say(1, ENTER_LONG)
        await scene.at(62_500)
        assert scene.standing == ["s1", "t1"]

    play(script)


def test_what_would_refuse_a_start_only_halts_who_may_hold_something(play: Play) -> None:
    async def script(scene: Scene) -> None:
        async def dies(name: str, call: Any, *content: Any) -> Any:
            if name == "algo":
                await asyncio.get_running_loop().create_future()
            return await tell(name, call, *content)

        tell = scene.connection._tell
        scene.connection._tell = dies  # type: ignore[method-assign]
        await scene.at(60_020)
        scene.say(1, ENTER_LONG)
        await scene.at(60_500)
        assert (scene.held, scene.standing) == (FULL, [])
        await scene.kill()
        scene.start()

        async def pays_in_bnb() -> AccountMode:
            return AccountMode(True, False, False, True)

        scene.connection.account_mode = pays_in_bnb  # type: ignore[method-assign]
        await scene.at(63_500)  # the first stop's fate is asked for before the second leaves
        assert scene.standing == ["s2", "t1"]
        await scene.at(70_000)
        assert "BNB" in scene.trader.ledger.halted
        assert [one for one in read(scene.folder) if isinstance(one, Halted)]

    play(script)


def test_who_is_not_answered_asks_less_and_less_often(play: Play) -> None:
    async def script(scene: Scene) -> None:
        await scene.at(50_000)
        scene.break_stream(noticed=False)
        lose_answer(scene, "e")
        asked = 0

        async def refused(call: Any) -> Any:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.005)
            raise Unavailable("status 503")

        await scene.at(60_000)
        scene.connection._ask = refused  # type: ignore[method-assign]
        scene.say(1, ENTER_LONG)
        await scene.at(120_000)
        assert 10 < asked < 120

    play(script)


def test_fills_from_before_the_session_are_not_its_own(play: Play) -> None:
    # Asked for from the first on, the exchange shows what its answer at the start was too old for.
    async def script(scene: Scene) -> None:
        account = scene.account
        _, order = account.place("web", SYMBOL, 1, 5, False)
        assert order is not None
        account.fill(order, 5)
        _, order = account.place("web", SYMBOL, -1, 5, True)
        assert order is not None
        account.fill(order, 5)
        old = account.trades[SYMBOL]
        for i, one in enumerate(old):
            fields = {name: getattr(one.trade, name) for name in one.trade.__slots__}
            old[i].trade = type(one.trade)(**(fields | {"time": now_ms() - 9 * 86_400_000}))
        shown = account.trades_from
        week = 7 * 86_400_000

        def trades_from(symbol: str, first: int | None) -> Any:
            there = shown(symbol, first)
            return there if first is not None else [t for t in there if t.time > now_ms() - week]

        account.trades_from = trades_from  # type: ignore[method-assign]
        await enter(scene)
        assert not scene.trader.ledger.halted

    play(script)


def test_a_refusal_that_passes_leaves_the_stop_to_the_next_attempt(play: Play) -> None:
    async def script(scene: Scene) -> None:
        refused: list[str] = []

        def instead(name: str, call: Callable[[], Any], content: tuple[Any, ...]) -> Any:
            if name == "algo" and len(refused) < 3:
                refused.append(content[0])
                return Rejected(-1021, "Timestamp ahead of the server's time.", True)
            return None

        scene.answer_instead(instead)
        await scene.at(60_020)
        scene.say(1, ENTER_LONG)
        await scene.at(64_500)
        assert (scene.held, scene.standing) == (FULL, ["s4", "t1"])

    play(script)


def _for_ever() -> Any:
    from tests.simulation.faults import Outage

    return Outage(0, 10**9)
