"""What goes wrong on purpose goes wrong exactly as written."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from live.simulator.faults import Drop, Fault, Faults, Lose, Refuse, random_faults, read_faults
from strategy.errors import WickError
from tests.live.simulated import MINUTE, START, Caller, hear, served, simulator, until

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
STOP = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "algoType": "CONDITIONAL",
    "triggerPrice": "20000",
    "closePosition": "true",
}


async def orders_known(call: Caller, *ids: str) -> list[bool]:
    found = [
        await call("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=one) for one in ids
    ]
    assert all(one.get("code", -2013) == -2013 for one in found)
    return ["orderId" in one for one in found]


def test_a_lost_answer_leaves_the_order_on_the_exchange() -> None:
    async def run() -> None:
        exchange = simulator(faults=Faults([Lose(number=2)]))
        async with served(exchange) as (_, call):
            private = await call.private()
            await call("POST", "/fapi/v1/order", **ORDER, newClientOrderId="a")
            with pytest.raises(aiohttp.ClientError):
                await call("POST", "/fapi/v1/order", **ORDER, newClientOrderId="b")
            await call("POST", "/fapi/v1/order", **ORDER, newClientOrderId="c")
            assert await orders_known(call, "a", "b", "c") == [True, True, True]
            # Its events come all the same.
            heard = []
            while "c" not in heard:
                event = await hear(private)
                heard += [event["o"]["c"]] if event["e"] == "ORDER_TRADE_UPDATE" else []
            assert "b" in heard

    asyncio.run(run())


def test_a_lost_request_never_was() -> None:
    async def run() -> None:
        exchange = simulator(faults=Faults([Lose(executed=False)]))
        async with served(exchange) as (_, call):
            with pytest.raises(aiohttp.ClientError):
                await call("POST", "/fapi/v1/order", **ORDER, newClientOrderId="a")
            await call("POST", "/fapi/v1/order", **ORDER, newClientOrderId="b")
            assert await orders_known(call, "a", "b") == [False, True]

    asyncio.run(run())


def test_an_order_is_refused_with_the_given_code() -> None:
    async def run() -> None:
        refusal = Refuse(-2019, number=1, message="Margin is insufficient.")
        exchange = simulator(faults=Faults([refusal]))
        async with served(exchange) as (_, call):
            answer = await call("POST", "/fapi/v1/order", **ORDER, newClientOrderId="a")
            assert answer == {"code": -2019, "msg": "Margin is insufficient."}
            assert await orders_known(call, "a") == [False]

    asyncio.run(run())


def test_an_overload_has_its_status() -> None:
    async def run() -> None:
        exchange = simulator(
            faults=Faults([Refuse(-1008, status=503, request="GET /fapi/v1/time")])
        )
        async with served(exchange) as (_, call):
            status, answer, _ = await call.raw("GET", "/fapi/v1/time")
            assert (status, answer["code"]) == (503, -1008)
            status, answer, _ = await call.raw("GET", "/fapi/v1/time")
            assert (status, answer) == (200, {"serverTime": START})

    asyncio.run(run())


def test_only_requests_that_match_are_counted() -> None:
    async def run() -> None:
        faults = Faults(
            [Lose(2, True, "POST /fapi/v1/algoOrder", {"symbol": "BTCUSDT", "side": "SELL"})]
        )
        exchange = simulator(faults=faults)
        async with served(exchange) as (_, call):
            await call("POST", "/fapi/v1/order", **ORDER, newClientOrderId="a")
            await call("POST", "/fapi/v1/algoOrder", **STOP, clientAlgoId="s1")
            await call("POST", "/fapi/v1/algoOrder", **(STOP | {"side": "BUY"}))
            assert faults.done == []
            with pytest.raises(aiohttp.ClientError):
                await call("POST", "/fapi/v1/algoOrder", **STOP, clientAlgoId="s2")
            assert faults.done == list(faults.faults)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("category", "falls"),
    [
        ("private", {"private"}),
        ("market", {"market"}),
        ("all", {"private", "market"}),
    ],
)
def test_a_drop_cuts_its_own_sockets_only(category: str, falls: set[str]) -> None:
    async def run() -> None:
        drop = Drop(START + MINUTE, category)  # type: ignore[arg-type]
        exchange = simulator(faults=Faults([drop]))
        async with served(exchange) as (_, call):
            sockets = {
                "private": await call.private(),
                "market": await call.market("btcusdt@kline_1m"),
                "clock": await call.clock(),
            }
            playing = asyncio.create_task(exchange.run_at(60_000))
            await asyncio.wait_for(playing, 10)
            for name, socket in sockets.items():
                if name in falls:
                    await asyncio.wait_for(_end_of(socket), 5)
            assert not falls & {one.category for one in exchange.hub.of("all")}
            await until(lambda: len(exchange.clock.roles) == 1)

    asyncio.run(run())


async def _end_of(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


def test_each_drop_happens_once_and_at_its_phase() -> None:
    early, late = Drop(100, "private"), Drop(100, "market", "open")
    faults = Faults([early, late, Drop(100, "private")])
    assert faults.drops(99, "close") == []
    assert faults.drops(100, "close") == [early, early]
    assert faults.drops(100, "close") == []
    assert faults.drops(100, "open") == [late]
    assert faults.drops(200, "open") == []


def test_a_drop_between_two_instants_happens_at_the_next() -> None:
    drop = Drop(150, "all", "open")
    assert Faults([drop]).drops(200, "close") == [drop]


def test_equal_seeds_draw_equal_faults() -> None:
    instants = [START + i * MINUTE for i in range(100)]
    drawn = [random_faults(seed, instants, 20).faults for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    kinds = {type(one) for one in drawn[0]}
    assert kinds == {Drop, Lose}


def test_faults_are_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(
        f"""
        [[faults]]
        kind = "drop"
        at = {START}
        sockets = "private"

        [[faults]]
        kind = "lose"
        number = 2
        executed = false
        where = {{ symbol = "BTCUSDT" }}

        [[faults]]
        kind = "refuse"
        code = -2019
        """
    )
    expected: list[Fault] = [
        Drop(START, "private"),
        Lose(2, False, where={"symbol": "BTCUSDT"}),
        Refuse(-2019),
    ]
    assert list(read_faults(path).faults) == expected


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("faults = 3", "array"),
        ('[[faults]]\nkind = "drip"', "drip"),
        ('[[faults]]\nkind = "drop"\nat = 3\nwhen = 1', "when"),
        ("[[faults", "faults.toml"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_of_faults_is_one_sentence(
    tmp_path: Path, content: str | None, word: str
) -> None:
    path = tmp_path / "faults.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WickError, match="is no list of faults") as error:
        read_faults(path)
    assert word in error.value.message
    assert "[[faults]]" in error.value.hint
