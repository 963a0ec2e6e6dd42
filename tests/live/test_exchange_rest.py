import asyncio
import hashlib
import hmac
import logging
import re
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from live.exchange import rest
from live.exchange.binance import Binance
from live.exchange.port import Accepted, Exchange, Outcome, Rejected, Unavailable, Unknown
from live.exchange.rest import _Client
from live.session import Addresses
from strategy.errors import RunRefused, WickError
from tests.live.fake_exchange import (
    KEY,
    NOW,
    SECRET,
    FakeExchange,
    HandClock,
    Request,
    answer,
    cut,
)

PLACED = {"orderId": 283194212, "symbol": "BTCUSDT", "status": "NEW", "avgPrice": "0"}
ALGO_PLACED = {"algoId": 2146760, "clientAlgoId": "x", "code": "200", "msg": "success"}
Work = Callable[[FakeExchange, Binance], Awaitable[Any]]


def with_fake(work: Work, clock: HandClock | None = None) -> Any:
    async def run() -> Any:
        async with FakeExchange() as fake:
            client = fake.client(clock)
            try:
                return await work(fake, client)
            finally:
                await client.close()

    return asyncio.run(run())


async def place(client: Binance, client_id: str = "cw-1") -> Outcome:
    return await client.place_market(client_id, "BTCUSDT", "BUY", "0.010", False)


def signed_as_sent(request: Request) -> bool:
    text, _, signature = request.text.rpartition("&signature=")
    return signature == hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def test_a_market_order_is_signed_over_the_very_text_that_is_sent() -> None:
    async def work(fake: FakeExchange, client: Binance) -> Outcome:
        fake.says("POST order", answer(PLACED))
        outcome = await client.place_market("a/b:c d", "BTCUSDT", "SELL", "0.010", True)
        (request,) = fake.asked("POST order")
        assert request.headers["X-MBX-APIKEY"] == KEY
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert not request.query
        assert "newClientOrderId=a%2Fb%3Ac%20d&" in request.body
        assert signed_as_sent(request)
        assert request.parameters == {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "MARKET",
            "quantity": "0.010",
            "newClientOrderId": "a/b:c d",
            "newOrderRespType": "ACK",
            "reduceOnly": "true",
            "recvWindow": "2000",
            "timestamp": str(NOW),
            "signature": request.parameters["signature"],
        }
        return outcome

    assert with_fake(work) == Accepted(283194212)


def signed(secret: str, parameters: dict[str, str], now: int, method: str = "get") -> str:
    async def run() -> str:
        client = _Client("http://127.0.0.1", HandClock(now), KEY, secret)
        try:
            sent = client._get_request_kwargs(method, True, data=parameters)
            return str(sent["params" if method == "get" else "data"])
        finally:
            await client.close_connection()

    return asyncio.run(run())


def test_a_signature_is_the_one_in_the_exchanges_own_example() -> None:
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    text = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
    sent = signed(secret, dict(parse_qsl(text)), 1591702613943)
    assert sent == (
        f"{text}&recvWindow=5000&timestamp=1591702613943&signature="
        "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    )


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1), st.text(), max_size=4), st.sampled_from(["get", "post"])
)
def test_any_text_arrives_as_it_was_and_its_signature_holds(
    parameters: dict[str, str], method: str
) -> None:
    sent = signed(SECRET, parameters, NOW, method)
    assert signed_as_sent(Request("", "", sent, "", {}, ""))
    found = dict(parse_qsl(sent, keep_blank_values=True, strict_parsing=True))
    assert {key: found[key] for key in parameters} == parameters
    assert sent.isascii()


def test_a_key_with_a_line_break_is_named_and_not_shown() -> None:
    async def run() -> None:
        for key, secret, name in ((KEY + "\n", SECRET, "KEY"), (KEY, SECRET + " ", "SECRET")):
            with pytest.raises(WickError, match=f"WICK_API_{name} holds a character") as caught:
                Binance(Addresses("http://127.0.0.1", ""), HandClock(), key, secret)
            assert KEY not in str(caught.value)
            assert SECRET not in str(caught.value)

    asyncio.run(run())


