"""New answers about exchange rules, put into a store: from the exchange, or from saved files."""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from data.dates import show_day, show_time
from data.rest.listings import WHOLE, Brackets, ExchangeInfo, Listing, read_answer
from data.rest.rows import Rest
from data.rules.history import Timeline, spans, with_answer
from data.rules.notes import listing_differences
from data.rules.store import MarketRules, change_rules, packaged_rules, stored_rules
from strategy.errors import WickError
from strategy.timeframes import DAY_MS

_T = TypeVar("_T")
_SETTINGS = {"um": "rest_url", "spot": "spot_rest_url"}
_DAY_HINT = "--seen 2026-03-31 names the day on which it was taken"


@dataclass(frozen=True, slots=True)
class Update:
    """What an answer was understood to be, and what it changed.

    Attributes
    ----------
    market, what : str
        Such as um and `exchange rules`.
    seen : str
        Its day.
    symbols : int
        That it names.
    new, gone : tuple of str
        Symbols that were not known before it, and those that it does not list any more.
    changed : tuple of str
        A sentence for every symbol that it says something else about than the answer before it.
    notes : tuple of str
        What a reader should know besides.
    """

    market: str
    what: str
    seen: str
    symbols: int
    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    notes: tuple[str, ...] = ()


def refresh_rules(store: Path, rest: Rest, market: str, now_ms: int) -> str | None:
    """Let today's exchange rules come along with something else, at most once a UTC day.

    Parameters
    ----------
    store : Path
    rest : Rest
    market : str
        um or spot.
    now_ms : int
        The present, UTC ms.

    Returns
    -------
    str or None
        Why they could not be had, as a note; nothing is raised for it.
    """
    try:
        today = show_day(now_ms)
        if not any(show_day(at_ms) == today for at_ms in _asked(stored_rules(store, market))):
            update_rules(store, rest, market, now_ms)
    except WickError as error:
        return f"the exchange rules of {today} could not be had: {error.message}"
    return None


def update_rules(store: Path, rest: Rest, market: str, now_ms: int) -> Update:
    """Ask the exchange for its rules of today, and keep them.

    Raises
    ------
    WickError
        The answer makes no sense.
    RunRefused
        There is no usable answer, or the store cannot be written.
    """
    info = rest.exchange_info(market)
    try:
        if info.market() != market:
            raise WickError(f"it lists {info.market()}, not {market}", f"mend {_SETTINGS[market]}")
        # Its serverTime is of a cache and can be days old.
        return _keep_info(store, info, now_ms)
    except WickError as error:
        if error.exit_code == 1:  # the store's fault, not the answer's
            raise
        raise WickError(
            f"the exchange's answer about {market} cannot be used: {error.message}", error.hint
        ) from error


def import_rules(
    store: Path, path: Path, market: str | None, seen_ms: int | None, now_ms: int
) -> Update:
    """Keep a saved answer: exchangeInfo, or leverage brackets; also one packed with gzip.

    Parameters
    ----------
    store, path : Path
    market : str or None
        Refused where the answer is of another.
    seen_ms : int or None
        Its day; None for the time that it carries.
    now_ms : int
        The present, UTC ms.

    Raises
    ------
    WickError
        It cannot be read, is something else, or cannot be of that day.
    """
    try:
        answer = read_answer(_content(path))
        found = answer.market() if isinstance(answer, ExchangeInfo) else "um"
        if market not in (None, found):
            raise WickError(f"it is of the market {found}", f"leave out --market {market}")
        at_ms = seen_ms
        if at_ms is None and isinstance(answer, ExchangeInfo):
            at_ms = answer.server_time
        if not at_ms:
            raise WickError("it does not carry the time it was taken at", _DAY_HINT)
        if not 0 < at_ms <= now_ms:
            raise WickError(f"its day would be {_day(at_ms)}, which is still to come", _DAY_HINT)
        if isinstance(answer, ExchangeInfo):
            answer.refuse_day(at_ms)
            return _keep_info(store, answer, at_ms)
        return _keep_brackets(store, answer, at_ms)
    except WickError as error:
        if error.exit_code == 1:  # the store's fault, not the file's
            raise
        raise WickError(f"{path} cannot be used: {error.message}", error.hint) from error


