"""What goes wrong in a world, drawn from its seed.

Every world draws a few kinds only: with all of them at once most worlds would look alike.
"""

import random
from dataclasses import dataclass, field, replace

MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Outage:
    """Nothing gets through to the exchange, and its streams are down."""

    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Faults:
    """How much goes wrong: chances by request or event, times in ms.

    Attributes
    ----------
    lost_answer, lost_request : float
        The order was executed, or never arrived, and nobody says so.
    late_request : float
        A lost answer's request is executed only seconds later.
    overload, refused : float
        Proven rejections: -1008, which may be sent again, and others, which may not.
    silent_reads : float
        Questions without an answer.
    lag_ms : int
        How long something new is not found when asked for, at most.
    event_ms : int
        How late private events come, at most.
    duplicates : float
        Private events that come twice.
    drops, silences : int
        Breaks of the private socket, and times in which it is open and says nothing.
    parts : float
        Market orders that fill in parts.
    expiries : float
        Of those, the ones whose rest expires.
    foreign : int
        Fills of orders that are not ours.
    strange_children : bool
        What a triggered order becomes has an id of the exchange's own.
    lost_stops : int
        Stops that somebody cancels.
    outages, streams, redis, full : tuple of Outage
        Of the exchange, of its private stream alone, and of Redis; and when the disk is full.
    forgets : bool
        Redis comes back without its newest entries.
    kills : tuple of int
        The trader dies after so many steps since its start.
    machine : bool
        With the trader dies the machine: what was not yet on the disk is lost.
    wishes : tuple
        What people ask for, and when.
    late_signals : float
        Batches that come half a minute late.
    wild : bool
        The price moves at any time, not only when the trader has had the time to act.
    """

    lost_answer: float = 0.0
    lost_request: float = 0.0
    late_request: float = 0.0
    overload: float = 0.0
    refused: float = 0.0
    silent_reads: float = 0.0
    lag_ms: int = 0
    event_ms: int = 5
    duplicates: float = 0.0
    drops: int = 0
    silences: int = 0
    parts: float = 0.0
    expiries: float = 0.0
    foreign: int = 0
    strange_children: bool = False
    lost_stops: int = 0
    outages: tuple[Outage, ...] = ()
    streams: tuple[Outage, ...] = ()
    redis: tuple[Outage, ...] = ()
    full: tuple[Outage, ...] = ()
    forgets: bool = False
    kills: tuple[int, ...] = ()
    machine: bool = False
    wishes: tuple[tuple[int, str], ...] = ()
    late_signals: float = 0.0
    wild: bool = False
    only: tuple[str, ...] = field(default=())

    @property
    def keeps_facts(self) -> bool:
        """Whether orders and fills must be those of an undisturbed world."""
        return not self.wild and self.only in ((), ("kills",))


def draw_faults(seed: int, minutes: int) -> Faults:
    """Draw what goes wrong in the world of a seed."""
    draw = random.Random(f"faults {seed}")
    kinds = list(_KINDS)
    drawn = draw.sample(kinds, draw.randint(1, 6))
    chosen = drawn if seed % 4 else ["kills"]  # these alone must not change a thing
    faults = Faults(only=tuple(chosen))
    for kind in chosen:
        faults = replace(faults, **_KINDS[kind](draw, minutes))
    return replace(faults, wild=seed % 4 != 0 and draw.random() < 0.7)


def _outages(draw: random.Random, minutes: int, longest_s: int) -> tuple[Outage, ...]:
    found = []
    for _ in range(draw.randint(1, 3)):
        begins = draw.randint(0, minutes * MINUTE)
        found.append(Outage(begins, begins + draw.randint(100, longest_s * 1_000)))
    return tuple(found)


_KINDS = {
    "lost answers": lambda draw, _: {"lost_answer": draw.choice((0.05, 0.2, 0.5))},
    "lost requests": lambda draw, _: {"lost_request": draw.choice((0.05, 0.2, 0.5))},
    "late requests": lambda draw, _: {"late_request": draw.choice((0.05, 0.3))},
    "overload": lambda draw, _: {"overload": draw.choice((0.1, 0.5, 0.8))},
    "refusals": lambda draw, _: {"refused": draw.choice((0.05, 0.3))},
    "silent reads": lambda draw, _: {"silent_reads": draw.choice((0.1, 0.5))},
    "lag": lambda draw, _: {"lag_ms": draw.choice((100, 1_000, 3_000, 8_000))},
    "late events": lambda draw, _: {"event_ms": draw.choice((50, 500, 3_000))},
    "duplicates": lambda draw, _: {"duplicates": draw.choice((0.1, 0.5))},
    "drops": lambda draw, minutes: {"drops": draw.randint(1, minutes)},
    "silences": lambda draw, _: {"silences": draw.randint(1, 4)},
    "parts": lambda draw, _: {"parts": draw.choice((0.3, 1.0)), "expiries": 0.3},
    "foreign": lambda draw, _: {"foreign": draw.randint(1, 3)},
    "outages": lambda draw, minutes: {"outages": _outages(draw, minutes, draw.choice((6, 60)))},
    "streams": lambda draw, minutes: {"streams": _outages(draw, minutes, draw.choice((20, 200)))},
    "strange children": lambda draw, _: {"strange_children": True},
    "lost stops": lambda draw, _: {"lost_stops": draw.randint(1, 4)},
    "redis": lambda draw, minutes: {
        "redis": _outages(draw, minutes, 40),
        "forgets": draw.random() < 0.5,
    },
    "full disk": lambda draw, minutes: {"full": _outages(draw, minutes, 90)},
    "kills": lambda draw, minutes: {
        "kills": tuple(draw.randint(1, draw.choice((20, 200))) for _ in range(draw.randint(1, 8)))
    },
    "machine": lambda draw, _: {
        "kills": tuple(draw.randint(1, draw.choice((20, 200))) for _ in range(draw.randint(1, 6))),
        "machine": True,
    },
    "wishes": lambda draw, minutes: {
        "wishes": tuple(
            sorted(
                (
                    draw.randint(0, minutes * MINUTE)
                    if draw.random() < 0.5
                    else draw.randint(1, minutes) * MINUTE + draw.randint(0, 100),
                    draw.choice(("pause", "resume", "resume", "flatten")),
                )
                for _ in range(draw.randint(2, 8))
            )
        )
    },
    "late signals": lambda draw, _: {"late_signals": 0.2},
}