def test_without_a_key_public_questions_are_answered_and_others_say_what_is_missing() -> None:
    async def run() -> None:
        async with FakeExchange() as fake:
            fake.says("GET time", answer({"serverTime": NOW}), answer("<p>no</p>", 502))
            client = Binance(fake.addresses, HandClock(), "", "")
            assert await client.server_time() == NOW
            with pytest.raises(Unavailable, match="<p>no</p>"):
                await client.server_time()
            with pytest.raises(WickError, match="there is no API key"):
                await client.balance()
            await client.close()

    asyncio.run(run())


def test_a_conditional_order_keeps_the_id_it_was_given() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("POST algoOrder", answer(ALGO_PLACED))
        stop = await client.place_algo("cw-s", "BTCUSDT", "SELL", "STOP_MARKET", "58000.1", None)
        take = await client.place_algo(
            "cw-t", "BTCUSDT", "SELL", "TAKE_PROFIT_MARKET", "65000", "0.010"
        )
        assert stop == take == Accepted(2146760)
        whole, part = (one.parameters for one in fake.asked("POST algoOrder"))
        assert (whole["clientAlgoId"], part["clientAlgoId"]) == ("cw-s", "cw-t")
        assert whole["algoType"] == "CONDITIONAL"
        assert (whole["type"], whole["triggerPrice"]) == ("STOP_MARKET", "58000.1")
        assert whole["workingType"] == "CONTRACT_PRICE"
        assert whole["closePosition"] == "true"
        assert not {"quantity", "reduceOnly"} & whole.keys()
        assert (part["quantity"], part["reduceOnly"]) == ("0.010", "true")
        assert "closePosition" not in part

    with_fake(work)


def test_a_signed_read_carries_its_signature_in_the_query() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET openOrders", answer([]))
        assert list(await client.open_orders("币安USDT")) == []
        (request,) = fake.asked("GET openOrders")
        assert request.query.startswith("symbol=%E5%B8%81%E5%AE%89USDT&recvWindow=5000&timestamp=")
        assert signed_as_sent(request)

    with_fake(work)


# Status, code, text, whether the same order may be sent again.
REJECTED = [
    (400, -2019, "Margin is insufficient.", False),
    (400, -2021, "Order would immediately trigger.", False),
    (400, -2022, "ReduceOnly Order is rejected.", False),
    (400, -4164, "Order's notional must be no smaller than 5.", False),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", False),
    (503, -1008, "Request throttled by system-level protection.", True),
    (503, 0, "Service Unavailable.", True),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.", True),
    (400, -5028, "Timestamp for this request is outside of the ME recvWindow.", True),
    (400, -1015, "Too many new orders; current limit is 300.", True),
    (429, -1003, "Too many requests.", True),
    (418, -1003, "Way too many requests; IP banned until 1529256050872.", True),
]
LATER = "Unknown error, please check your request or try again later."
UNKNOWN = [
    answer({"code": -1003, "msg": LATER}, 503),
    answer({"code": 0, "msg": LATER}, 503),
    answer(LATER, 503),
    answer({"code": -1000, "msg": "An unknown error occurred."}, 400),
    answer({"code": -1001, "msg": "Internal error; unable to process your request."}, 503),
    answer({"code": -1006, "msg": "An unexpected response was received."}, 400),
    answer({"code": -1007, "msg": "Timeout waiting for response from backend server."}, 408),
    answer({"code": -1007, "msg": "Timeout waiting for response from backend server."}, 400),
    answer({"code": -4116, "msg": "ClientOrderId is duplicated."}, 400),
    answer({"code": -5041, "msg": "Time out."}, 400),
    answer({"code": -2019, "msg": "Margin is insufficient."}, 500),
    answer("<html><body>503 Service Unavailable.</body></html>", 503),
    answer("<HTML>403 ERROR</HTML>", 403),
    answer("", 502),
    answer("", 200),
    answer("<html>log in to this network</html>", 200),
    answer({"code": -2019, "msg": "in a success"}, 200),
    answer({"something": "else"}, 400),
    cut,
]


