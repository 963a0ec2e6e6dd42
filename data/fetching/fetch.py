"""A series from the archive first, then from REST what the archive does not have."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from data.dates import show_time
from data.fetching.additions import Additions
from data.fetching.archive import fetch_archive, foreseen_files
from data.fetching.download import Archive
from data.fetching.fetched import Fetched, Watcher
from data.fetching.rest_fill import Filler, foreseen_pages
from data.files.times import MEND
from data.gaps import OUTAGE, classify, read_ledger
from data.kinds import FUNDING, KLINES
from data.manifest import Series
from data.quality import holes
from data.rest.rows import REST_KINDS, NotListed, Rest, Unreachable
from data.rules.updates import refresh_rules
from data.table import period_end_ms, period_start_ms
from data.writer import writing
from strategy.errors import RunRefused, WickError, did_you_mean
from strategy.timeframes import DAY_MS, EXCHANGE_TIMEFRAMES, MONTH, close_times, longest_ms

_KEPT = "; what the archive has is stored"
# A clock that is wrong by less is nobody's trouble.
_CLOCK_TOLERANCE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Sources:
    """Where data come from."""

    archive: Archive
    rest: Rest


def fetch_all(
    store: Path,
    sources: Sources,
    wanted: Sequence[Series],
    start_ms: int,
    end_ms: int | None,
    local_ms: int,
    watching: Callable[[str], AbstractContextManager[Watcher]],
) -> Iterator[Fetched]:
    """Fetch series one after the other; candles bring exchange rules along, futures' also funding.

    Parameters
    ----------
    store : Path
        Folder of the store.
    sources : Sources
        Where to ask.
    wanted : sequence of Series
        Of one market and kind.
    start_ms, end_ms : int
        First time wanted and first not wanted, UTC ms; None for all up to now.
    local_ms : int
        The present by this computer's clock; that of the exchange is followed where it answers.
    watching : callable
        Gives whoever watches the progress of what the text names.

    Raises
    ------
    WickError, RunRefused
        As `fetch`; one that only a series is the reason of comes after all others. What fails with
        a companion is a note.
    """
    for series in wanted:
        _refuse_unknown(series)
    _refuse_empty(start_ms, min(local_ms, end_ms or local_ms))
    rest: Rest | None = sources.rest
    with watching("the exchange's time"):
        try:
            now_ms, notes = exchange_time(sources.rest, wanted[0].market, local_ms)
        except Unreachable as error:
            if start_ms >= local_ms - local_ms % DAY_MS:
                raise
            rest, now_ms = None, local_ms
            notes = [f"{error.message}; the archive alone is asked"]
    stop_ms = now_ms if end_ms is None else end_ms

    def get(series: Series) -> Fetched:
        with watching(str(series)) as watcher:
            return fetch(store, sources.archive, rest, series, start_ms, stop_ms, now_ms, watcher)

    failed: list[WickError] = []
    for series in wanted:
        try:
            result = get(series)
        except RunRefused:
            raise
        except WickError as error:
            # Of many symbols one may be mistyped, or not have begun yet.
            failed.append(error)
            continue
        companion = None
        if series.kind == KLINES.name:
            if series.market == "um":
                companion = _noted(get, Series("um", series.symbol, "", FUNDING.name), result)
            if rest is not None and series == wanted[0]:
                failure = refresh_rules(store, rest, series.market, now_ms)
                result.notes += [failure] if failure else []
        result.notes[:0], notes = notes, []
        yield result
        if companion is not None:
            yield companion
    if failed:
        left = f"{len(failed)} of {len(wanted)} symbols could not be fetched: "
        message = "; ".join(error.message for error in failed)
        raise WickError((left if len(wanted) > 1 else "") + message, failed[0].hint)


def _noted(get: Callable[[Series], Fetched], series: Series, result: Fetched) -> Fetched | None:
    """Fetch what comes along; a failure is a note of the result that it comes along with."""
    try:
        return get(series)
    except WickError as error:
        result.notes.append(f"no {series.its_kind.plural}: {error.message}")
        return None


def exchange_time(rest: Rest, market: str, local_ms: int) -> tuple[int, list[str]]:
    """Ask the exchange for its time, and note where this computer's differs.

    Raises
    ------
    Unreachable
        There is no usable answer.
    """
    now_ms = rest.now_ms(market)
    off_ms = local_ms - now_ms
    if abs(off_ms) <= _CLOCK_TOLERANCE_MS:
        return now_ms, []
    side = "ahead of" if off_ms > 0 else "behind"
    note = (
        f"this computer's clock is {_length(abs(off_ms))} {side} the exchange's,"
        f" {_minute(now_ms)} UTC: the exchange's is followed"
    )
    return now_ms, [note]


def fetch(
    store: Path,
    archive: Archive,
    rest: Rest | None,
    series: Series,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    watcher: Watcher,
) -> Fetched:
    """Bring a range of a series into the store: from the archive, then from REST.

    Parameters
    ----------
    store : Path
        Folder of the store.
    archive : Archive
        Address and manners.
    rest : Rest or None
        None for the archive alone.
    series : Series
        What to fetch.
    start_ms, end_ms : int
        First time wanted and first not wanted, UTC ms; of the archive whole months or days.
    now_ms : int
        The present by the exchange's clock: what closes later is never stored.
    watcher : Watcher
        Told about the progress.

    Raises
    ------
    WickError
        There is nothing of this series in this range.
    RunRefused
        The archive does not answer, a file stays damaged, or another process writes this series.
    """
    _refuse_unknown(series)
    result = Fetched(series)
    today = now_ms - now_ms % DAY_MS
    if series.kind not in REST_KINDS:
        rest = None
        if end_ms > today:
            what = series.its_kind.plural
            result.notes.append(f"REST has no {what}: they end with the archive, a day behind")
    # The archive has whole days only.
    end_ms = min(end_ms, now_ms if rest is not None else today)
    _refuse_empty(start_ms, end_ms)
    with writing(store, series) as writer:
        pages = foreseen_pages(series, max(start_ms, today), end_ms) if rest is not None else 0
        watcher.foresee(foreseen_files(series, start_ms, min(end_ms, today)) + pages)
        additions = Additions(store, series, writer, result)
        held = fetch_archive(archive, additions, start_ms, end_ms, now_ms, watcher)
        has_ended = False
        if rest is not None:
            filler = Filler(rest, additions, now_ms, watcher)
            has_ended = _fill(filler, additions, start_ms, end_ms)
        if not held.found and not additions.has_any(start_ms, end_ms):
            raise _nothing_there(archive, result, start_ms, end_ms)
        result.missing_days = _missing(additions, held.absent, has_ended)
        result.notes += _left(additions, start_ms, end_ms, has_ended)
    return result


def _left(additions: Additions, start_ms: int, end_ms: int, has_ended: bool) -> list[str]:
    """Say what is missing still and is no outage of the exchange, in the middle and at the end."""
    its, notes = additions.series, []
    if not its.its_kind.has_candles or its.timeframe == MONTH:
        return []
    times = additions.times(start_ms, end_ms)
    gaps = holes(times, its.timeframe)
    parts = classify(gaps, read_ledger(additions.folder), its)
    lost = [part.gap for part in parts if part.cause != OUTAGE]
    if lost:
        count = its.its_kind.counted(sum(gap.count for gap in lost))
        notes.append(
            f"missing in between: {count}, first {show_time(lost[0].first_missing)} UTC:"
            f" wick data repair {its.symbol}"
        )
    after_ms = int(close_times(times[-1:], its.timeframe)[0]) if len(times) else end_ms
    closed = (end_ms - after_ms) // _length_ms(its)
    if closed > 0 and not has_ended:
        count = its.its_kind.counted(closed)
        notes.append(f"{count} from {show_time(after_ms)} UTC on could not be had yet")
    return notes


def _fill(filler: Filler, additions: Additions, start_ms: int, end_ms: int) -> bool:
    """Ask REST; say whether it knows of no rows after the last one stored."""
    its, result = additions.series, additions.result
    try:
        last_ms = filler.fill_tail(start_ms, end_ms)
        filler.fill_holes(start_ms, end_ms)
    except NotListed:
        last_ms = additions.last(start_ms, end_ms)
        if last_ms:
            result.notes.append(
                f"{its.symbol} is not listed any more: its {its.its_kind.plural} end at"
                f" {show_time(last_ms)} UTC"
            )
        return True
    except Unreachable as error:
        result.notes.append(error.message + _KEPT)
        return False
    if last_ms and last_ms < end_ms - DAY_MS - _length_ms(its):
        result.notes.append(
            f"neither the archive nor REST has {its.its_kind.plural} of {its.symbol} after"
            f" {show_time(last_ms)} UTC"
        )
        return True
    return False


def _missing(additions: Additions, absent: list[str], has_ended: bool) -> list[str]:
    """Leave of days without a file those that nothing is stored of."""
    its = additions.series
    if not absent or _length_ms(its) > DAY_MS:
        return []
    if its.kind not in REST_KINDS:
        return absent
    start_ms, end_ms = period_start_ms(absent[0]), period_end_ms(absent[-1])
    stored = additions.periods(start_ms, end_ms, len(absent[0]))
    last = max(stored, default="") if has_ended else "9999"
    return [p for p in absent if p not in stored and p <= last]


def _refuse_unknown(its: Series) -> None:
    if its.market not in its.its_kind.markets:
        raise WickError(
            f"the market {its.market} has no {its.its_kind.plural}",
            f"--market {its.its_kind.markets[0]}",
        )
    if its.timeframe and its.timeframe not in (*EXCHANGE_TIMEFRAMES, MONTH):
        raise WickError(
            f"unknown timeframe {its.timeframe!r}, the exchange has none such",
            f"known: {' '.join(EXCHANGE_TIMEFRAMES)} {MONTH}",
        )


def _refuse_empty(start_ms: int, end_ms: int) -> None:
    if start_ms >= end_ms:
        raise WickError(
            f"the range from {show_time(start_ms)} to {_minute(end_ms)} UTC holds no whole day",
            "give --from a date before today and before --to",
        )


def _length_ms(its: Series) -> int:
    return longest_ms(its.timeframe) if its.timeframe else 0


def _minute(time_ms: int) -> str:
    return show_time(time_ms // 60_000 * 60_000)


def _length(time_ms: int) -> str:
    for unit, length_ms in (("day", DAY_MS), ("hour", 3_600_000), ("minute", 60_000)):
        if time_ms >= length_ms:
            count = round(time_ms / length_ms)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{time_ms} ms"


def _nothing_there(archive: Archive, result: Fetched, start_ms: int, end_ms: int) -> WickError:
    from data.symbols import known_symbols

    for message in result.refused.values():
        return WickError(message, MEND)
    series = result.series
    other = "spot" if series.market == "um" else "um"
    known = known_symbols(series.market)
    what = f"{series} candles" if series.kind == KLINES.name else str(series)
    return WickError(
        f"{archive.url} has no {what} from {show_time(start_ms)} to {_minute(end_ms)}"
        + "".join(f"; {note.removesuffix(_KEPT)}" for note in result.notes if _KEPT in note),
        "take a later --from"
        if series.symbol in known
        else did_you_mean(series.symbol, known) + f"; or --market {other}",
    )
