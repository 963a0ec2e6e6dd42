"""A Binance USDⓈ-M exchange on this machine: REST, streams and the clock on one port."""

import asyncio
import contextlib
from collections.abc import Sequence

from aiohttp import web

from data.symbols import SymbolRules
from live.session import Addresses
from live.simulator.faults import Faults
from live.simulator.lockstep import ClockServer, Lockstep
from live.simulator.paced import Paced
from live.simulator.playback import Playback
from live.simulator.replay import Replay
from live.simulator.rest import Rest, Tolerance
from live.simulator.signing import Keys
from live.simulator.sockets import Hub, serve_stream
from live.simulator.venue import Venue
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.funding import Funding

# How long a request may take to arrive where time is played faster than it passes, in real ms.
ROUND_TRIP_MS = 5_000
_LOOK_S = 0.02


class Simulator:
    """The exchange, with one account on it.

    Parameters
    ----------
    candles : sequence of Candles
        One per symbol, of one timeframe; those before `start_ms` are history for REST.
    rules : sequence of SymbolRules
        What each symbol's orders must hold, in the same order.
    costs : Costs
        Fee and slippage.
    balance : float
        Of the account, in USDT.
    api_key, api_secret : str
        The account's.
    start_ms : int
        Open time of the first candle that is played.
    end_ms : int
        First open time that is not played any more.
    faults : Faults, optional
        What goes wrong.
    funding : sequence of Funding, optional
        Of each symbol, in the same order; without it nobody pays any.
    strict : bool
        Whether only signatures over percent-encoded text are taken.

    Attributes
    ----------
    venue : Venue
        The account, its orders, and the time.
    """

    def __init__(
        self,
        candles: Sequence[Candles],
        rules: Sequence[SymbolRules],
        costs: Costs,
        balance: float,
        *,
        api_key: str,
        api_secret: str,
        start_ms: int,
        end_ms: int,
        faults: Faults | None = None,
        strict: bool = False,
        funding: Sequence[Funding] | None = None,
    ) -> None:
        replay = Replay(candles, start_ms, end_ms)
        self.faults = faults or Faults()
        self.hub = Hub()
        self.clock = ClockServer()
        self.venue = Venue(rules, costs, balance, funding=funding)
        self._playback = Playback(self.venue, replay, self.hub, self.faults)
        self._playback.begin()
        self.rest = Rest(self._playback, Keys(api_key, api_secret), self.faults, self._tick, strict)
        self._paced: Paced | None = None
        self._runner: web.AppRunner | None = None
        self.clock.welcome = lambda: ({"now": self.venue.now, "rate": 0},)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Addresses:
        """Open the port; time stands still at the first candle's open until it is run."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return Addresses(
            f"http://{host}:{port}", f"ws://{host}:{port}", f"ws://{host}:{port}/clock"
        )

    async def run_lockstep(self) -> None:
        """Play all candles, each when the clients have acknowledged the one before."""
        # A client learns the time when it is told: it may be behind by any amount, never ahead.
        self.rest.tolerance = Tolerance(late_ms=None)
        self.venue.hold_market_orders = True
        await Lockstep(self._playback, self.clock).run()

    async def run_at(self, rate: float, *, wait: bool = False) -> None:
        """Play all candles at a multiple of the wall clock's speed; market orders fill at once.

        `wait` lets time stand still until a private socket is connected.
        """
        while wait and not self.hub.of("private"):
            await asyncio.sleep(_LOOK_S)
        if rate > 1.0:
            # A client's clock runs on between two messages, and a request takes real time.
            self.rest.tolerance = Tolerance(*[round(ROUND_TRIP_MS * rate)] * 2)
        self.venue.hold_market_orders = False
        self._paced = Paced(self._playback, self.clock, rate)
        await self._paced.run()

    async def stop(self) -> None:
        """Break off all connections and close the port."""
        self.hub.close()
        self.clock.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await self.rest.handle(request)
        self._tick()
        # A socket that breaks is the other side's affair.
        with contextlib.suppress(ConnectionError):
            if request.path == "/clock":
                return await self.clock.serve(request)
            return await serve_stream(request, self.hub)
        return web.Response()

    def _tick(self) -> None:
        if self._paced is not None:
            self._paced.tick()