@pytest.mark.parametrize(("status", "code", "text", "retry"), REJECTED)
def test_an_order_that_certainly_was_not_executed_is_rejected(
    status: int, code: int, text: str, retry: bool
) -> None:
    async def work(fake: FakeExchange, client: Binance) -> Outcome:
        fake.says("POST order", answer({"code": code, "msg": text}, status))
        return await place(client)

    assert with_fake(work) == Rejected(code, text, retry)


@pytest.mark.parametrize(("status", "text"), [(503, "Service Unavailable."), (429, "<html>")])
def test_a_page_without_json_can_say_for_certain_that_an_order_was_not_executed(
    status: int, text: str
) -> None:
    async def work(fake: FakeExchange, client: Binance) -> Outcome:
        fake.says("POST order", answer(text, status))
        return await place(client)

    outcome = with_fake(work)
    assert isinstance(outcome, Rejected)
    assert outcome.retry


@pytest.mark.parametrize("said", UNKNOWN)
def test_every_unclear_answer_leaves_an_order_unknown_and_is_not_sent_again(said: Any) -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        for name in ("POST order", "POST algoOrder", "POST leverage", "DELETE algoOrder"):
            fake.says(name, said)
        outcomes = [
            await place(client),
            await client.place_algo("s", "BTCUSDT", "SELL", "STOP_MARKET", "1", None),
            await client.set_leverage("BTCUSDT", 5),
            await client.cancel_algo("s"),
        ]
        assert all(isinstance(one, Unknown) for one in outcomes), outcomes
        for name in ("POST order", "POST algoOrder", "POST leverage"):
            assert len(fake.asked(name)) == 1

    with_fake(work)


def test_an_order_is_not_repeated_on_a_connection_that_the_exchange_had_closed() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET time", answer({"serverTime": NOW}))
        fake.says("POST order", cut)
        await client.server_time()  # leaves a connection open for the order
        assert isinstance(await place(client), Unknown)
        assert len(fake.asked("POST order")) == 1

    with_fake(work)


def test_an_order_without_an_answer_in_time_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_WRITE_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    monkeypatch.setattr(rest, "_READ_TIMEOUT", aiohttp.ClientTimeout(total=0.2))

    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(2)
        return answer(PLACED)

    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("POST order", hang)
        fake.says("GET balance", hang)
        assert isinstance(await place(client), Unknown)
        assert len(fake.requests) == 1
        with pytest.raises(Unavailable):
            await client.balance()

    with_fake(work)


def test_a_redirect_is_not_followed_with_an_order() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("POST order", answer("", 307, Location="/fapi/v1/other"))
        fake.says("POST other", answer(PLACED))
        assert isinstance(await place(client), Unknown)
        assert not fake.asked("POST other")

    with_fake(work)


def test_an_order_that_found_no_connection_was_certainly_not_executed() -> None:
    async def run() -> None:
        async with FakeExchange() as fake:
            addresses = fake.addresses
        client = Binance(addresses, HandClock(), KEY, SECRET)
        try:
            outcome = await place(client)
            assert isinstance(outcome, Rejected)
            assert outcome.retry
            with pytest.raises(Unavailable, match="no connection to the exchange"):
                await client.balance()
        finally:
            await client.close()

    asyncio.run(run())


def test_leverage_that_is_too_high_is_rejected_with_its_code() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says(
            "POST leverage",
            answer({"code": -4028, "msg": "Leverage 200 is not valid"}, 400),
            answer({"leverage": 5, "maxNotionalValue": "1000000", "symbol": "BTCUSDT"}),
        )
        assert await client.set_leverage("BTCUSDT", 200) == Rejected(
            -4028, "Leverage 200 is not valid"
        )
        assert await client.set_leverage("BTCUSDT", 5) == Accepted()

    with_fake(work)


