"""What a reader of a run should know about the exchange rules that it used."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from data.dates import show_day
from data.rest.listings import Listing
from data.symbols import UNKNOWN, DatedRules, MarginRules, RuleBook, SymbolRules, rules_of

_MANY = 3  # changes of one symbol
_WORDS = {
    "tick_size": "tick",
    "step_size": "step",
    "min_qty": "least quantity",
    "max_qty": "largest market order",
    "min_notional": "least notional",
}
_LOT = {_WORDS[name] for name in ("step_size", "min_qty", "max_qty")}


def differences(old: SymbolRules, new: SymbolRules) -> str:
    """Say what differs between two rules, such as `step 0.001 → 0.0001`; empty for nothing."""
    pairs = [(word, getattr(old, name), getattr(new, name)) for name, word in _WORDS.items()]
    return ", ".join(f"{word} {one} → {other}" for word, one, other in pairs if one != other)


def listing_differences(old: Listing, new: Listing) -> str:
    """Say all that differs between two answers about a symbol."""
    pairs = zip(_described(old), _described(new), strict=True)
    found = {word: f"{word} {one} → {other}" for (word, one), (_, other) in pairs if one != other}
    if found.keys() & _LOT:  # the limit orders' lot mostly changes with the market orders'
        found.pop("limit orders", None)
    return ", ".join(found.values())


def _described(listing: Listing) -> list[tuple[str, str]]:
    rules = rules_of(listing, "", "", None)
    lot = listing.lot
    days = [show_day(at_ms) if at_ms else "–" for at_ms in (listing.listed_ms, listing.delivery_ms)]
    return [
        *((word, getattr(rules, name)) for name, word in _WORDS.items()),
        ("limit orders", f"{lot.least} to {lot.most} by {lot.step}"),
        ("status", listing.status),
        ("contract", listing.contract or "–"),
        ("listed", days[0]),
        ("delivery", days[1]),
        ("liquidation fee", listing.liquidation_fee or "–"),
        ("trigger protect", listing.trigger_protect or "–"),
    ]


def rule_notes(
    books: Mapping[str, RuleBook],
    terms: Sequence[Sequence[DatedRules]],
    spans: Sequence[tuple[int, int]],
    leverage: float,
    notional: float,
) -> list[str]:
    """Say where a run does not keep to what the exchange asked for all through it.

    Parameters
    ----------
    books : mapping
        By market.
    terms : sequence of sequences of DatedRules
        As used, of each symbol those at first and those it changes to.
    spans : sequence of (int, int)
        Each symbol's first candle and the end of its last one, UTC ms.
    leverage, notional : float
        As set for every symbol, and the largest position there can be at the start.
    """
    notes = []
    later: dict[str, list[str]] = {}
    for (first, *changes), (first_ms, end_ms) in zip(terms, spans, strict=True):
        used = first.rules
        if used.seen == UNKNOWN:
            notes.append(f"{used.symbol}: no exchange rules known, a fine grid is used")
            continue
        if used.seen is not None and used.seen > show_day(first_ms):
            inside = " begins" if used.seen <= show_day(end_ms - 1) else ""
            later.setdefault(f"of {used.seen}, later than this run{inside}", []).append(used.symbol)
        book = books[used.market]
        if book.listings(used.symbol):  # a run's own rules may outlast what is known here
            taken = {show_day(one.at_ms) for one in changes}
            changed = list(_changes(book, used, taken, first_ms, end_ms))
            notes += changed[:_MANY]
            if len(changed) > _MANY:
                notes.append(f"{used.symbol}: … and {len(changed) - _MANY} more changes of rules")
            notes += _life_notes(book, used.symbol, first_ms, end_ms)
        if first.margin is not None:
            notes += _bracket_notes(first.margin, used.symbol, first_ms, leverage, notional)
    which = [f"the exchange rules of {', '.join(its)} are {what}" for what, its in later.items()]
    return which + notes


def margin_notes(
    terms: Sequence[Sequence[DatedRules]], spans: Sequence[tuple[int, int]], *, isolated: bool
) -> list[str]:
    """Say which symbols have no leverage brackets in a run, or have those of a later day.

    Parameters
    ----------
    terms, spans : sequences
        As for `rule_notes`.
    isolated : bool
        Positions are to lose their own margin only; else nobody expects spot to be liquidated.
    """
    bare: list[str] = []
    later: dict[str, list[str]] = {}
    for (first, *_), (first_ms, _) in zip(terms, spans, strict=True):
        if first.margin is not None and (first.margin.seen or "") > show_day(first_ms):
            later.setdefault(first.margin.seen or "", []).append(first.rules.symbol)
        elif first.margin is None and (isolated or first.rules.market == "um"):
            bare.append(first.rules.symbol)
    notes = [
        f"the leverage brackets of {', '.join(its)} are of {day}, later than this run begins"
        for day, its in later.items()
    ]
    if bare:
        notes.append(f"{', '.join(bare)}: no leverage brackets are known, nothing is liquidated")
    return notes


def _changes(
    book: RuleBook, used: SymbolRules, taken: Collection[str], first_ms: int, end_ms: int
) -> Iterator[str]:
    told = [
        (show_day(one.times[0]), rules_of(one.what, book.market, used.symbol, None))
        for one in book.listings(used.symbol)
        if one.what is not None
    ]
    for (_, old), (day, new) in pairwise(told):
        what = differences(old, new)
        # The day on which the first candle opens is the day of the rules that are used.
        if what and max(show_day(first_ms), used.seen or "") < day <= show_day(end_ms - 1):
            own = f"those of {used.seen}" if used.seen else "the undated ones"
            which = "taken once it is flat" if day in taken else f"{own} are used"
            yield f"{used.symbol}: the exchange rules had changed by {day}, {what}; {which}"


def _life_notes(book: RuleBook, symbol: str, first_ms: int, end_ms: int) -> Iterator[str]:
    life = book.life(symbol)
    if life.listed_ms > first_ms:
        yield (
            f"{symbol}: the candles begin on {show_day(first_ms)}, before it was listed"
            f" ({show_day(life.listed_ms)})"
        )
    if 0 < life.ended_ms < end_ms:
        yield (
            f"{symbol}: the candles go on to {show_day(end_ms - 1)}, after it was delisted"
            f" ({show_day(life.ended_ms)})"
        )


def _bracket_notes(
    margin: MarginRules, symbol: str, first_ms: int, leverage: float, notional: float
) -> Iterator[str]:
    brackets, day = margin.brackets, margin.seen
    bound = max((float(one.cap) for one in brackets if leverage <= one.leverage), default=0.0)
    if bound == 0.0:
        yield (
            f"{symbol}: no bracket allows risk.leverage {leverage:g}, every entry is refused"
            f" (brackets of {day})"
        )
    elif bound < notional:
        yield (
            f"{symbol}: at risk.leverage {leverage:g} positions are bounded to {bound:,.0f} by its"
            f" brackets (of {day})"
        )
