"""What the name of a file and its folders tell: kind, symbol, market, timeframe."""

import re
from dataclasses import dataclass
from pathlib import Path

from data.archive_names import archive_name
from data.files.parse import TABLES
from data.kinds import AGG_TRADES, BOOK_DEPTH, FUNDING, KINDS, KLINES, MARK, METRICS, QUOTES, Kind
from data.manifest import timeframe_of
from strategy.errors import WickError
from strategy.timeframes import MONTH

_STABLE = "USDT|USDC|FDUSD|BUSD|TUSD"
_SYMBOL = re.compile(
    rf"(?<![^\W_])[^\W_]{{2,}}(?:{_STABLE}|BTC|ETH|BNB|USD)(?![^\W_])", re.IGNORECASE
)
_PARTED = re.compile(rf"(?<![^\W_])([A-Z0-9]{{2,}})[-_]({_STABLE})(?![^\W_])")
# A delivery contract of the archive, such as BTCUSDT_230331-1m-2023-01; elsewhere it may be a date.
_DELIVERY = re.compile(r"([^\W_]{5,}_\d{6})-[A-Za-z0-9]+-\d{4}-\d{2}(-\d{2})?(?!\d)")
_DATED = re.compile(rf"(?:{_STABLE})_\d{{6}}(?![^\W_])", re.IGNORECASE)
_TIMEFRAME = re.compile(r"(?<![A-Za-z0-9])([1-9]\d*(?:ms|mo|Mo|[smhdwM]))(?![A-Za-z0-9])")
_FREQTRADE = re.compile(
    r"([A-Z0-9]+)_([A-Z0-9]+)(?:_([A-Z0-9]+))?-(\d+[A-Za-z]+)(?:-(futures|mark|funding_rate))?\.\w+"
)
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("aggTrades", AGG_TRADES),
    ("bookDepth", BOOK_DEPTH),
    ("bookTicker", QUOTES),
    (r"funding", FUNDING),
    (r"mark(?![a-z])", MARK),
    (r"metrics", METRICS),
)
_MARKET_WORDS = {"spot": {"spot"}, "um": {"um", "usdm", "fapi"}, "cm": {"cm", "coinm", "dapi"}}
_NOT_STORED = re.compile(
    r"(?:index|premiumIndex)Price(?:Klines)?|premiumIndex(?:Klines)?"
    r"|liquidationSnapshot|(?<=-)trades(?=-\d{4}-)"
)


