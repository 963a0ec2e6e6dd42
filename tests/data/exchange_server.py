"""A server on loopback that answers exchangeInfo, with faults that a test plants."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATHS = {"/fapi/v1/exchangeInfo": "um", "/api/v3/exchangeInfo": "spot"}


def symbol(name: str, step: str = "0.001", **more: Any) -> dict[str, Any]:
    """Describe a symbol of futures as the exchange does, filters in no fixed order."""
    return {
        "symbol": name,
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "quoteAsset": "USDT",
        "onboardDate": 1569398400000,
        "deliveryDate": 4133404800000,
        "liquidationFee": "0.012500",
        "triggerProtect": "0.0500",
        "filters": [
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {"stepSize": step, "filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "120", "stepSize": step},
            {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0", "tickSize": "0.10"},
        ],
    } | more


def spot_symbol(name: str) -> dict[str, Any]:
    """Describe a symbol of spot: no contract, and zeros in the market orders' filter."""
    zero = "0.00000000"
    return {
        "symbol": name,
        "status": "TRADING",
        "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00010000",
                "maxQty": "9000",
                "stepSize": "0.00010000",
            },
            {"filterType": "MARKET_LOT_SIZE", "minQty": zero, "maxQty": "117.5", "stepSize": zero},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
        ],
    }


class ExchangeServer:
    """Answers for both markets.

    Attributes
    ----------
    symbols : dict
        What each market lists.
    faults : list
        Given one after the other before right answers: a status, or a pair of status and headers,
        "html", "cut" for a connection that ends half way, "torn" for half of the JSON, "list" for
        JSON of another kind, "slow" for silence.
    asked : int
        Questions so far.
    """

    def __init__(self) -> None:
        self.symbols: dict[str, list[dict[str, Any]]] = {"um": [], "spot": []}
        self.faults: list[Any] = []
        self.asked = 0
        self.over = threading.Event()
        self.url = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes, int]:
        """Return status, headers, body, and how much of it is sent."""
        self.asked += 1
        market = PATHS[path]
        whole = json.dumps(
            # The exchange keeps its answer for long: serverTime may be days old.
            {"timezone": "UTC", "serverTime": 1569398400001, "symbols": self.symbols[market]}
        ).encode()
        fault = self.faults.pop(0) if self.faults else None
        status, headers = fault if isinstance(fault, tuple) else (fault, {})
        if isinstance(status, int):
            body = b'{"code":-1003,"msg":"Way too many requests."}' if status < 500 else b"[]"
            return status, headers, body, len(body)
        if fault == "slow":
            self.over.wait(5)
        bodies = {
            "html": b"<html>please log in</html>",
            "torn": whole[: len(whole) // 2],
            "list": b'[{"symbol": 1}]',
        }
        body = bodies.get(str(fault), whole)
        return 200, {}, body, len(body) // 2 if fault == "cut" else len(body)


@contextmanager
def serving() -> Iterator[ExchangeServer]:
    """Serve for as long as the `with` lasts."""
    exchange = ExchangeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body, sent = exchange.answer(self.path)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:sent])

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that go away are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    exchange.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield exchange
    finally:
        exchange.over.set()
        server.shutdown()
        server.server_close()
