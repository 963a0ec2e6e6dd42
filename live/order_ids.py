"""Client order ids: made from the decision, so that the same decision always has the same id.

cw + six characters of the session + - + symbol's position + - + time of the decision in base 36
   + - + leg + attempt, such as cw1f09ab-0-mbt2q9s0-e1. Letters, digits and hyphens only: these need
no percent-encoding, which the client library would sign wrongly.

The legs: e entry, x exit of a decision, q exit because a stop cannot stand, at market all three;
s the base stop, w a tighter one, p the stop of an entry of unknown fate, t take, a and b partial
take-profits: conditional ones.
"""

import re
from typing import NamedTuple

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MARKET_LEGS, CONDITIONAL_LEGS, PART_LEGS = "exq", "swptab", "ab"
_LEGS = MARKET_LEGS + CONDITIONAL_LEGS
_FORM = re.compile(rf"cw([0-9a-f]{{6}})-(\d+)-([0-9a-z]+)-([{_LEGS}])(\d+)")


class OrderId(NamedTuple):
    """What an id says."""

    tag: str
    symbol: int
    decided_at: int
    leg: str
    attempt: int

    def __str__(self) -> str:
        time = _base36(self.decided_at)
        return f"cw{self.tag}-{self.symbol}-{time}-{self.leg}{self.attempt}"


def parse(text: str) -> OrderId | None:
    """Read an id back; None for one that Candlewick did not make.

    >>> str(parse("cw1f09ab-0-mbt2q9s0-e1"))
    'cw1f09ab-0-mbt2q9s0-e1'
    >>> parse("autoclose-1761868800000") is None
    True
    """
    found = _FORM.fullmatch(text)
    if not found:
        return None
    tag, symbol, time, leg, attempt = found.groups()
    return OrderId(tag, int(symbol), int(time, 36), leg, int(attempt))


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"
