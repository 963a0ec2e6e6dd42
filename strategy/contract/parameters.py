"""Params that do nothing, and search ranges that fit badly."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from strategy.contract.findings import EDGE, UNUSED, Finding
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


def edge_params(strategy: Strategy) -> list[Finding]:
    """Find defaults at or outside their range in TUNE, and ranges with fewer than two points."""
    found = []
    for name, value in strategy.params()._asdict().items():
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
        said, hint = _edge(name, value, points, where)
        found.append(Finding(EDGE, name, said, hint))
    return found


def _edge(name: str, value: float, points: list[Any], where: str) -> tuple[str, str]:
    if points[0] > points[-1]:
        return f"TUNE[{name!r}]: {where} is upside down", "write (low, high)"
    if points[0] == points[-1]:
        return f"TUNE[{name!r}] has one point only, {points[0]:g}", "widen it, or leave it out"
    place = "at the edge of" if value in points else "outside"
    return (
        f"the default {name} = {value:g} is {place} {where} of TUNE",
        "move the default inside, or widen the range: a search would start from its end",
    )
