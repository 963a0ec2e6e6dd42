"""Time that runs, at a multiple of the wall clock's speed, whether anybody keeps up or not."""

import asyncio
import time

from live.simulator.lockstep import ClockServer, Messages
from live.simulator.playback import Playback


class Paced:
    """Plays candles at a rate.

    Parameters
    ----------
    playback : Playback
        What is played.
    clock : ClockServer
        Who is told the time.
    rate : float
        Milliseconds of the exchange per millisecond of the wall clock.
    """

    def __init__(self, playback: Playback, clock: ClockServer, rate: float) -> None:
        self._playback = playback
        self._venue = playback.venue
        self._clock = clock
        self._rate = rate
        self._start_ms = self._venue.now
        self._origin = time.monotonic()
        self._latest = self._start_ms

    async def run(self) -> None:
        """Play from the first candle's open to the last one's close."""
        self._clock.welcome = self._welcome
        for time_ms in self._playback.replay.instants[1:]:
            self._latest = time_ms - 1
            self._clock.tell(*self._welcome())
            # Also without anything to wait for, requests must get their turn.
            await asyncio.sleep(max(0.0, (time_ms - self._extrapolated()) / 1e3 / self._rate))
            while self._extrapolated() < time_ms:
                await asyncio.sleep(0.001)
            self._play(time_ms)
        self._latest = self._venue.now
        self._clock.tell(*self._welcome())
        self._clock.welcome = lambda: ({"now": self._venue.now, "rate": 0, "end": True},)
        self._clock.tell(*self._clock.welcome())

    def tick(self) -> None:
        """Set the exchange's time; it never passes a close that has not been played yet."""
        self._venue.now = max(self._venue.now, min(self._latest, int(self._extrapolated())))

    def _play(self, time_ms: int) -> None:
        playback = self._playback
        playback.pay_inside(time_ms - playback.replay.timeframe_ms)
        playback.play(time_ms)
        playback.cut(time_ms, "close")
        playback.publish()
        playback.tell_closed(time_ms)
        playback.cut(time_ms, "open")
        playback.pay_at_open(time_ms)
        playback.open(time_ms)
        playback.publish()

    def _extrapolated(self) -> float:
        return self._start_ms + (time.monotonic() - self._origin) * 1e3 * self._rate

    def _welcome(self) -> Messages:
        self.tick()
        return ({"now": self._venue.now, "rate": self._rate},)
