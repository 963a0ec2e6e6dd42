"""Exchange rules by date: grids and maintenance tiers that change inside a run."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.errors import WickError
from strategy.grid import GRID
from strategy.kernel import borrowing
from strategy.margin import LIQUIDATION_FEE, TIER, Tiers


class SymbolTiers(NamedTuple):
    """One symbol's maintenance tiers.

    Attributes
    ----------
    each : array of TIER
        From a floor of 0 on, each beginning where the one before ends.
    fee : float
        What a liquidation costs besides the taker fee, as a share of the notional.
    """

    each: NDArray[np.void]
    fee: float = LIQUIDATION_FEE


class RuleChange(NamedTuple):
    """What the exchange asks of a symbol from an instant on.

    Attributes
    ----------
    time : int
        UTC ms.
    grid : array of GRID (1,)
    tiers : SymbolTiers or None
    """

    time: int
    grid: NDArray[np.void]
    tiers: SymbolTiers | None = None


class Changes(NamedTuple):
    """The changes of all symbols, one symbol behind the other, each in the order of time.

    Attributes
    ----------
    first : int64 (symbols + 1,)
        Where each symbol's changes begin.
    next : int64 (symbols,)
        The first one of each symbol that has not been taken.
    time : int64 (n,)
    grids : record array of GRID
    tiers : Tiers
        Where the tiers of each change lie, in the list of the run's.
    """

    first: NDArray[np.int64]
    next: NDArray[np.int64]
    time: NDArray[np.int64]
    grids: Any
    tiers: Tiers


def dated_rules(
    grids: Any,
    tiers: Sequence[SymbolTiers | None],
    changes: Sequence[Sequence[RuleChange]],
    leverage: float,
) -> tuple[Any, Tiers, Changes]:
    """Lay out what each symbol begins with, and what changes later, for the compiled code.

    Parameters
    ----------
    grids : array of GRID
        One a symbol.
    leverage : float
        That is set on the exchange; it bounds a position's notional (`max_value` of the grids).

    Returns
    -------
    grids : record array of GRID
        Copies.
    tiers : Tiers
    changes : Changes

    Raises
    ------
    WickError
        Tiers do not follow on one another from 0, or changes are not in order.
    """
    later = [change for its in changes for change in its]
    known = [*tiers, *(change.tiers for change in later)]
    none = not any(known)
    # In an account with tiers, a symbol that has none needs no maintenance margin.
    parts = [np.empty(0, TIER) if none else _checked(one) for one in known]
    lengths = np.array([len(part) for part in parts], np.int64)
    ends: NDArray[np.int64] = np.cumsum(lengths)
    firsts = ends - lengths
    fees = np.array([LIQUIDATION_FEE if one is None else one.fee for one in known])
    each: Any = np.concatenate(parts).view(np.recarray)
    every = [*(grids[s : s + 1] for s in range(len(grids))), *(one.grid for one in later)]
    joined = np.concatenate(every).astype(GRID).view(np.ndarray)
    for at, one in enumerate(known):
        if one is not None:
            allowed = one.each["cap"][one.each["leverage"] >= leverage]
            joined["max_value"][at] = min(joined["max_value"][at], allowed.max(initial=0.0))
    now, rest = slice(0, len(tiers)), slice(len(tiers), None)
    first = np.cumsum([0, *map(len, changes)], dtype=np.int64)
    time = np.array([one.time for one in later], np.int64)
    for its in changes:
        times = [one.time for one in its]
        if times != sorted(set(times)):
            raise WickError(f"rules change at {times}, not one after the other", "sort them")
    return (
        joined[now].copy().view(np.recarray),
        Tiers(firsts[now].copy(), ends[now].copy(), fees[now].copy(), each),
        Changes(
            first,
            first[:-1].copy(),
            time,
            joined[rest].copy().view(np.recarray),
            Tiers(firsts[rest].copy(), ends[rest].copy(), fees[rest].copy(), each),
        ),
    )


def _checked(one: SymbolTiers | None) -> NDArray[np.void]:
    if one is None:
        return np.array([(0.0, np.inf, 0.0, 0.0, np.inf)], TIER)
    each = one.each
    good = len(each) > 0 and each["floor"][0] == 0.0
    good = good and bool((each["floor"][1:] == each["cap"][:-1]).all())
    good = good and bool((each["floor"] < each["cap"]).all())
    good = good and bool(((each["rate"] >= 0.0) & (each["rate"] < 1.0)).all())
    if not good or not 0.0 <= one.fee < 1.0:
        raise WickError(
            f"maintenance tiers {each.tolist()} with a liquidation fee of {one.fee} are wrong",
            "each begins where the one before ends, from 0; rates and the fee lie below 1",
        )
    return each.astype(TIER)


@borrowing
def take_changes(changes, now, who, positions, orders, grids, tiers):
    """Let each of the symbols ``who`` that is flat, with no order waiting, take the rules that are
    due."""
    for s in who:
        waits = positions[s].steps != 0 or orders[s].side != 0 or orders[s].close_reason != 0
        at = changes.next[s]
        while not waits and at < changes.first[s + 1] and changes.time[at] <= now:
            grids[s] = changes.grids[at]
            tiers.first[s], tiers.end[s] = changes.tiers.first[at], changes.tiers.end[at]
            tiers.fee[s] = changes.tiers.fee[at]
            at += 1
        changes.next[s] = at
