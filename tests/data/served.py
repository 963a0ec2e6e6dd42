"""A server on loopback: the public archive's layout and the exchange's REST, with faults."""

import hashlib
import io
import json
import random
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

from data.manifest import Series
from strategy.candles import Candles
from strategy.timeframes import close_times

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
HOUR_MS = 3_600_000
Fault = int | str
# What a passing fault can be; "torn" is half of a body that says it is whole.
FAULTS: tuple[Fault, ...] = ("slow", 404, 429, 503, "cut", "corrupt", "html", "torn")
_REST = {"fapi/v1/": "um", "api/v3/": "spot"}


def binance_csv(
    candles: Candles, header: bool = False, microseconds: bool = False, mark: bool = False
) -> bytes:
    """Write candles as the exchange's archive writes klines."""
    scale = 1000 if microseconds else 1
    lines = [HEADER] if header else []
    for row in kline_rows(candles, mark):
        row[0], row[6] = row[0] * scale, row[6] * scale
        lines.append(",".join(map(str, row)))
    return ("\n".join(lines) + "\n").encode()


def kline_rows(candles: Candles, mark: bool = False) -> list[list[Any]]:
    """Write candles as rows of twelve cells, prices as text; a mark price has no volumes."""
    closes = close_times(candles.open_time, candles.timeframe).tolist()
    a = candles.arrays
    rows = []
    for i, t in enumerate(candles.open_time.tolist()):
        prices = [str(a[name][i]) for name in ("open", "high", "low", "close")]
        volumes = [str(a["volume"][i]), str(a["quote_volume"][i]), str(a["taker_buy"][i])]
        volume, quote, bought = ["0", "0", "0"] if mark else volumes
        trades = int(a["trades"][i])
        rows.append([t, *prices, volume, closes[i] - 1, quote, trades, bought, "0", "0"])
    return rows


