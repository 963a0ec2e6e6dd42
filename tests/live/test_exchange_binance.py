"""Answers of the exchange, as it writes them, in the port's words."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from data.symbols import SymbolRules
from live.exchange import parsing
from live.exchange.binance import Binance
from live.exchange.errors import ErrorAnswer, body_of, outcome_of
from live.exchange.events import ListenKeyExpired, private_event
from live.exchange.port import (
    AccountEvent,
    AccountMode,
    AlgoEvent,
    AlgoState,
    Balance,
    FundingFee,
    Holding,
    OrderEvent,
    OrderState,
    Rejected,
    SymbolInfo,
    Trade,
    Unknown,
)
from live.records import ClosedCandle
from tests.live.fake_exchange import NOW, FakeExchange, HandClock, answer

SHARED = Path(__file__).parents[3] / "shared" / "data"
NAUTILUS = SHARED / "raw" / "nautechsystems__nautilus_trader"
BINANCE_NET = SHARED / "raw" / "JKorf__Binance.Net" / "Binance.Net.UnitTests"
MINUTE = 60_000
MISSING = {"code": -2013, "msg": "Order does not exist."}
ORDER = {
    "orderId": 283194212, "symbol": "BTCUSDT", "status": "PARTIALLY_FILLED",
    "clientOrderId": "cw-1", "price": "0", "avgPrice": "60000.00", "origQty": "0.010",
    "executedQty": "0.004", "cumQty": "0.004", "timeInForce": "GTC", "type": "MARKET",
    "reduceOnly": True, "closePosition": False, "side": "SELL", "positionSide": "BOTH",
    "stopPrice": "0.00", "updateTime": 1761868800195, "time": 1761868800000,
}  # fmt: skip
STATE = OrderState(
    symbol="BTCUSDT",
    client_id="cw-1",
    exchange_id=283194212,
    side="SELL",
    status="PARTIALLY_FILLED",
    qty="0.010",
    filled="0.004",
    reduce_only=True,
    time=1761868800195,
)
ALGO = {
    "algoId": 2146760, "clientAlgoId": "cw-s", "algoType": "CONDITIONAL",
    "orderType": "STOP_MARKET", "symbol": "BTCUSDT", "side": "SELL", "positionSide": "BOTH",
    "quantity": "0.000", "algoStatus": "NEW", "triggerPrice": "58000.00", "price": "0.00",
    "icebergQuantity": None, "closePosition": True, "actualOrderId": "", "triggerTime": 0,
}  # fmt: skip
ALGO_STATE = AlgoState(
    symbol="BTCUSDT",
    client_id="cw-s",
    exchange_id=2146760,
    kind="STOP_MARKET",
    side="SELL",
    status="NEW",
    trigger="58000.00",
    qty="0.000",
    close_position=True,
)
Ask = Callable[[Binance], Awaitable[Any]]


def asking(says: dict[str, list[Any]], ask: Ask, clock: HandClock | None = None) -> Any:
    async def run() -> Any:
        async with FakeExchange() as fake:
            for name, answers in says.items():
                fake.says(name, *answers)
            client = fake.client(clock)
            try:
                found = await ask(client)
            finally:
                await client.close()
            return found, fake.requests

    return asyncio.run(run())


def test_an_order_is_found_by_either_id() -> None:
    async def ask(client: Binance) -> Any:
        return [
            await client.order("BTCUSDT", "cw-1"),
            await client.order_of("BTCUSDT", 283194212),
            *await client.open_orders("BTCUSDT"),
        ]

    says = {"GET order": [answer(ORDER)], "GET openOrders": [answer([ORDER])]}
    found, requests = asking(says, ask)
    assert found == [STATE] * 3
    assert requests[0].parameters["origClientOrderId"] == "cw-1"
    assert requests[1].parameters["orderId"] == "283194212"


def test_a_conditional_order_names_its_kind_and_its_child_in_either_spelling() -> None:
    other = {key: value for key, value in ALGO.items() if key != "orderType"}
    other |= {"type": "STOP_MARKET", "algoStatus": "TRIGGERED", "actualOrderId": "974828356187"}

    async def ask(client: Binance) -> Any:
        return await client.algo("cw-s"), await client.algo("cw-s"), await client.open_algos("X")

    says = {
        "GET algoOrder": [answer(ALGO), answer(other)],
        "GET openAlgoOrders": [answer([ALGO])],
    }
    (first, second, waiting), requests = asking(says, ask)
    assert first == ALGO_STATE
    assert waiting == [ALGO_STATE]
    assert (second.kind, second.status, second.child_id) == (
        "STOP_MARKET",
        "TRIGGERED",
        974828356187,
    )
    assert requests[0].parameters["clientAlgoId"] == "cw-s"


def test_an_order_that_does_not_exist_is_none() -> None:
    async def ask(client: Binance) -> Any:
        return [
            await client.order("BTCUSDT", "cw-1"),
            await client.order_of("BTCUSDT", 1),
            await client.algo("cw-s"),
        ]

    says = {name: [answer(MISSING, 400)] for name in ("GET order", "GET algoOrder")}
    assert asking(says, ask)[0] == [None] * 3


def kline(open_time: int, close: str = "60010.00") -> list[Any]:
    return [open_time, "60000.10", "60012.00", "59990.00", close, "12.345",
            open_time + MINUTE - 1, "740000.10", 101, "6.100", "366000.00", "0"]  # fmt: skip


def test_klines_keep_their_text_and_leave_the_unfinished_candle_out() -> None:
    rows = [kline(NOW - MINUTE), kline(NOW)]
    wanted = ClosedCandle(
        "BTCUSDT", NOW - MINUTE, "60000.10", "60012.00", "59990.00", "60010.00", "12.345",
        "740000.10", 101, "6.100",
    )  # fmt: skip

    async def ask(client: Binance) -> Any:
        return await client.klines("BTCUSDT", "1m", NOW - MINUTE, 2)

    # Our clock may be half a second ahead, but not where time stands still or is over.
    exact, over = HandClock(NOW, lockstep=True), HandClock(NOW)
    over.ended = True
    later = NOW + 500
    clocks = [(exact, 1), (over, 1)]
    for now, count in ((NOW, 0), (later - 1, 0), (later, 1), (later + MINUTE - 1, 1)):
        clocks.append((HandClock(now), count))
    for clock, count in [*clocks, (HandClock(later + MINUTE), 2)]:
        found, requests = asking({"GET klines": [answer(rows)]}, ask, clock)
        assert len(found) == count
        assert found[:1] == [wanted][:count]
        assert requests[0].query == f"symbol=BTCUSDT&interval=1m&startTime={NOW - MINUTE}&limit=2"


def test_a_candle_that_closed_while_the_answer_travelled_counts_as_unfinished() -> None:
    clock = HandClock(NOW + 499)

    async def late(request: Any) -> Any:
        clock.now = NOW + 505
        return answer([kline(NOW - MINUTE, close="not final")])

    async def ask(client: Binance) -> Any:
        return await client.klines("BTCUSDT", "1m", NOW - MINUTE)

    assert asking({"GET klines": [late]}, ask, clock)[0] == []


def trade_row(number: int) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "id": number, "orderId": 25851813, "side": "SELL",
        "price": "7819.01", "qty": "0.002", "quoteQty": "15.63802", "realizedPnl": "-0.91539999",
        "commission": "-0.07819010", "commissionAsset": "USDT", "time": 1569514978020,
        "positionSide": "BOTH", "buyer": False, "maker": False,
    }  # fmt: skip


def test_trades_are_read_page_by_page_from_an_id_on() -> None:
    pages = [[trade_row(n) for n in range(5, 1005)], [trade_row(n) for n in range(1005, 1007)]]

    async def ask(client: Binance) -> Any:
        return await client.trades("BTCUSDT", 5)

    found, requests = asking({"GET userTrades": [answer(one) for one in pages]}, ask)
    assert [one.trade_id for one in found] == list(range(5, 1007))
    assert [one.parameters["fromId"] for one in requests] == ["5", "1005"]
    assert {one.parameters["limit"] for one in requests} == {"1000"}
    assert found[0] == Trade(
        symbol="BTCUSDT",
        trade_id=5,
        order_id=25851813,
        client_id="",
        side="SELL",
        price="7819.01",
        qty="0.002",
        fee="0.07819010",
        fee_asset="USDT",
        pnl="-0.91539999",
        time=1569514978020,
    )


def fee_row(number: int, time: int, **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-0.06010000",
        "asset": "USDT", "info": "", "time": time, "tranId": number, "tradeId": "",
    }  # fmt: skip
    return row | changes


def test_funding_is_read_page_by_page_from_a_time_on() -> None:
    # The last row's time begins the next page: of one instant there may be more.
    pages = [
        [fee_row(n, NOW + n // 2) for n in range(1_000)],
        [fee_row(n, NOW + n // 2) for n in range(998, 1_002)],
    ]

    async def ask(client: Binance) -> Any:
        return await client.funding_fees(NOW)

    found, requests = asking({"GET income": [answer(one) for one in pages]}, ask)
    assert [one.number for one in found] == list(range(1_002))
    assert found[0] == FundingFee("BTCUSDT", 0, "-0.06010000", NOW)
    assert [one.parameters["startTime"] for one in requests] == [str(NOW), str(NOW + 499)]
    asked = {(one.parameters["incomeType"], one.parameters["limit"]) for one in requests}
    assert asked == {("FUNDING_FEE", "1000")}


def test_a_page_of_one_instant_only_does_not_come_for_ever() -> None:
    full = [fee_row(n, NOW) for n in range(1_000)]

    async def ask(client: Binance) -> Any:
        return await client.funding_fees(NOW)

    found, requests = asking({"GET income": [answer(full), answer([])]}, ask)
    assert len(found) == 1_000
    assert [one.parameters["startTime"] for one in requests] == [str(NOW), str(NOW + 1)]


def test_only_funding_in_usdt_counts() -> None:
    rows = [
        fee_row(1, NOW, asset="BNB"),
        fee_row(2, NOW, incomeType="COMMISSION"),
        fee_row(3, NOW, tranId="9689322392", income="0.5"),
    ]

    async def ask(client: Binance) -> Any:
        return await client.funding_fees(NOW)

    found, _ = asking({"GET income": [answer(rows)]}, ask)
    assert found == [FundingFee("BTCUSDT", 9689322392, "0.5", NOW)]


def test_the_newest_trades_come_oldest_first() -> None:
    async def ask(client: Binance) -> Any:
        return await client.trades("BTCUSDT")

    rows = [trade_row(3), trade_row(1), trade_row(2)]
    found, requests = asking({"GET userTrades": [answer(rows)]}, ask)
    assert [one.trade_id for one in found] == [1, 2, 3]
    assert requests[0].parameters["limit"] == "1000"
    assert "fromId" not in requests[0].parameters


def test_balance_holdings_and_mode_are_read_where_they_are_told() -> None:
    wallets = [
        {"asset": "BNB", "balance": "1.0", "updateTime": 5},
        {"asset": "USDT", "balance": "1000.12345678", "updateTime": 1761868800000},
    ]
    positions = [
        {"symbol": "BTCUSDT", "positionAmt": "-0.010", "entryPrice": "60000.0"},
        {"symbol": "ETHUSDT", "positionAmt": "0.000", "entryPrice": "0.0"},
    ]
    config = {"canTrade": True, "dualSidePosition": False, "multiAssetsMargin": True}
    says = {
        "GET balance": [answer(wallets), answer(wallets[:1])],
        "GET positionRisk": [answer(positions)],
        "GET accountConfig": [answer(config)],
        "GET feeBurn": [answer({"feeBurn": True})],
    }

    async def ask(client: Binance) -> Any:
        return (
            await client.balance(),
            await client.balance(),
            await client.holdings(),
            await client.account_mode(),
        )

    (full, empty, holdings, mode), requests = asking(says, ask)
    assert full == Balance(100_012_345_678, 1761868800000)
    assert empty == Balance(0, 0)
    assert holdings == [Holding("BTCUSDT", "-0.010", "60000.0")]
    assert mode == AccountMode(can_trade=True, hedge=False, multi_assets=True, fee_in_bnb=True)
    assert [one.version for one in requests] == ["v3", "v3", "v3", "v1", "v1"]


def test_symbols_carry_the_rules_of_market_orders_dated_with_the_day() -> None:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "556.80", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.010", "minQty": "0.010", "maxQty": "120"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
    ]  # fmt: skip
    common = {"quoteAsset": "USDT", "contractType": "PERPETUAL", "orderTypes": ["MARKET"]}
    unset = {"filterType": "MARKET_LOT_SIZE", "stepSize": "0", "minQty": "0.00000000"}
    symbols = [
        common | {"symbol": "BTCUSDT", "status": "TRADING", "filters": filters},
        common | {"symbol": "OLDUSDT", "status": "SETTLING", "filters": [*filters[:2], unset]},
    ]

    async def ask(client: Binance) -> Any:
        return await client.symbols()

    found, _ = asking({"GET exchangeInfo": [answer({"symbols": symbols})]}, ask)
    rules = SymbolRules("um", "BTCUSDT", "0.1", "0.01", "0.01", "120", "100", "2025-05-10")
    assert found["BTCUSDT"] == SymbolInfo(rules, "TRADING", "USDT", "PERPETUAL")
    old = SymbolRules("um", "OLDUSDT", "0.1", "0.001", "0.001", "1000", "0", "2025-05-10")
    assert found["OLDUSDT"].rules == old
    assert found["OLDUSDT"].status == "SETTLING"


def order_text(**changes: Any) -> str:
    fields = {
        "s": "BTCUSDT", "c": "cw-1", "S": "BUY", "o": "MARKET", "f": "GTC", "q": "0.010", "p": "0",
        "x": "TRADE", "X": "FILLED", "i": 283194212, "l": "0.004", "z": "0.010", "L": "59999.90",
        "N": "USDT", "n": "0.04799992", "T": 1761868800195, "t": 4412345, "R": False, "rp": "1.5",
    } | changes  # fmt: skip
    kept = {key: value for key, value in fields.items() if value is not None}
    event = {"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 2, "st": 1, "o": kept}
    return msgspec.json.encode(event).decode()


def test_an_order_event_carries_its_state_and_its_fill() -> None:
    event = private_event(order_text())
    assert event == OrderEvent(
        order=OrderState(
            symbol="BTCUSDT",
            client_id="cw-1",
            exchange_id=283194212,
            side="BUY",
            status="FILLED",
            qty="0.010",
            filled="0.010",
            reduce_only=False,
            time=1761868800195,
        ),
        trade=Trade(
            symbol="BTCUSDT",
            trade_id=4412345,
            order_id=283194212,
            client_id="cw-1",
            side="BUY",
            price="59999.90",
            qty="0.004",
            fee="0.04799992",
            fee_asset="USDT",
            pnl="1.5",
            time=1761868800195,
        ),
        execution="TRADE",
    )


def test_a_fill_without_a_commission_has_none_in_no_asset() -> None:
    event = private_event(order_text(N=None, n=None))
    assert isinstance(event, OrderEvent)
    assert event.trade is not None
    assert (event.trade.fee, event.trade.fee_asset) == ("0", "")


@pytest.mark.parametrize(
    "changes",
    [{"x": "NEW", "X": "NEW", "l": "0", "t": 0}, {"x": "CALCULATED", "X": "NEW", "l": "0.000"}],
)
def test_an_order_event_without_a_fill_has_no_trade(changes: dict[str, Any]) -> None:
    event = private_event(order_text(**changes))
    assert isinstance(event, OrderEvent)
    assert event.trade is None


def test_a_conditional_orders_event_names_child_and_reason() -> None:
    fields = {"caid": "cw-s", "aid": 2148719, "at": "CONDITIONAL", "o": "STOP_MARKET",
              "s": "BTCUSDT", "S": "SELL", "q": "0.000", "X": "TRIGGERED", "ai": "8886774",
              "tp": "58000.00", "cp": True, "rm": "why"}  # fmt: skip
    text = msgspec.json.encode({"e": "ALGO_UPDATE", "T": 1, "E": 2, "o": fields}).decode()
    event = private_event(text)
    assert isinstance(event, AlgoEvent)
    assert event.reason == "why"
    assert (event.algo.client_id, event.algo.exchange_id) == ("cw-s", 2148719)
    assert (event.algo.status, event.algo.child_id) == ("TRIGGERED", 8886774)
    assert event.algo.is_open


def test_an_account_event_brings_the_usdt_wallet_and_what_is_held() -> None:
    text = (
        '{"e":"ACCOUNT_UPDATE","E":9,"T":8,"a":{"m":"FUNDING_FEE","S":"BTCUSDT","B":['
        '{"a":"BNB","wb":"1","cw":"1","bc":"0"},{"a":"USDT","wb":"999.5","cw":"1","bc":"-0.0601"}],'
        '"P":[{"s":"BTCUSDT","pa":"0","ep":"0.0","ps":"BOTH"},'
        '{"s":"BTCUSDT","pa":"0","ep":"0.0","ps":"LONG"}]}}'
    )
    assert private_event(text) == AccountEvent(
        time=8,
        cause="FUNDING_FEE",
        balance=Balance(99_950_000_000, 8),
        holdings=(Holding("BTCUSDT", "0", "0.0"),),
        symbol="BTCUSDT",
        change=-6_010_000,
    )
    bare = private_event('{"e":"ACCOUNT_UPDATE","E":9,"T":8,"a":{"m":"ORDER"}}')
    assert bare == AccountEvent(time=8, cause="ORDER", balance=None, holdings=())


def recorded(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        pytest.skip(f"no recorded payloads in {folder}")
    return found


def events_in(path: Path) -> list[str]:
    raw = path.read_text()
    if raw.startswith(">"):  # what was sent, then what was received
        raw = raw[raw.index("{", raw.index("= ")) :]
    event = msgspec.json.decode(raw)
    event = event.get("data", event)
    return [msgspec.json.encode(event).decode()]


def test_every_recorded_private_event_can_be_read() -> None:
    paths = [
        *recorded(NAUTILUS, "crates/**/user_data_json/*.json"),
        *recorded(NAUTILUS, "tests/**/ws_messages/ws_futures_*_update*.json"),
        *recorded(BINANCE_NET, "Subscriptions/UsdFutures/*Update.txt"),
    ]
    found = {path.name: private_event(text) for path in paths for text in events_in(path)}
    kinds = [type(event).__name__ for event in found.values()]
    assert kinds.count("OrderEvent") >= 10
    assert kinds.count("AlgoEvent") >= 5
    assert kinds.count("AccountEvent") >= 3
    for name, event in found.items():
        if isinstance(event, OrderEvent) and event.execution == "TRADE":
            assert event.trade is not None, name
            assert Decimal(event.trade.qty) > 0, name
        assert not isinstance(event, ListenKeyExpired)


SHAPES: list[tuple[str, str, Any]] = [
    ("Account/GetAccountConfiguration", "accountConfig", parsing.AccountConfig),
    ("Account/GetBnbBurnStatus", "feeBurn", parsing.FeeBurn),
    ("Account/GetBalances", "balance", tuple[parsing.Wallet, ...]),
    ("Trading/GetPositions", "positionRisk", tuple[parsing.Position, ...]),
    ("Trading/GetOrder", "order", parsing.Order),
    ("Trading/GetOpenOrders", "openOrders", tuple[parsing.Order, ...]),
    ("Trading/GetConditionalOrder", "algoOrder", parsing.Algo),
    ("Trading/GetOpenConditionalOrders", "openAlgoOrders", tuple[parsing.Algo, ...]),
    ("Account/GetIncomeHistory", "income", tuple[parsing.Income, ...]),
    ("Trading/GetUserTrades", "userTrades", tuple[parsing.UserTrade, ...]),
    ("ExchangeData/GetKlines", "klines", tuple[parsing.Kline, ...]),
    ("ExchangeData/GetExchangeInfo", "exchangeInfo", parsing.ExchangeInfo),
]


@pytest.mark.parametrize(("file", "path", "shape"), SHAPES)
def test_a_recorded_answer_can_be_read(file: str, path: str, shape: Any) -> None:
    (found,) = recorded(BINANCE_NET, f"Endpoints/UsdFutures/{file}.txt")
    method, asked, _, body = found.read_text().split("\n", 3)
    assert asked.strip().endswith(f"/{path}"), method
    assert msgspec.json.decode(body, type=shape)


def test_nautilus_answers_can_be_read() -> None:
    shapes = {
        "open_algo_orders": tuple[parsing.Algo, ...],
        "position_risk": tuple[parsing.Position, ...],
        "balance": tuple[parsing.Wallet, ...],
        "order_response": parsing.Order,
    }
    for name, shape in shapes.items():
        (path,) = recorded(NAUTILUS, f"crates/**/http_json/{name}.json")
        assert msgspec.json.decode(path.read_bytes(), type=shape)


def test_a_whole_recorded_exchange_info_gives_rules_for_every_symbol() -> None:
    path = SHARED / "raw" / "AlphaDogsResearch__Coinbase-Python" / "futures_exchange_info.json.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    info = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=parsing.ExchangeInfo)
    infos = info.infos("um", NOW)
    assert len(infos) > 200
    bitcoin = infos["BTCUSDT"].rules
    assert (bitcoin.tick_size, bitcoin.step_size, bitcoin.min_notional) == ("0.1", "0.001", "100")
    # One that is yet to be listed has no grid.
    for one in (info for info in infos.values() if info.status == "TRADING"):
        assert Decimal(one.rules.tick_size) > 0, one
        assert Decimal(one.rules.step_size) > 0, one


def test_every_recorded_error_is_classified() -> None:
    path = SHARED / "derived" / "error_bodies.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    seen = 0
    for one in msgspec.json.decode(path.read_bytes()):
        body = one.get("body")
        if isinstance(body, list):
            continue  # of a batch, which is never sent
        raw = msgspec.json.encode(body) if body else one["body_text"].encode()
        code, text = body_of(raw)
        outcome = outcome_of(ErrorAnswer(one["http"] or 400, code, text))
        if body is None:
            assert isinstance(outcome, Unknown)
        else:
            passing = body["code"] in (-1003, -1021)
            assert outcome == Rejected(body["code"], body["msg"], passing)
        seen += 1
    assert seen >= 15
