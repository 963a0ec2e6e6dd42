"""A small market, and a server on loopback that lays it out as the public archive does."""

import hashlib
import io
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from data.manifest import Series
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.timeframes import close_times

JAN_2023 = 1_672_531_200_000
DAY_MS = 86_400_000
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


def binance_csv(candles: Candles, header: bool = False, microseconds: bool = False) -> bytes:
    """Write candles as the exchange's archive writes klines."""
    scale = 1000 if microseconds else 1
    closes = close_times(candles.open_time, candles.timeframe).tolist()
    a = candles.arrays
    lines = [HEADER] if header else []
    for i, t in enumerate(candles.open_time.tolist()):
        lines.append(
            f"{t * scale},{a['open'][i]!s},{a['high'][i]!s},{a['low'][i]!s},{a['close'][i]!s},"
            f"{a['volume'][i]!s},{closes[i] * scale - 1},{a['quote_volume'][i]!s},"
            f"{int(a['trades'][i])},{a['taker_buy'][i]!s},0,0"
        )
    return ("\n".join(lines) + "\n").encode()


def zipped(name: str, text: bytes) -> bytes:
    """Pack one CSV as the archive packs it."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name.replace(".zip", ".csv"), text)
    return sink.getvalue()


def same_candles(a: Candles, b: Candles) -> bool:
    """Compare every value bit for bit."""
    return a.arrays.keys() == b.arrays.keys() and all(
        np.array_equal(a.arrays[n], b.arrays[n]) for n in a.arrays
    )


class ArchiveServer:
    """The archive's layout over HTTP, with faults that a test plants.

    `faults` maps a path's ending to answers given before the right one: a status, "cut" for a
    connection closed half way, "corrupt" for one byte changed, "html" for a page of a provider.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = {}
        self.asked: Counter[str] = Counter()
        self.before: Callable[[str], None] = lambda path: None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._send(200, b"")

            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                owner.asked[path] += 1
                owner.before(path)
                fault = owner.next_fault(path)
                if isinstance(fault, int):
                    self._send(fault, b"no")
                elif fault == "html":
                    self._send(200, b"<html>please log in</html>")
                elif path not in owner.files:
                    self._send(404, b"<Error>NoSuchKey</Error>")
                elif fault == "cut":
                    whole = owner.files[path]
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(whole)))
                    self.end_headers()
                    self.wfile.write(whole[: len(whole) // 2])
                    self.close_connection = True
                else:
                    whole = owner.files[path]
                    if fault == "corrupt":
                        middle = len(whole) // 2
                        whole = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
                    self._send(200, whole)

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Clients that go away are part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def next_fault(self, path: str) -> int | str | None:
        for ending, answers in self.faults.items():
            if path.endswith(ending) and answers:
                return answers.pop(0)
        return None

    def put(self, path: str, content: bytes) -> None:
        """Publish a file and its checksum."""
        name = path.rpartition("/")[2]
        self.files[path] = content
        digest = hashlib.sha256(content).hexdigest()
        self.files[f"{path}.CHECKSUM"] = f"{digest}  {name}\n".encode()

    def publish(self, candles: Candles, periods: list[str], **layout: bool) -> None:
        """Publish candles as monthly (2023-01) and daily (2023-01-31) zips."""
        market = "futures/um" if candles.market == "um" else "spot"
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
                f"data/{market}/{often}/klines/{symbol}/{timeframe}/{name}", zipped(name, text)
            )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def archive_server() -> Iterator[ArchiveServer]:
    """Serve an empty archive on loopback."""
    server = ArchiveServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def hourly() -> Candles:
    """Give January to March 2023 of a seeded market in 1h candles."""
    return synthetic_market(7, 90 * 1440, JAN_2023, "1h", symbol="BTCUSDT")