def zipped(name: str, text: bytes) -> bytes:
    """Pack one CSV as the archive packs it."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name.replace(".zip", ".csv"), text)
    return sink.getvalue()


class _Refused(Exception):
    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


class ArchiveServer:
    """The archive's layout and the exchange's REST over HTTP, with faults that a test plants.

    Attributes
    ----------
    files : dict
        Content by path, of the archive.
    faults : dict
        By a path's ending, answers given before the right one: a status, "cut" for a connection
        closed half way, "corrupt" for one byte changed, "html" for a page of a provider, "torn" for
        half of a body, "slow" for a right answer that takes its time.
    dice, fault_share : random.Random or None, float
        Faults drawn for every question, and for how many of them.
    asked : Counter
        Questions by path; of REST without what stands behind the question mark.
    queries : list
        Path and parameters of each question to REST.
    now_ms : int
        The exchange's clock.
    klines, marks : dict
        Candles by market, symbol, timeframe, and by symbol, timeframe.
    fundings, trades : dict
        Rows as REST gives them, by symbol, and by market and symbol.
    infos : dict
        Rows of exchangeInfo's symbols by market.
    headers : dict
        Sent with every answer of REST.
    bodies : dict
        By a path's ending, what REST answers whatever was asked.
    refusals : dict
        By a path's ending, status and body of the answer.
    """

    def __init__(self, port: int = 0) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.dice: random.Random | None = None
        self.fault_share = 0.25
        self.asked: Counter[str] = Counter()
        self.queries: list[tuple[str, dict[str, str]]] = []
        self.before: Callable[[str], None] = lambda path: None
        self.now_ms = 0
        self.klines: dict[tuple[str, str, str], Candles] = {}
        self.marks: dict[tuple[str, str], Candles] = {}
        self.fundings: dict[str, list[dict[str, Any]]] = {}
        self.trades: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.infos: dict[str, list[dict[str, Any]]] = {}
        self.headers: dict[str, str] = {}
        self.bodies: dict[str, bytes] = {}
        self.refusals: dict[str, tuple[int, bytes]] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def next_fault(self, path: str) -> Fault | None:
        """Return what goes wrong with this answer, None for nothing."""
        with self._lock:
            for ending, answers in self.faults.items():
                if path.endswith(ending) and answers:
                    return answers.pop(0)
            if self.dice is not None and self.dice.random() < self.fault_share:
                return self.dice.choice(FAULTS)
        return None

    def answer(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body of the right answer."""
        for begin, market in _REST.items():
            if path.startswith(begin):
                self.queries.append((path, parameters))
                return self._rest(path, market, path.removeprefix(begin), parameters)
        if path not in self.files:
            return 404, b"<Error>NoSuchKey</Error>"
        return 200, self.files[path]

    def _rest(
        self, path: str, market: str, method: str, parameters: dict[str, str]
    ) -> tuple[int, bytes]:
        for ending, body in self.bodies.items():
            if path.endswith(ending):
                return 200, body
        for ending, refusal in self.refusals.items():
            if path.endswith(ending):
                return refusal
        try:
            return 200, json.dumps(self._rows(market, method, parameters)).encode()
        except _Refused as refused:
            text = json.dumps({"code": refused.code, "msg": refused.text})
            return refused.status, text.encode()

    def _rows(self, market: str, method: str, given: Mapping[str, str]) -> Any:
        symbol = given.get("symbol", "")
        limit = int(given.get("limit", 500))
        start, end = int(given.get("startTime", 0)), int(given.get("endTime", 2**62))
        if method == "time":
            return {"serverTime": self.now_ms}
        if method == "exchangeInfo" and market in self.infos:
            return {"serverTime": self.now_ms, "symbols": self.infos[market]}
        if method in ("klines", "markPriceKlines"):
            return self._candles(market, method, symbol, given["interval"], start, end)[:limit]
        if method == "fundingRate" and market == "um":
            rows = _listed(self.fundings, symbol)
            times = [row["fundingTime"] for row in rows]
            newest = self.now_ms
        elif method == "aggTrades":
            rows = _listed(self.trades, (market, symbol))
            times, newest = [row["T"] for row in rows], self.now_ms
            if market == "um":
                start = max(start, self.now_ms - 48 * HOUR_MS)
            if "fromId" in given:
                rows = [row for row in rows if row["a"] >= int(given["fromId"])]
                return [row for row in rows if start <= row["T"] <= newest][:limit]
            if end - start >= HOUR_MS and "endTime" in given:
                raise _Refused(400, -4188, "Start time to end time must be within 1 hour.")
        else:
            raise _Refused(404, -5000, "Path does not exist.")
        inside = zip(rows, times, strict=True)
        return [row for row, at in inside if start <= at <= min(end, newest)][:limit]

    def _candles(
        self, market: str, method: str, symbol: str, timeframe: str, start: int, end: int
    ) -> list[list[Any]]:
        mark = method == "markPriceKlines"
        if mark:
            candles = _listed(self.marks, (symbol, timeframe))
        else:
            candles = _listed(self.klines, (market, symbol, timeframe))
        end = min(end, self.now_ms)
        low = int(np.searchsorted(candles.open_time, start))
        high = int(np.searchsorted(candles.open_time, end, "right"))
        rows = kline_rows(candles.slice(low, min(high, low + 1500)), mark)
        if rows and rows[-1][6] >= self.now_ms:
            # Unfinished: the high and close of its end are not known yet.
            rows[-1][2] = rows[-1][4] = rows[-1][3] = rows[-1][1]
            rows[-1][8] = 1
        return rows

    def put(self, path: str, content: bytes) -> None:
        """Publish a file and its checksum."""
        name = path.rpartition("/")[2]
        self.files[path] = content
        digest = hashlib.sha256(content).hexdigest()
        self.files[f"{path}.CHECKSUM"] = f"{digest}  {name}\n".encode()

    def publish(self, candles: Candles, periods: list[str], **layout: bool) -> None:
        """Publish candles as monthly (2023-01) and daily (2023-01-31) zips."""
        market = "futures/um" if candles.market == "um" else "spot"
        kind = "markPriceKlines" if layout.get("mark") else "klines"
        for period in periods:
            often = "monthly" if len(period) == 7 else "daily"
            start = np.datetime64(period)
            end = start + np.timedelta64(1, "M" if often == "monthly" else "D")
            low, high = np.searchsorted(
                candles.open_time,
                [m.astype("datetime64[ms]").astype(np.int64) for m in (start, end)],
            )
            symbol = candles.symbol
            timeframe = Series(candles.market, symbol, candles.timeframe).file_timeframe
            name = f"{symbol}-{timeframe}-{period}.zip"
            text = binance_csv(candles.slice(int(low), int(high)), **layout)
            self.put(
                f"data/{market}/{often}/{kind}/{symbol}/{timeframe}/{name}", zipped(name, text)
            )

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""


def _listed(by_symbol: Mapping[Any, Any], key: Any) -> Any:
    if key not in by_symbol:
        raise _Refused(400, -1121, "Invalid symbol.")
    return by_symbol[key]


def _handler_of(owner: ArchiveServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._send(200, b"")

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            path = unquote(asked.path).lstrip("/")
            owner.asked[path] += 1
            owner.before(path)
            fault = owner.next_fault(path)
            if isinstance(fault, int):
                self._send(fault, b"no")
                return
            if fault == "html":
                self._send(200, b"<html>please log in</html>")
                return
            if fault == "slow":
                time.sleep(0.05)
            status, body = owner.answer(path, dict(parse_qsl(asked.query)))
            # Without a checksum a changed digit cannot be told; so of REST half a body is missing.
            if fault == "torn" or (fault == "corrupt" and body[:1] in b"[{"):
                body = body[: len(body) // 2]
            elif fault == "corrupt":
                middle = len(body) // 2
                body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
            self._send(status, body, len(body) // 2 if fault == "cut" else None)

        def _send(self, status: int, body: bytes, cut: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in owner.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:cut])
            if cut is not None:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    return Handler