@pytest.mark.parametrize("code", [-2011, -2013])
def test_cancelling_an_order_that_is_gone_is_rejected_with_2011(code: int) -> None:
    async def work(fake: FakeExchange, client: Binance) -> Outcome:
        fake.says("DELETE algoOrder", answer({"code": code, "msg": "Unknown order sent."}, 400))
        return await client.cancel_algo("cw-s")

    assert with_fake(work) == Rejected(-2011, "Unknown order sent.")


def test_a_cancelled_conditional_order_is_accepted_under_its_id() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("DELETE algoOrder", answer(ALGO_PLACED))
        assert await client.cancel_algo("cw-s") == Accepted(2146760)
        (request,) = fake.asked("DELETE algoOrder")
        assert request.parameters["clientAlgoId"] == "cw-s"
        assert signed_as_sent(request)

    with_fake(work)


@pytest.mark.parametrize(
    "said",
    [
        answer({"code": -1001, "msg": "Internal error."}, 503),
        answer({"code": -1000, "msg": "Unknown."}, 400),
        answer({"code": -1007, "msg": "Timeout."}, 408),
        answer("<html>", 502),
        answer("<html>", 403),
        answer("<html>", 200),
        answer({"a": 1}, 200),
        cut,
    ],
)
def test_a_read_without_a_usable_answer_may_be_asked_again(said: Any) -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET balance", said)
        with pytest.raises(Unavailable, match="balance"):
            await client.balance()

    with_fake(work)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer({"code": -2014, "msg": "API-key format invalid."}, 401), "refuses the API key"),
        (answer({"code": -2015, "msg": "Invalid API-key."}, 401), "refuses the API key"),
        (answer({"code": -1022, "msg": "Signature is not valid."}, 400), "refuses the API key"),
        (answer({"code": -1121, "msg": "Invalid symbol."}, 400), "does not know the symbol of"),
        (answer("<html>404", 404), "not how the exchange answers"),
    ],
)
def test_a_read_that_cannot_succeed_says_what_to_change(said: Any, words: str) -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET openOrders", said)
        with pytest.raises(WickError, match=words) as caught:
            await client.open_orders("BTCUSD")
        assert caught.value.hint
        assert not isinstance(caught.value, RunRefused)

    with_fake(work)


def test_a_refusal_that_nobody_foresaw_is_told_with_its_code() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET openOrders", answer({"code": -1102, "msg": "Mandatory."}, 400))
        with pytest.raises(RunRefused, match=r"openOrders BTCUSDT: Mandatory. \(-1102\)"):
            await client.open_orders("BTCUSDT")

    with_fake(work)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}),
        (400, {"code": -1022, "msg": "Signature for this request is not valid."}),
        (400, {"code": -1121, "msg": "Invalid symbol."}),
        (400, {"code": -1102, "msg": "Mandatory."}),
        (451, "<HTML>not from here"),
    ],
)
def test_who_must_go_on_bears_every_refusal(status: int, body: Any) -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET openOrders", answer(body, status), answer(body, status))
        with pytest.raises(WickError):
            await client.open_orders("BTCUSDT")
        client.bear_refusals()
        with pytest.raises(Unavailable) as borne:
            await client.open_orders("BTCUSDT")
        assert borne.value.retry_after_ms == 0

    with_fake(work)


def test_a_stop_that_stands_already_is_a_refusal_that_passes() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        said: Any = {"code": -4130, "msg": "An open stop or take profit order is existing."}
        fake.says("POST algoOrder", answer(said, 400))
        outcome = await client.place_algo("a", "BTCUSDT", "SELL", "STOP_MARKET", "90000.0", None)
        assert outcome == Rejected(-4130, said["msg"], retry=True)

    with_fake(work)


@pytest.mark.parametrize(
    ("theirs", "words"), [(NOW - 3000, "3000 ms ahead"), (NOW + 9000, "9000 ms behind")]
)
def test_a_wrong_clock_is_measured_and_named(theirs: int, words: str) -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET balance", answer({"code": -1021, "msg": "Timestamp"}, 400))
        fake.says("GET time", answer({"serverTime": theirs}))
        with pytest.raises(WickError, match=words):
            await client.balance()

    with_fake(work)


