"""One candle after the other: into the venue, and as events to whoever listens."""

from collections import defaultdict
from collections.abc import Iterable

from live.simulator.faults import Faults, Phase
from live.simulator.replay import Kline, Replay, window_of
from live.simulator.sockets import Hub, kline_stream
from live.simulator.venue import Venue

Streams = dict[str, list[tuple[str, str, bool]]]


class Playback:
    """The steps that every way of playing is made of.

    Parameters
    ----------
    venue : Venue
        The account and its orders; its `now` is the time of everything.
    replay : Replay
        What is played.
    hub : Hub
        Who hears of it.
    faults : Faults
        Which sockets are cut when.
    """

    def __init__(self, venue: Venue, replay: Replay, hub: Hub, faults: Faults) -> None:
        self.venue = venue
        self.replay = replay
        self.hub = hub
        self._faults = faults

    def begin(self) -> None:
        """Open the first candles."""
        first = self.replay.instants[0]
        self.venue.now = first
        for symbol, kline in self.replay.opening(first):
            self.venue.open_candle(symbol, kline.open)
        self.venue.pay_funding(first + 1)  # nobody holds anything yet

    def pay_at_open(self, time_ms: int) -> int:
        """Book the funding of this instant, before orders fill at it; return how many payments
        there were. Without a candle that opens it waits for the next one."""
        return self.venue.pay_funding(time_ms + 1) if self.replay.opening(time_ms) else 0

    def pay_inside(self, time_ms: int) -> int:
        """Book the funding inside the candles that open at this time, before stops and takes meet
        them; return how many payments there were."""
        end_ms = time_ms + self.replay.timeframe_ms
        return self.venue.pay_funding(end_ms) if self.replay.opening(time_ms) else 0

    def play(self, time_ms: int) -> list[str]:
        """Match the candles that close at this time, and return their symbols."""
        closing = self.replay.closing(time_ms)
        self.venue.now = time_ms - 1
        for symbol, kline in closing:
            self.venue.play_candle(
                symbol, kline.open_time, kline.open, kline.high, kline.low, kline.close
            )
        self.venue.now = time_ms
        return [symbol for symbol, _ in closing]

    def tell_closed(self, time_ms: int) -> None:
        """Send the last event of every candle that closes at this time."""
        for symbol, streams in self._streams().items():
            for name, timeframe, continuous in streams:
                length, offset = window_of(timeframe)
                if (time_ms - offset) % length == 0:
                    kline = self.replay.window(symbol, timeframe, time_ms - length, time_ms)
                    self._tell(name, symbol, timeframe, continuous, kline, True)

    def open(self, time_ms: int) -> None:
        """Open the candles of this time, in the venue and on the streams."""
        opening = self.replay.opening(time_ms)
        for symbol, kline in opening:
            self.venue.open_candle(symbol, kline.open)
        streams = self._streams()
        for symbol, _ in opening:
            for name, timeframe, continuous in streams.get(symbol, ()):
                length, offset = window_of(timeframe)
                if (time_ms - offset) % length == 0:
                    first = self.replay.window(symbol, timeframe, time_ms, time_ms)
                    self._tell(name, symbol, timeframe, continuous, first, False)

    def publish(self) -> int:
        """Send what the venue has to say to the account, and return how much that was."""
        events = self.venue.events
        count = len(events)
        for event in events:
            self.hub.tell_private(event)
        events.clear()
        return count

    def cut(self, time_ms: int, phase: Phase) -> None:
        """Cut the sockets that the faults name for this moment."""
        for one in self._faults.drops(time_ms, phase):
            self.hub.cut(one.sockets)

    def _streams(self) -> Streams:
        found: Streams = defaultdict(list)
        for name in sorted(self.hub.subscribed()):
            its = kline_stream(name)
            if its is not None and self.replay.has(its[0], its[1]):
                found[its[0]].append((name, its[1], its[2]))
        return {symbol: found[symbol] for symbol in _in_order(self.replay.symbols, found)}

    def _tell(
        self,
        name: str,
        symbol: str,
        timeframe: str,
        continuous: bool,
        kline: Kline | None,
        closed: bool,
    ) -> None:
        if kline is None:
            return
        event = kline.event(symbol, timeframe, self.venue.now, closed)
        if continuous:
            del event["k"]["s"], event["s"]
            event |= {"e": "continuous_kline", "ps": symbol, "ct": "PERPETUAL"}
        self.hub.tell_market(name, event)


def _in_order(symbols: Iterable[str], found: Streams) -> list[str]:
    return [symbol for symbol in symbols if symbol in found]
