"""The simulated exchange's core for tests: short ways to play candles and to ask."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from live.simulator.venue import ApiError, Venue
from strategy.fills import Costs
from tests.live.sessions import MINUTE, START, rules

SYMBOL = "BTCUSDT"
COSTS = Costs(0.0005, 0.0001)
FREE = Costs(0.0, 0.0)


class Exchange:
    """A venue that is played minute by minute.

    Attributes
    ----------
    told : list of dict
        Every event so far.
    """

    def __init__(
        self,
        *symbols: str,
        balance: float = 10_000.0,
        costs: Costs = COSTS,
        hold: bool = False,
        **settings: Any,
    ) -> None:
        names = symbols or (SYMBOL,)
        self.venue = Venue(
            [rules(name) for name in names], costs, balance, hold_market_orders=hold, **settings
        )
        self.venue.now = START
        self.told: list[dict[str, Any]] = []

    def open(self, price: float, symbol: str = SYMBOL) -> int:
        """Open a candle and fill what waits for it."""
        self.venue.open_candle(symbol, price)
        return self.venue.fill_held()

    def play(self, prices: str, symbol: str = SYMBOL) -> None:
        """Play a candle, "open high low close", to its end."""
        o, h, l, c = (float(text) for text in prices.split())  # noqa: E741
        opened = self.venue.now
        self.venue.open_candle(symbol, o)
        self.venue.fill_held()
        self.venue.now = opened + MINUTE - 1
        self.venue.play_candle(symbol, opened, o, h, l, c)
        self.venue.now = opened + MINUTE

    def market(
        self, side: str, qty: str, name: str = "", *, reduce: bool = False, **more: str
    ) -> Any:
        """Send a market order."""
        asked = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quantity": qty}
        if name:
            asked["newClientOrderId"] = name
        if reduce:
            asked["reduceOnly"] = "true"
        return self.venue.new_order(asked | more)

    def algo(
        self, kind: str, side: str, trigger: str, qty: str = "", name: str = "", **more: str
    ) -> Any:
        """Send a stop ("stop") or a take ("take"), for the whole position without a quantity."""
        asked = {
            "algoType": "CONDITIONAL",
            "symbol": SYMBOL,
            "side": side,
            "type": {"stop": "STOP_MARKET", "take": "TAKE_PROFIT_MARKET"}[kind],
            "triggerPrice": trigger,
        }
        asked |= {"quantity": qty, "reduceOnly": "true"} if qty else {"closePosition": "true"}
        if name:
            asked["clientAlgoId"] = name
        return self.venue.new_algo(asked | more)

    def algo_status(self, name: str) -> str:
        return str(self.venue.get_algo({"clientAlgoId": name})["algoStatus"])

    def order_status(self, name: str, symbol: str = SYMBOL) -> str:
        found = self.venue.get_order({"symbol": symbol, "origClientOrderId": name})
        return str(found["status"])

    @property
    def wallet(self) -> Decimal:
        """The wallet, as the exchange answers."""
        return Decimal(self.venue.balance({})[0]["balance"])

    def position(self, symbol: str = SYMBOL) -> tuple[str, float]:
        """Return amount and entry price, of a flat symbol ("0", 0.0)."""
        found = self.venue.position_risk({"symbol": symbol})
        if not found or not Decimal(found[0]["positionAmt"]):
            return "0", 0.0
        return found[0]["positionAmt"], float(found[0]["entryPrice"])

    def trades(self, symbol: str = SYMBOL) -> list[dict[str, Any]]:
        return self.venue.user_trades({"symbol": symbol, "fromId": "1", "limit": "1000"})

    def hear(self) -> list[dict[str, Any]]:
        """Take the events out."""
        events = list(self.venue.events)
        self.venue.events.clear()
        self.told += events
        return events


def words(events: Sequence[dict[str, Any]]) -> list[str]:
    """Tell events in short: ORDER NEW, LITE, ORDER TRADE FILLED, ACCOUNT, ALGO NEW …"""
    short = []
    for event in events:
        match event["e"]:
            case "ORDER_TRADE_UPDATE":
                execution, status = event["o"]["x"], event["o"]["X"]
                short.append(f"ORDER {execution}" + (f" {status}" if status != execution else ""))
            case "ALGO_UPDATE":
                short.append(f"ALGO {event['o']['X']}")
            case "TRADE_LITE":
                short.append("LITE")
            case "ACCOUNT_UPDATE":
                short.append("ACCOUNT")
    return short


def refusal(call: Any, *given: Any, **named: Any) -> int:
    """Return the code with which a request is refused."""
    try:
        call(*given, **named)
    except ApiError as error:
        assert error.status == 400
        assert error.msg
        return error.code
    raise AssertionError("it was accepted")
