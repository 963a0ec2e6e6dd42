"""What goes wrong on purpose: sockets that drop, answers that get lost, orders that are refused.

A list of faults is a script: the same list over the same candles and the same client does the same.
As TOML, for `wick exchange serve --faults FILE`:

    [[faults]]
    kind = "drop"
    at = 1746057900000
    sockets = "private"

    [[faults]]
    kind = "lose"
    number = 2
    executed = true
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from strategy.errors import WickError

Sockets = Literal["private", "market", "all"]
Phase = Literal["close", "open"]


class Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="drop", tag_field="kind"):
    """Cut sockets at an instant, just before what they would have brought.

    Attributes
    ----------
    at : int
        Time of the candles' close, UTC ms.
    phase : {"close", "open"}
        Before the news of the closed candle, or before the fills at the next one's open.
    """

    at: int
    sockets: Sockets = "all"
    phase: Phase = "close"


class Lose(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="lose", tag_field="kind"):
    """Break the connection instead of answering a request.

    Attributes
    ----------
    number : int
        Which of the matching requests, from 1.
    executed : bool
        Whether the request is carried out all the same.
    request : str
        Method and path that match.
    where : dict
        Parameters that match, such as {"symbol": "BTCUSDT"}.
    """

    number: int = 1
    executed: bool = True
    request: str = "POST /fapi/v1/order"
    where: dict[str, str] = {}


class Refuse(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="refuse", tag_field="kind"
):
    """Answer a request with an error instead of carrying it out.

    Attributes
    ----------
    code : int
        The exchange's error code.
    """

    code: int
    number: int = 1
    status: int = 400
    message: str = "refused on purpose"
    request: str = "POST /fapi/v1/order"
    where: dict[str, str] = {}


Fault = Drop | Lose | Refuse


class Faults:
    """A script of faults, and how far it has got.

    Parameters
    ----------
    faults : iterable of Drop, Lose or Refuse
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(faults)
        self.done: list[Fault] = []
        self._seen = [0] * len(self.faults)

    def drops(self, time_ms: int, phase: Phase) -> list[Drop]:
        """Return what is to be cut now; each is returned once."""
        due = [
            one
            for one in self.faults
            if isinstance(one, Drop)
            and one.at <= time_ms
            and (one.phase == phase or one.at < time_ms)
            and not any(one is other for other in self.done)
        ]
        self.done += due
        return due

    def of_request(self, request: str, given: Mapping[str, str]) -> Lose | Refuse | None:
        """Count a request, given as method and path, and return what is to go wrong with it."""
        found: Lose | Refuse | None = None
        for i, one in enumerate(self.faults):
            if isinstance(one, Drop) or one.request != request:
                continue
            if any(given.get(name) != value for name, value in one.where.items()):
                continue
            self._seen[i] += 1
            if self._seen[i] == one.number and found is None:
                found = one
        if found is not None:
            self.done.append(found)
        return found


def random_faults(seed: int, instants: Sequence[int], count: int) -> Faults:
    """Draw faults that a correct client survives without a difference in its orders.

    Parameters
    ----------
    seed : int
        Equal seeds give equal faults.
    instants : sequence of int
        Times to drop sockets at.
    count : int
        How many faults.
    """
    draw = random.Random(seed)
    faults: list[Fault] = []
    for _ in range(count):
        if draw.random() < 0.5:
            sockets: Sockets = draw.choice(("private", "market", "all"))
            faults.append(Drop(draw.choice(instants), sockets, draw.choice(("close", "open"))))
        else:
            request = draw.choice(("POST /fapi/v1/order", "POST /fapi/v1/algoOrder"))
            faults.append(Lose(draw.randint(1, count), draw.random() < 0.5, request))
    return Faults(faults)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    faults: list[Fault]


def read_faults(path: Path) -> Faults:
    """Read a script of faults from TOML.

    Raises
    ------
    WickError
        There is no such file, or it has something else in it.
    """
    try:
        return Faults(msgspec.toml.decode(path.read_bytes(), type=_File).faults)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WickError(
            f"{path} is no list of faults: {why}",
            'an entry reads: [[faults]] kind = "drop", at = 1746057900000, sockets = "private"',
        ) from error