def test_a_timestamp_that_aged_on_the_way_is_no_wrong_clock() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET balance", answer({"code": -1021, "msg": "Timestamp"}, 400))
        fake.says("GET time", answer({"serverTime": NOW + 200}))
        with pytest.raises(Unavailable):
            await client.balance()

    with_fake(work)


@pytest.mark.parametrize("status", [429, 418])
def test_too_many_requests_stop_every_request_for_as_long_as_asked(status: int) -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        said = answer({"code": -1003, "msg": "Too many."}, status, Retry_After="30")
        fake.says("GET balance", said)
        fake.says("POST order", answer(PLACED))
        with pytest.raises(Unavailable) as caught:
            await client.balance()
        assert caught.value.retry_after_ms == 30_000
        with pytest.raises(Unavailable) as caught:
            await client.balance()
        assert 29_000 < caught.value.retry_after_ms <= 30_000
        outcome = await place(client)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == (-1003, True)
        assert len(fake.requests) == 1

    with_fake(work)


def test_after_the_pause_that_was_asked_for_requests_go_on() -> None:
    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET time", answer("", 429, Retry_After="1"), answer({"serverTime": NOW}))
        with pytest.raises(Unavailable):
            await client.server_time()
        await asyncio.sleep(1.01)
        assert await client.server_time() == NOW

    with_fake(work)


def test_bulk_reads_leave_a_quarter_of_the_weight_for_orders() -> None:
    clock = HandClock(NOW + 20_000)

    async def work(fake: FakeExchange, client: Binance) -> None:
        fake.says("GET klines", answer([], X_MBX_USED_WEIGHT_1M="1801"))
        fake.says("GET openOrders", answer([], X_MBX_USED_WEIGHT_1M="1802"))
        await client.klines("BTCUSDT", "1m", NOW)
        await client.open_orders("BTCUSDT")
        with pytest.raises(Unavailable) as caught:
            await client.klines("BTCUSDT", "1m", NOW)
        assert caught.value.retry_after_ms == 40_000
        clock.set(NOW + 60_000)
        await client.klines("BTCUSDT", "1m", NOW)
        clock.lockstep = True
        await client.klines("BTCUSDT", "1m", NOW)

    with_fake(work, clock)


def test_key_and_secret_are_in_no_text_that_leaves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []

    async def echo(request: web.Request) -> web.Response:
        told = f"<html>{request.headers['X-MBX-APIKEY']} may not {request.raw_path}</html>"
        return web.Response(text=told, status=403, content_type="text/html")

    async def ask(client: Binance) -> None:
        for one in (client.balance, client.server_time, client.symbols):
            try:
                await one()
            except (Unavailable, WickError) as error:
                texts.append("".join(traceback.format_exception(error)))
        texts.append(repr(await place(client)))
        texts.append(repr(vars(client)))
        texts.append(repr(client))

    async def work(fake: FakeExchange, client: Binance) -> None:
        for said in (echo, cut, answer("<html>", 200)):
            for name in ("GET balance", "GET time", "GET exchangeInfo", "POST order"):
                fake.says(name, said)
            await ask(client)
        fake.says("POST listenKey", answer({"code": -2015, "msg": "Invalid."}, 401))
        with pytest.raises(WickError) as caught:
            await anext(client.private_events())
        texts.append("".join(traceback.format_exception(caught.value)))

    with_fake(work)

    async def unreachable() -> None:
        client = Binance(
            Addresses("http://127.0.0.1:1", "ws://127.0.0.1:1"), HandClock(), KEY, SECRET
        )
        await ask(client)
        await client.close()

    asyncio.run(unreachable())
    everything = "\n".join([*texts, caplog.text])
    assert len(everything) > 1000
    assert KEY not in everything
    assert SECRET not in everything
    assert not re.search(r"signature=\w", everything)


def test_binance_is_an_exchange() -> None:
    def as_port(client: Binance) -> Exchange:
        return client  # the type checker holds the two together

    assert as_port.__annotations__["return"] is Exchange
