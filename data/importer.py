"""Files of candles into the store: what a path holds and which series it belongs to, one by one."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.clean import cleaned
from data.manifest import MARKETS, Series, Source, timeframe_of
from data.parse import ParsedFile, parse
from data.table import column
from data.writer import Merge, writing
from strategy.errors import WickError, did_you_mean
from strategy.timeframes import longest_ms

ENDINGS = (".zip", ".csv", ".csv.gz", ".parquet")
_SYMBOL = re.compile(
    r"(?<![A-Z0-9])[A-Z0-9]{2,}(?:USDT|USDC|FDUSD|BUSD|BTC|ETH|BNB|USD)(?![A-Z0-9])"
)
_TIMEFRAME = re.compile(r"(?<![A-Za-z0-9])([1-9]\d*(?:ms|mo|[smhdwM]))(?![A-Za-z0-9])")
_OTHER_KINDS = re.compile(
    r"aggTrades|trades|bookDepth|bookTicker|metrics|funding|(mark|index)Price|premiumIndex|mark(?=-)"
)


@dataclass(frozen=True, slots=True)
class Labels:
    """What the user says about files whose names do not say it, and the range wanted."""

    symbol: str | None = None
    market: str | None = None
    timeframe: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What one file was understood to be and what became of it."""

    path: Path
    series: Series
    layout: str
    rows: int
    first_open_time: int
    last_open_time: int
    merge: Merge
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file of which nothing was stored, and why."""

    path: Path
    message: str
    hint: str


def files_in(paths: Sequence[Path]) -> list[Path]:
    """List the readable files among paths and inside folders, sorted by name.

    Raises
    ------
    WickError
        A path does not exist, or there is nothing to read.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.name.endswith(ENDINGS) and p.is_file())
        elif path.exists():
            found.append(path)
        else:
            raise WickError(
                f"{path} does not exist",
                f"give a file or folder of {', '.join(ENDINGS)} files: wick data import PATH",
            )
    if not found:
        raise WickError(
            f"no candle files in {', '.join(map(str, paths))}",
            f"readable endings are {', '.join(ENDINGS)}",
        )
    return found


def import_files(
    store: Path, files: Iterable[Path], labels: Labels, now_ms: int
) -> Iterator[Imported | Refused]:
    """Store the candles of each file, or nothing of it, and say what became of it.

    Parameters
    ----------
    store : Path
        Folder of the store.
    files : iterable of Path
        From `files_in`.
    labels : Labels
        Symbol, market and timeframe where names do not tell, and the range wanted.
    now_ms : int
        The present, for candles that have not closed yet.

    Yields
    ------
    Imported or Refused
        Per file, in order.
    """
    for path in files:
        try:
            yield import_file(store, path, labels, now_ms)
        except WickError as error:
            yield Refused(path, error.message, error.hint)


def import_file(store: Path, path: Path, labels: Labels, now_ms: int) -> Imported:
    """Store the candles of one file, all or none.

    Raises
    ------
    WickError
        The file is damaged, cannot be placed, or has a row that cannot be a candle.
    """
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    _verify_neighbour(path, digest)
    other = _OTHER_KINDS.search(path.name)
    if other:
        raise WickError(
            f"{path.name} holds {other[0]}, not candles",
            "import files of klines; others are not read yet",
        )
    parsed = parse(path.name, raw)
    series = place(path, parsed, labels)
    table, notes = cleaned(parsed, series, now_ms, labels.start_ms, labels.end_ms)
    merge = Merge()
    first, last = 0, 0
    if len(table):
        times = column(table, "open_time")
        first, last = int(times[0]), int(times[-1])
        with writing(store, series) as writer:
            merge = writer.add(table, Source(path.name, digest))
    if merge.replaced:
        notes.append(f"{merge.replaced} stored candles differed and were replaced")
    return Imported(path, series, parsed.layout, len(table), first, last, merge, tuple(notes))


def place(path: Path, parsed: ParsedFile, labels: Labels) -> Series:
    """Tell the series of a file from flags, then the file itself, then its name and folders.

    Raises
    ------
    WickError
        Symbol, market or timeframe cannot be told, or is not known.
    """
    symbol = labels.symbol or parsed.labels.get("symbol") or _match(_SYMBOL, path.name)
    timeframe = labels.timeframe or parsed.labels.get("timeframe") or _match(_TIMEFRAME, path.name)
    market = labels.market or parsed.labels.get("market") or _market_of(path, parsed)
    if symbol is None:
        raise _cannot_place(path, "symbol", "--symbol BTCUSDT")
    if timeframe is None:
        raise _cannot_place(path, "timeframe", "--timeframe 1m")
    if market is None:
        raise _cannot_place(path, "market", "--market um or --market spot")
    timeframe = timeframe_of(timeframe)
    longest_ms(timeframe)
    if market not in MARKETS:
        raise WickError(
            f"{path.name} belongs to the market {market!r}, which is not stored",
            did_you_mean(market, MARKETS),
        )
    return Series(market, symbol.upper(), timeframe)


def _market_of(path: Path, parsed: ParsedFile) -> str | None:
    parts = [part.lower() for part in path.absolute().parts[:-1]]
    words = re.split(r"[-_.]", path.name.lower())
    if "spot" in words:
        return "spot"
    if "um" in words or "futures" in words:
        return "um"
    # The archive's folders: data/spot/monthly/klines/… and data/futures/um/monthly/klines/…
    if "klines" in parts and "spot" in parts:
        return "spot"
    if "klines" in parts and parts[parts.index("klines") - 2] == "um":
        return "um"
    if parsed.layout.startswith("Binance"):
        # Only spot files have microseconds (since 2025), only futures files have a header.
        if parsed.microseconds:
            return "spot"
        if parsed.has_header:
            return "um"
    return None


def _match(pattern: re.Pattern[str], name: str) -> str | None:
    found = pattern.search(name)
    return found[0] if found else None


def _cannot_place(path: Path, what: str, flag: str) -> WickError:
    return WickError(
        f"cannot tell the {what} of {path.name} from its name or content", f"add {flag}"
    )


def _verify_neighbour(path: Path, digest: str) -> None:
    neighbour = path.with_name(path.name + ".CHECKSUM")
    if neighbour.exists() and neighbour.read_text().split()[:1] != [digest]:
        raise WickError(
            f"{path.name} does not match {neighbour.name} beside it",
            "download both files again",
        )
