"""What the name of a file and its folders tell: kind, symbol, market, timeframe."""

import re
from dataclasses import dataclass
from pathlib import Path

from data.files.parse import TABLES
from data.kinds import AGG_TRADES, BOOK_DEPTH, FUNDING, KINDS, KLINES, MARK, METRICS, Kind
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
    (r"funding", FUNDING),
    (r"mark(?![a-z])", MARK),
    (r"metrics", METRICS),
)
_NOT_STORED = re.compile(
    r"(?:index|premiumIndex)Price(?:Klines)?|premiumIndex(?:Klines)?|bookTicker"
    r"|liquidationSnapshot|(?<=-)trades(?=-\d{4}-)"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a name and folders tell; None and "" for what they do not."""

    kind: Kind | None = None
    symbol: str = ""
    market: str = ""
    timeframe: str = ""


def told_by(path: Path) -> Told:
    """Read the name of a file and the archive's folders above it.

    Raises
    ------
    WickError
        It holds something that is not stored, or its symbol cannot be told for certain.
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
    name = name or Told(_kind(path.name), _symbol(path), _market(path.name), _timeframe(path.name))
    return Told(
        kind=name.kind or folders.kind,
        symbol=folders.symbol or name.symbol,
        market=folders.market or name.market,
        timeframe=name.timeframe or folders.timeframe,
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
            below[0] if whole and below else "",
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


def _symbol(path: Path) -> str:
    name = path.name
    delivery = _DELIVERY.match(name)
    if delivery:
        return delivery[1]
    if _DATED.search(name):
        raise WickError(
            f"{name} may hold a delivery contract or candles of that date: its symbol is not clear",
            "add --symbol BTCUSDT, or --symbol BTCUSDT_230331",
        )
    joined = {found[0].upper() for found in _SYMBOL.finditer(name)}
    found = joined or {"".join(parts) for parts in _PARTED.findall(name)}
    if len(found) > 1:
        raise WickError(
            f"{name} names the symbols {', '.join(sorted(found))}",
            "add --symbol with the right one",
        )
    return next(iter(found), "")


def _market(name: str) -> str:
    words = set(re.split(r"[-_. ]", name.lower()))
    if "spot" in words:
        return "spot"
    if words & {"cm", "coinm", "dapi"}:
        return "cm"
    return "um" if words & {"um", "futures", "usdm", "fapi"} else ""


def _timeframe(name: str) -> str:
    found = set(_TIMEFRAME.findall(name))
    # Of several one may be anything: the spacing of the rows decides.
    return timeframe_of(found.pop().replace("Mo", "mo")) if len(found) == 1 else ""
