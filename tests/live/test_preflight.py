"""What is not right is told before a role is started, and nothing is sent."""

import asyncio
import io
from dataclasses import replace
from typing import Any, cast

import pytest

from live.exchange.port import AccountMode, Exchange, Holding, SymbolInfo, Unavailable
from live.preflight import check_exchange
from live.records import ClosedCandle
from live.roles import Scrubbed
from live.session import Session
from strategy.errors import WickError
from tests.live.sessions import MINUTE, START, make_session, rules

IN_ORDER = AccountMode(can_trade=True, hedge=False, multi_assets=False, fee_in_bnb=False)


class Account:
    """An exchange that answers questions only: whoever sends an order fails."""

    def __init__(self, **answers: Any) -> None:
        self._answers = {
            "server_time": START,
            "account_mode": IN_ORDER,
            "symbols": {
                name: SymbolInfo(rules(name), "TRADING", "USDT", "PERPETUAL")
                for name in ("BTCUSDT", "ETHUSDT")
            },
            "holdings": [],
            "open_orders": [],
            "open_algos": [],
            "klines": [ClosedCandle("BTCUSDT", START, "1", "1", "1", "1", "1")],
        } | answers

    def __getattr__(self, name: str) -> Any:
        answer = self._answers[name]

        async def told(*_: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return told


def checked(session: Session, *, goes_on: bool = False, **answers: Any) -> Session:
    exchange = cast(Exchange, Account(**answers))
    return asyncio.run(check_exchange(session, exchange, goes_on=goes_on))


def test_a_session_without_rules_gets_the_exchanges() -> None:
    session = checked(make_session(on="testnet", rules=()))
    assert session.rules == (rules("BTCUSDT"),)
    own = (rules("BTCUSDT", tick="0.5"),)
    assert checked(make_session(rules=own)).rules == own


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"server_time": Unavailable("no connection")}, "does not answer: no connection"),
        ({"account_mode": replace(IN_ORDER, can_trade=False)}, "may not trade"),
        ({"account_mode": replace(IN_ORDER, hedge=True)}, "hedge mode"),
        ({"account_mode": replace(IN_ORDER, multi_assets=True)}, "multi-assets mode"),
        ({"account_mode": replace(IN_ORDER, fee_in_bnb=True)}, "fees in BNB"),
        ({"symbols": {}}, "does not know the symbol BTCUSDT"),
        (
            {"symbols": {"BTCUSDT": SymbolInfo(rules("BTCUSDT"), "SETTLING", "USDT", "")}},
            "its status is SETTLING",
        ),
        ({"holdings": [Holding("BTCUSDT", "-0.5", "1")]}, "already holds -0.5 BTCUSDT"),
        ({"open_orders": [object()]}, "already has 1 open orders on BTCUSDT"),
        ({"open_algos": [object()]}, "already has 1 open orders on BTCUSDT"),
        ({"klines": []}, "1m candles of BTCUSDT are missing"),
        (
            {"klines": [ClosedCandle("BTCUSDT", START + MINUTE, "1", "1", "1", "1", "1")]},
            "1m candles of BTCUSDT begin at 2025-05-10 00:01",
        ),
    ],
)
def test_each_thing_that_is_not_right_is_one_sentence(
    answers: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(WickError) as refused:
        checked(make_session(on="testnet"), **answers)
    assert sentence in refused.value.message
    assert "\n" not in refused.value.message
    assert refused.value.hint
    assert refused.value.exit_code == 2


def test_a_session_that_goes_on_is_let_in_whatever_has_changed_but_the_key() -> None:
    in_bnb = AccountMode(can_trade=True, hedge=False, multi_assets=False, fee_in_bnb=True)
    session = make_session()
    assert checked(session, goes_on=True, account_mode=in_bnb, symbols={}) == session
    with pytest.raises(WickError, match="wrong key"):
        checked(session, goes_on=True, account_mode=WickError("wrong key", "use another"))


def test_what_a_session_left_on_the_account_is_its_own_when_it_goes_on() -> None:
    held = [Holding("BTCUSDT", "0.5", "1")]
    session = make_session()
    assert checked(session, goes_on=True, holdings=held, open_algos=[object()]) == session


def test_what_the_account_holds_of_other_symbols_is_not_ours() -> None:
    session = make_session()
    assert checked(session, holdings=[Holding("ETHUSDT", "1", "1")]) == session


def test_no_secret_gets_through_however_it_is_cut() -> None:
    stream = io.StringIO()
    scrubbed = Scrubbed(stream, ["c0ffee"])
    for part in ("key=c0f", "fee end\nnext c0ffee\nc0", "ffee"):
        scrubbed.write(part)
    scrubbed.flush()
    assert stream.getvalue() == "key=*** end\nnext ***\n***"