@dataclass(frozen=True, slots=True)
class Labels:
    """What the user says about files whose names do not say it, and the range wanted."""

    symbol: str | None = None
    market: str | None = None
    timeframe: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a name and folders tell; None and "" for what they do not."""

    kind: Kind | None = None
    symbol: str = ""
    market: str = ""
    timeframe: str = ""


def told_by(path: Path, labels: Labels) -> Told:
    """Read the name of a file and the archive's folders above it, but for what a flag says.

    Raises
    ------
    WickError
        It holds something that is not stored, its symbol or market cannot be told for certain, or
        name and folders contradict each other.
    """
    parts = path.absolute().parts[:-1]
    other = _NOT_STORED.search(path.name) or next(
        (found for part in parts if (found := _NOT_STORED.fullmatch(part))), None
    )
    if other:
        raise WickError(
            f"{path.name} holds {other[0]}, which is not stored",
            f"import files of {', '.join(kind.archive for kind in KINDS.values())}",
        )
    folders = _by_folders(parts)
    name = _by_freqtrade(path) if path.name.endswith(TABLES) else None
    name = name or Told(
        _kind(path.name),
        labels.symbol or _symbol(path.name),
        labels.market or _market(path.name),
        labels.timeframe or _timeframe(path.name),
    )
    for what in ("symbol", "market", "timeframe"):
        above, own = getattr(folders, what), getattr(name, what)
        if above and own and above != own and not getattr(labels, what):
            raise WickError(
                f"{path.name} names the {what} {own}, but lies in the archive's folders of {above}",
                f"add --{what} with the right one",
            )
    return Told(
        kind=name.kind or folders.kind,
        symbol=folders.symbol or name.symbol,
        market=folders.market or name.market,
        timeframe=name.timeframe or folders.timeframe,
    )


def refuse_other_member(path: Path, member: str, labels: Labels, told: Told) -> None:
    """Look whether the CSV inside a zip is named for what the zip is named for.

    Parameters
    ----------
    path, member : Path, str
        The zip and the name of its CSV.
    labels : Labels
        What a flag says is not looked at.
    told : Told
        Of the zip, from `told_by`.

    Raises
    ------
    WickError
        Symbol, timeframe, kind or period differ.
    """
    symbols = _symbols(member)
    pairs = [
        (
            "symbol",
            told.symbol,
            told.symbol if told.symbol in symbols else min(symbols, default=""),
        ),
        ("timeframe", told.timeframe, _timeframe(member)),
    ]
    outer, inner = archive_name(path.name), archive_name(member)
    if outer and inner:
        lengths = [_timeframe(word) for word in (outer.word, inner.word)]
        pairs += [
            ("symbol", outer.symbol, inner.symbol),
            ("timeframe" if all(lengths) else "kind", outer.word, inner.word),
            ("period", outer.period, inner.period),
        ]
    for what, of_zip, of_member in pairs:
        if of_zip and of_member and of_zip != of_member and not getattr(labels, what, None):
            flag = "" if what == "period" else f", or add --{what} with the right one"
            raise WickError(
                f"{path.name} holds {member}, which is named for another {what}",
                f"nothing of this file was stored; give the zip its right name{flag}",
            )


def _by_folders(parts: tuple[str, ...]) -> Told:
    """Read data/futures/um/monthly/klines/BTCUSDT/1m, or as much of it as is there."""
    for at in range(len(parts) - 1, -1, -1):
        kind = next((one for one in KINDS.values() if one.archive == parts[at]), None)
        if kind is None:
            continue
        whole = at > 1 and parts[at - 1] in ("monthly", "daily")
        below = parts[at + 1 :]
        return Told(
            kind,
            below[0].upper() if whole and below else "",
            parts[at - 2] if whole else "",
            timeframe_of(below[1]) if whole and kind.has_timeframe and len(below) > 1 else "",
        )
    return Told()


def _by_freqtrade(path: Path) -> Told | None:
    found = _FREQTRADE.fullmatch(path.name)
    if found is None:
        return None
    base, quote, settled, timeframe, candles = found.groups()
    if settled not in (None, quote):
        raise WickError(
            f"{path.name} holds contracts margined in {settled}, which are not stored",
            "import those margined in USDT or USDC",
        )
    kind = {"mark": MARK, "funding_rate": FUNDING}.get(candles, KLINES)
    timeframe = MONTH if timeframe == "1Mo" else timeframe
    return Told(kind, base + quote, "um" if settled or candles else "spot", timeframe)


def _kind(name: str) -> Kind | None:
    for words, kind in _KINDS:
        if re.search(rf"(?<![A-Za-z]){words}", name):
            return kind
    return None


def _symbol(name: str) -> str:
    if _DATED.search(name) and not _DELIVERY.match(name):
        raise WickError(
            f"{name} may hold a delivery contract or candles of that date: its symbol is not clear",
            "add --symbol BTCUSDT, or --symbol BTCUSDT_230331",
        )
    found = _symbols(name)
    if len(found) > 1:
        raise WickError(
            f"{name} names the symbols {', '.join(sorted(found))}",
            "add --symbol with the right one",
        )
    return next(iter(found), "")


def _symbols(name: str) -> set[str]:
    delivery = _DELIVERY.match(name)
    if delivery:
        return {delivery[1]}
    if _DATED.search(name):
        return set()
    joined = {found[0].upper() for found in _SYMBOL.finditer(name)}
    return joined or {"".join(parts) for parts in _PARTED.findall(name)}


def _market(name: str) -> str:
    words = set(re.split(r"[-_. ]", name.lower()))
    found = [market for market, its in _MARKET_WORDS.items() if words & its]
    if "futures" in words and "um" not in found and "cm" not in found:
        found.append("um")
    if len(found) > 1:
        raise WickError(
            f"{name} names the markets {', '.join(found)}", "add --market with the right one"
        )
    return found[0] if found else ""


def _timeframe(name: str) -> str:
    found = set(_TIMEFRAME.findall(name))
    # Of several one may be anything: the spacing of the rows decides.
    return timeframe_of(found.pop().replace("Mo", "mo")) if len(found) == 1 else ""
