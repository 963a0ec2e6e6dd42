"""The simulator for tests: on a free port, over a made-up market, and a small client for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from data.symbols import SymbolRules
from data.synthetic import synthetic_market
from live.session import Addresses
from live.simulator.faults import Faults
from live.simulator.server import Simulator
from live.simulator.signing import signature
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.funding import Funding

KEY, SECRET = "k" * 64, "s" * 64
MINUTE = 60_000
START = 1_746_057_600_000  # 2025-05-01 00:00 UTC
HISTORY = 30  # candles before the first one that is played


def rules(symbol: str) -> SymbolRules:
    return SymbolRules("um", symbol, "0.1", "0.001", "0.001", "1000", "5", "2025-05-01")


def market(symbol: str = "BTCUSDT", minutes: int = 10, seed: int = 7) -> Candles:
    first = START - HISTORY * MINUTE
    return synthetic_market(seed, HISTORY + minutes, first, "1m", symbol)


def without(candles: Candles, *places: int) -> Candles:
    """Leave out candles, counted from START."""
    keep = [i for i in range(len(candles.open_time)) if i - HISTORY not in places]
    arrays = {name: values[keep] for name, values in candles.arrays.items()}
    return Candles.from_arrays(symbol=candles.symbol, market="um", timeframe="1m", **arrays)


def simulator(
    *candles: Candles,
    faults: Faults | None = None,
    strict: bool = False,
    funding: Sequence[Funding] | None = None,
) -> Simulator:
    given = candles or (market(),)
    return Simulator(
        given,
        tuple(rules(one.symbol) for one in given),
        Costs(),
        10_000.0,
        api_key=KEY,
        api_secret=SECRET,
        start_ms=START,
        end_ms=max(int(one.open_time[-1]) for one in given) + MINUTE,
        faults=faults,
        strict=strict,
        funding=funding,
    )


@asynccontextmanager
async def served(exchange: Simulator) -> AsyncIterator[tuple[Addresses, "Caller"]]:
    """Open the port for a while, with a caller of its REST side."""
    addresses = await exchange.start()
    async with aiohttp.ClientSession() as session:
        caller = Caller(addresses, session, exchange)
        try:
            yield addresses, caller
        finally:
            await exchange.stop()
            for socket in caller.sockets:  # cut ones too: their connections are not let go of
                await socket.close()


class Caller:
    """Signs and sends requests the way the exchange's documents say."""

    def __init__(
        self, addresses: Addresses, session: aiohttp.ClientSession, exchange: Simulator
    ) -> None:
        self.addresses = addresses
        self.session = session
        self._exchange = exchange
        self.sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def _socket(self, url: str) -> aiohttp.ClientWebSocketResponse:
        socket = await self.session.ws_connect(url)
        self.sockets.append(socket)
        return socket

    async def raw(
        self, method: str, path: str, *, query: str = "", body: str = "", key: str = KEY
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Send text as it is; return status, answer and headers."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if key:
            headers["X-MBX-APIKEY"] = key
        async with self.session.request(
            method,
            f"{self.addresses.rest}{path}{'?' if query else ''}{query}",
            data=body,
            headers=headers,
        ) as response:
            return response.status, msgspec.json.decode(await response.read()), response.headers

    async def __call__(self, method: str, path: str, **parameters: Any) -> Any:
        """Send a signed request, its parameters in the body unless it is a GET."""
        text = urlencode(parameters | {"timestamp": self._exchange.venue.now})
        text += f"&signature={signature(text, SECRET)}"
        where = {"query": text} if method == "GET" else {"body": text}
        return (await self.raw(method, path, **where))[1]

    async def listen_key(self) -> str:
        return (await self.raw("POST", "/fapi/v1/listenKey"))[1]["listenKey"]

    async def private(self) -> aiohttp.ClientWebSocketResponse:
        key = await self.listen_key()
        return await self._socket(f"{self.addresses.stream}/private/ws?listenKey={key}")

    async def market(self, *streams: str) -> aiohttp.ClientWebSocketResponse:
        return await self._socket(f"{self.addresses.stream}/market/ws/{'/'.join(streams)}")

    async def clock(self, role: str = "trader") -> aiohttp.ClientWebSocketResponse:
        socket = await self._socket(self.addresses.clock)
        await socket.send_json({"role": role})
        return socket


async def hear(socket: aiohttp.ClientWebSocketResponse, wait_s: float = 5.0) -> dict[str, Any]:
    """Receive the next message of a socket."""
    return await asyncio.wait_for(socket.receive_json(), wait_s)


async def silent(socket: aiohttp.ClientWebSocketResponse) -> bool:
    """Tell whether a socket has nothing to say, although it has had the time to."""
    await asyncio.sleep(0.05)
    try:
        await asyncio.wait_for(socket.receive(), 0.01)
    except TimeoutError:
        return True
    return False


async def until(condition: Callable[[], bool], wait_s: float = 5.0) -> None:
    """Wait for something to become true in the same process."""
    async with asyncio.timeout(wait_s):
        while not condition():
            await asyncio.sleep(0.001)


class Trader:
    """A scripted client: acknowledges everything, and sends what the script says at an instant.

    Attributes
    ----------
    closed : list
        The candles it has heard the close of, as (symbol, open time).
    events : list
        What the private stream brought, markers left out.
    instants : list
        The instants it decided at, with their symbols.
    """

    def __init__(self, call: Caller, symbols: Sequence[str] = ("BTCUSDT",)) -> None:
        self.call = call
        self.symbols = symbols
        self.closed: list[tuple[str, int]] = []
        self.opened: list[tuple[str, int]] = []
        self.events: list[dict[str, Any]] = []
        self.instants: list[tuple[int, list[str]]] = []
        self.times: list[int] = []
        self.orders: dict[int, list[dict[str, Any]]] = {}
        self.settled = 0
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Connect everything and work until cancelled, or until the replay is over."""
        names = [f"{symbol.lower()}@kline_1m" for symbol in self.symbols]
        clock = await self.call.clock()
        tasks = [
            asyncio.create_task(self._keep(lambda: self.call.market(*names), self._market)),
            asyncio.create_task(
                self._keep(self.call.private, lambda event: self._private(event, clock))
            ),
        ]
        try:
            async for message in clock:
                await self._time(msgspec.json.decode(message.data), clock)
                if self.ended.is_set():
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await clock.close()

    async def _keep(self, connect: Callable[[], Any], handle: Callable[[Any], Any]) -> None:
        while True:
            try:
                socket = await connect()
                try:
                    async for message in socket:
                        await handle(msgspec.json.decode(message.data))
                finally:
                    await socket.close()
            except aiohttp.ClientError:
                await asyncio.sleep(0.01)

    async def _market(self, event: Mapping[str, Any]) -> None:
        heard = self.closed if event["k"]["x"] else self.opened
        heard.append((event["s"], event["k"]["t"]))

    async def _private(self, event: dict[str, Any], clock: aiohttp.ClientWebSocketResponse) -> None:
        if event["e"] != "marker":
            self.events.append(event)
            return
        self.settled = event["n"]
        await clock.send_json({"settled": event["n"]})

    async def _time(
        self, message: Mapping[str, Any], clock: aiohttp.ClientWebSocketResponse
    ) -> None:
        self.times.append(message["now"])
        if message.get("end"):
            self.ended.set()
        if "closing" not in message:
            return
        time_ms = message["now"]
        self.instants.append((time_ms, message["closing"]))
        for order in self.orders.pop(time_ms, []):
            await self.call("POST", "/fapi/v1/order", **order)
        await clock.send_json({"decided": time_ms})