def _day(at_ms: int) -> str:
    try:
        return show_time(at_ms)
    except (ValueError, OverflowError, OSError):
        return str(at_ms)


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WickError(error.strerror or str(error), "name a file that can be read") from error
    try:
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, OSError, zlib.error) as error:
        raise WickError(f"its gzip is damaged: {error}", "save it again") from error


def _asked(rules: MarketRules) -> Sequence[int]:
    # A small answer, such as a simulator's, names no instant of the whole market.
    small = {at_ms for line in rules.listings.lines.values() for at_ms in line.alone}
    return (*rules.listings.whole, *small)


def _keep_info(store: Path, info: ExchangeInfo, at_ms: int) -> Update:
    market = info.market()
    listings, bare = info.listings()
    whole = len(info.symbols) >= WHOLE

    def change(rules: MarketRules) -> MarketRules:
        listed = with_answer(rules.listings, at_ms, listings, whole=whole)
        return msgspec.structs.replace(rules, listings=listed)

    before, after = change_rules(store, market, change)
    notes = [f"{', '.join(bare)}: no tick or step yet, left out"] if bare else []
    if not whole:
        notes.append(f"with fewer than {WHOLE} symbols it says nothing about any other")
    packaged = packaged_rules()[market].listings
    notes += _contradictions((packaged, before.listings), listings, at_ms)
    new, gone, changed = _compared(packaged, before.listings, after.listings, at_ms)
    return Update(
        market,
        "exchange rules",
        show_day(at_ms),
        len(listings),
        new,
        gone,
        tuple(f"{name}: {listing_differences(*pair)}" for name, pair in changed.items()),
        tuple(notes),
    )


def _contradictions(
    known: tuple[Timeline[Listing], Timeline[Listing]], told: Mapping[str, Listing], at_ms: int
) -> list[str]:
    """Say how many symbols had been told otherwise on the same UTC day."""
    found = {}
    for name, now in told.items():
        for span in spans(known, name):
            that_day = any(time_ms // DAY_MS == at_ms // DAY_MS for time_ms in span.times)
            if that_day and span.what is not None and span.what != now:
                found[name] = listing_differences(span.what, now)
    if not found:
        return []
    name, words = next(iter(found.items()))
    return [f"of that day {len(found):,} symbols had been told otherwise, first {name}: {words}"]


def _keep_brackets(store: Path, brackets: Mapping[str, Brackets], at_ms: int) -> Update:
    def change(rules: MarketRules) -> MarketRules:
        told = with_answer(rules.brackets, at_ms, brackets, whole=len(brackets) >= WHOLE)
        return msgspec.structs.replace(rules, brackets=told)

    before, after = change_rules(store, "um", change)
    packaged = packaged_rules()["um"].brackets
    new, gone, changed = _compared(packaged, before.brackets, after.brackets, at_ms)
    return Update(
        "um",
        "leverage brackets",
        show_day(at_ms),
        len(brackets),
        new,
        gone,
        tuple(f"{name}: other brackets" for name in changed),
    )


def _compared(
    packaged: Timeline[_T], before: Timeline[_T], after: Timeline[_T], at_ms: int
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[_T, _T]]]:
    new: list[str] = []
    gone: list[str] = []
    changed: dict[str, tuple[_T, _T]] = {}
    known = {*packaged.lines, *before.lines}
    for name in sorted(known | after.lines.keys()) if after != before else ():
        line = after.lines.get(name)
        if line is not None and all(change.at_ms != at_ms for change in line.said):
            continue  # years of answers that say the same are not gone through again
        history = spans((packaged, after), name)
        i = next((i for i, span in enumerate(history) if span.times[0] == at_ms), None)
        if i is None:
            continue
        now, old = history[i].what, history[i - 1].what if i else None
        if now is None:
            gone.append(name)
        elif old is not None:
            changed[name] = (old, now)
        elif i or name not in known:
            new.append(name)
    return tuple(new), tuple(gone), changed
