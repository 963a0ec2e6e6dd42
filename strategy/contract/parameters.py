"""Params that do nothing, and search ranges that fit badly."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from strategy.contract.findings import BEGINNING, EDGE, UNUSED, Check, Finding
from strategy.contract.future import Tick, beginning
from strategy.contract.outcome import Span, Subject, differences, outcome
from strategy.errors import WickError
from strategy.load import Strategy


def unused_params(subject: Subject, spans: list[Span]) -> list[Finding]:
    """Find parameters whose every change moves no column, decision, distance and size.

    Parameters
    ----------
    spans : list of Span
        Tried in this order until something moves, so the short one first.
    """
    found = []
    read = _names_read(subject.strategy)
    count = len(spans[-1].times)
    for name, value in subject.params._asdict().items():
        others = list(_others(subject.strategy, name, value))
        if any(_moves(subject, name, other, span) for span in spans for other in others):
            continue
        why = f"it moves nothing on {count:,} candles" if name in read else "no text reads it"
        tried = ", ".join(f"{other:g}" for other in others)
        said = f"the parameter {name} does nothing: {why} (tried {tried})"
        found.append(Finding(UNUSED, name, said, f"use p.{name}, or take it out of Params"))
    return found


def _moves(subject: Subject, name: str, value: float, span: Span) -> bool:
    try:
        changed = replace(subject, params=subject.params._replace(**{name: value}))
        return bool(differences(outcome(changed, span.candles), span.whole))
    except WickError:  # a length of 0 or the like: it is read, or it could not be refused
        return True


def _others(strategy: Strategy, name: str, value: float) -> Iterator[float]:
    """Give a parameter's ends of range or choices, else 20 % up and down, whole ones at least 1."""
    space = strategy.tune.get(name)
    whole = isinstance(value, int)
    given = list(space) if isinstance(space, list) else list(space or ())[:2]
    if not any(other != value for other in given):
        step = max(abs(value) * 0.2, 1.0 if whole or value == 0 else 0.0)
        given = [value + step, value - step]
    seen = {value}
    for other in given:
        if not isinstance(other, int | float):
            continue
        other = round(other) if whole else float(other)
        if other not in seen:
            seen.add(other)
            yield other


def _names_read(strategy: Strategy) -> set[str]:
    tree = ast.parse(strategy.source)
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def at_ends(
    subject: Subject, span: Span, lengths: Sequence[int], tick: Tick
) -> tuple[Check, list[Finding]]:
    """Try each parameter at both ends of its range in TUNE: beginnings say what the whole says.

    Parameters
    ----------
    lengths : sequence of int
        Candles in each beginning.

    Returns
    -------
    check : Check
    stops : list of Finding
        Ends at which the strategy stops with an error.
    """
    check, stops = Check(BEGINNING, "history ends early"), []
    for name in subject.params._fields:
        for value in _ends(subject.strategy, name):
            words = f"{name} = {value:g}"
            changed = replace(subject, params=subject.params._replace(**{name: value}))
            try:
                end = Span.of(changed, span.candles)
            except WickError as error:
                said = f"at {words}, an end of its range in TUNE, the strategy stops"
                stops.append(Finding(EDGE, name, f"{said}: {error.message}", error.hint))
                continue
            for length in lengths:
                how = f"with {length:,} candles and {words}"
                check.compare(partial(beginning, end, length), end, slice(0, length), how)
            tick()
    return check, stops


def _ends(strategy: Strategy, name: str) -> set[float]:
    space = strategy.tune.get(name)
    given = sorted(space) if isinstance(space, list) else list(space or ())[:2]
    whole = isinstance(strategy.params._field_defaults[name], int)
    return {int(end) if whole else float(end) for end in (given[:1] + given[-1:])}


def edge_params(subject: Subject) -> list[Finding]:
    """Find params at or outside their range in TUNE, and ranges with fewer than two points."""
    found = []
    strategy = subject.strategy
    defaults = strategy.params()
    for name, value in subject.params._asdict().items():
        whose = "default" if value == getattr(defaults, name) else "given"
        space = strategy.tune.get(name)
        if isinstance(space, list) and space:
            points = sorted(set(space))
            if len(points) > 1 and value in points:
                continue
            where = f"the choices {', '.join(f'{p:g}' for p in points)}"
        elif isinstance(space, tuple) and len(space) >= 2:
            low, high = space[0], space[1]
            points = [low, high]
            if low < value < high:
                continue
            where = f"the range {low:g} to {high:g}"
        else:
            continue
        said, hint = _edge(f"the {whose} {name}", name, value, points, where)
        found.append(Finding(EDGE, name, said, hint))
    return found


def _edge(whose: str, name: str, value: float, points: list[Any], where: str) -> tuple[str, str]:
    if points[0] > points[-1]:
        return f"TUNE[{name!r}]: {where} is upside down", "write (low, high)"
    if points[0] == points[-1]:
        return f"TUNE[{name!r}] has one point only, {points[0]:g}", "widen it, or leave it out"
    place = "at the edge of" if value in points else "outside"
    return (
        f"{whose} = {value:g} is {place} {where} of TUNE",
        "move it inside, or widen the range: what is best may lie beyond its end",
    )
