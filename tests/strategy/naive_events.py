"""Slow, obvious twins of crosses and of what is remembered of a condition."""

from collections.abc import Sequence

from tests.strategy.naive import NAN, Values


def crossed_above(a: Values, b: Values) -> list[float]:
    out = [NAN] * min(1, len(a))
    for i in range(1, len(a)):
        known = all(x == x for x in (a[i], b[i], a[i - 1], b[i - 1]))
        out.append(float(a[i - 1] <= b[i - 1] and a[i] > b[i]) if known else NAN)
    return out


def last_held(condition: Sequence[bool]) -> list[int | None]:
    """Position at which the condition held last, up to each candle."""
    return [
        max((j for j in range(i + 1) if condition[j]), default=None) for i in range(len(condition))
    ]


def bars_since(condition: Sequence[bool]) -> list[float]:
    return [NAN if at is None else float(i - at) for i, at in enumerate(last_held(condition))]


def value_when(condition: Sequence[bool], x: Values) -> list[float]:
    return [NAN if at is None else x[at] for at in last_held(condition)]
