"""Time for every live role: the wall clock, or the simulator's.

Nothing on the live side asks the system for the time; it asks this port, so that a replayed day
runs at any speed and gives the same decisions. Over the simulator's clock socket (outside the
exchange's own paths) travel, as JSON text:

to a role       {"now": ms, "rate": r}           the time now; it goes on at r times the wall
                                                 clock's speed, 0 in lockstep
                {"now": T, "rate": 0,
                 "closing": [symbol, …]}         lockstep: candles of these symbols close at T;
                                                 their closing events follow on the market sockets
                {"now": ms, "rate": 0,
                 "end": true}                    the replay is over, nothing will follow
from a role     {"role": name}                   first message
                {"settled": n}                   everything before private marker n is worked off
                {"decided": T}                   the decision at T is taken, its orders are out
                {"pass_until": ms}               the work at hand needs time to pass
                {"closing": T}                   whose candles closed at T, which may be over? The
                                                 answer is the message with that name

In lockstep the simulator puts markers `{"e":"marker","n":n,"E":ms}` into the private stream; they
order the acknowledgement after the events before them, which a second socket could not. A marker is
also sent whenever a private socket connects.
"""

from typing import Protocol


class Clock(Protocol):
    """The port. Live, `acknowledge_*` do nothing and `closing` knows nothing."""

    def now_ms(self) -> int:
        """Return the exchange's time as far as known, UTC ms; it stands still rather than go
        back."""
        ...

    def stamp_ms(self) -> int:
        """Return the exchange's time as last measured, UTC ms, for the timestamp of a request: it
        goes back where a measurement says so."""
        ...

    def correct(self, by_ms: int) -> None:
        """Take in a measurement: how far the exchange's time is ahead of `stamp_ms`. A clock that
        the exchange tells its time needs none."""
        ...

    async def sleep_until(self, time_ms: int) -> None:
        """Wait for a moment of this clock: for watchdogs and keepalives, which must not hold up a
        lockstep."""
        ...

    async def pass_until(self, time_ms: int) -> None:
        """Wait for a moment that the work at hand needs, such as the proof that an order never
        existed; in lockstep the simulator lets that much time pass."""
        ...

    async def closing(self, time_ms: int) -> frozenset[str] | None:
        """Return the symbols with a candle closing at this instant, None where nobody can know.

        In lockstep it waits until the simulator has said so, which it does when everything before
        the instant is settled.
        """
        ...

    @property
    def lockstep(self) -> bool:
        """Whether time stands still until acknowledged."""
        ...

    @property
    def ended(self) -> bool:
        """Whether a replay is over."""
        ...

    def acknowledge_settled(self, marker: int) -> None:
        """Say that all private events before a marker are worked off, protection included."""
        ...

    def acknowledge_decided(self, time_ms: int) -> None:
        """Say that the decision at an instant is taken and its orders are out."""
        ...

    async def close(self) -> None:
        """End the clock's connection."""
        ...
