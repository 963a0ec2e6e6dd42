"""How a planted strategy becomes a file, and the kinds of check that may find what is in it."""

HEAD = '''"""A planted strategy."""
import random
from datetime import date
from typing import NamedTuple

import numba
import numpy as np

from strategy.column import Column, stateful
from strategy.indicators import *
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"
MINUTE = 60_000


class Params(NamedTuple):
    length: int = 20
    stop: float = 0.01


class Row(NamedTuple):
    x: float
    mean: float


def of(values):
    return Column(np.ascontiguousarray(values, np.float64), "1m")


'''
USUAL = """

def indicators(c, p):
    return Row(x=x_of(c, p), mean=sma(c.close, p.length))
"""
TAIL = """


@rule
def enter_long(x, p):
    return x.x > x.mean


@rule
def stop_distance(x, p):
    return p.stop * x.mean


RISK = Risk(per_trade=0.01)
"""

BEGINNING, FUTURE, CHUNKS, REPEAT = "beginning", "future", "chunks", "repeat"
OUTSIDE, WRITTEN = "outside", "written"


def whole(body: str) -> str:
    """Make a file of a body that defines `x_of`, `indicators`, or all that comes after HEAD."""
    if "RISK =" in body:
        return HEAD + body
    return HEAD + body + ("" if "def indicators" in body else USUAL) + TAIL


# A leak in one column that one rule reads and no other: the column, and the rule that tells it.
ONE_RULE = {
    "short": "enter_short",
    "out": "exit_long",
    "cover": "exit_short",
    "stop": "stop_distance",
    "take": "take_distance",
    "trail": "trail_distance",
    "limit": "limit_distance",
    "rank": "entry_priority",
    "unread": "",
}
ALL_RULES = """

class Row(NamedTuple):
    x: float
    short: float
    out: float
    cover: float
    stop: float
    take: float
    trail: float
    limit: float
    rank: float
    unread: float


def indicators(c, p):
    others = dict.fromkeys(Row._fields[1:], c.close)
    return Row(x=sma(c.close, p.length), **others)


@rule
def enter_long(x, p):
    return x.x > 29_900


@rule
def enter_short(x, p):
    return x.short < 29_900


@rule
def exit_long(x, p):
    return x.out < 29_000


@rule
def exit_short(x, p):
    return x.cover > 31_000


@rule
def stop_distance(x, p):
    return p.stop * x.stop


@rule
def take_distance(x, p):
    return 2 * p.stop * x.take


@rule
def trail_distance(x, p):
    return p.stop * x.trail


@rule
def limit_distance(x, p):
    return 0.001 * x.limit


@rule
def entry_priority(x, p):
    return -x.rank


RISK = Risk(per_trade=0.01)
"""


def leaking(name: str) -> str:
    """Return the file with every rule in which one column knows the next close."""
    before, after = ALL_RULES.split("    return Row(")
    leak = "of(np.append(c.close._values[1:], c.close._values[-1:]))"
    return whole(f"{before}    others[{name!r}] = {leak}\n    return Row({after}")
