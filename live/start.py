"""Building a session: what was asked for, checked as far as possible before any process starts."""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from data import runs, store
from data.dates import show_time
from data.funding import funding_notes, funding_of_store
from data.manifest import known_market
from data.overrides import BALANCE, Given, costs_of, from_flags, from_toml, share_of_bps
from data.run_json import RunRecord
from data.selection import market_of, only_symbol, refuse_twice
from data.settings import Settings
from data.symbols import RuleBook, SymbolRules, fine_rules
from live.connect import shown
from live.session import Addresses, Session
from strategy.account import check_balance
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.fills import Costs
from strategy.load import Strategy, load
from strategy.options import refuse_unsupported
from strategy.risk import Risk, checked
from strategy.timeframes import DAY_MS, EXCHANGE_TIMEFRAMES, timeframe_ms, timeframe_offset_ms
from strategy.warmup import warm_up

MOST_WARM_UP = 1 << 17
SPEED = "60"
_WEEK_MS = 7 * DAY_MS
_NOWHERE = Addresses("", "")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; None where nothing was said."""

    strategy: str
    on: str
    symbols: tuple[str, ...] | None = None
    market: str | None = None
    changes: tuple[str, ...] = ()
    params: str | None = None
    balance: float | None = None
    fee_bps: float | None = None
    slippage_bps: float | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    speed: str = SPEED
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A session that only lacks its places.

    Attributes
    ----------
    session : Session
        Without addresses and Redis; without rules where the exchange has to be asked for them.
    source : bytes
        The strategy's file.
    warm_up : int
        Candles that its indicators need.
    end_ms : int
        End of a replay, 0 where there is none.
    speed : float
        Of a replay, as a multiple of the wall clock's; 0 for lockstep.
    notes : tuple of str
        What should be known of the replay's data.
    """

    session: Session
    source: bytes
    warm_up: int
    end_ms: int
    speed: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    first_open_time: int
    start_ms: int
    end_ms: int
    notes: tuple[str, ...] = ()


def draft(asked: Asked, settings: Settings, now_ms: int, command: Sequence[str]) -> Draft:
    """Check what was asked for and put a session together.

    Raises
    ------
    WickError
        Something asked for does not exist, does not fit, or there is too little history.
    """
    on = _known_world(asked)
    speed = speed_of(asked.speed)
    check_name(asked.name)
    strategy = load(asked.strategy)
    source = _source_run(asked, settings.runs)
    params, risk, known = _values(asked, strategy, source)
    symbols = _symbols(asked, strategy, settings.store, source)
    market = _market(asked, strategy, settings.store, symbols)
    count = _warm_up(strategy, params)
    if on == "paper":
        span = _replayed(asked, strategy, settings.store, market, symbols, count)
        book = RuleBook(settings.store, market)
        rules = tuple(
            book.rules(one, span.start_ms)
            or _fine_rules(settings.store, market, one, strategy.timeframe)
            for one in symbols
        )
    else:
        span = _Span(first_open_time(strategy.timeframe, now_ms, count), now_ms, 0)
        rules = ()
    refuse_unsupported(
        f"wick live --on {on}",
        "live",
        risk,
        known,
        has_limit=strategy.has_limit,
        has_priority=strategy.has_priority,
    )
    session = Session(
        id=asked.name or runs.run_id(now_ms, on, strategy.name, symbols),
        on=on,
        strategy=f"{strategy.name}.py",
        source_hash=strategy.source_hash,
        market=market,
        timeframe=strategy.timeframe,
        symbols=symbols,
        params=params._asdict(),
        risk=checked(risk, has_trail=strategy.has_trail)._asdict(),
        fee_rate=share_of_bps("--fee-bps", asked.fee_bps, known.fee_rate),
        slippage=share_of_bps("--slippage-bps", asked.slippage_bps, known.slippage),
        balance=_balance(asked, source),
        rules=rules,
        first_open_time=span.first_open_time,
        trade_from=span.start_ms,
        created_ms=now_ms,
        addresses=_NOWHERE,
        redis="",
        tag="",
        # An address of Redis may carry a password; no file gets it.
        command=tuple(re.sub(r"\w+://\S+", lambda url: shown(url[0]), one) for one in command),
    )
    tagged = msgspec.structs.replace(session, tag=tag_of(session))
    return Draft(tagged, strategy.source, count, span.end_ms, speed, span.notes)


def tag_of(session: Session) -> str:
    """Return the six characters that mark a session's orders."""
    said = msgspec.json.encode((session.source_hash, session.params, session.risk, session.id))
    return hashlib.sha256(said).hexdigest()[:6]


def speed_of(text: str) -> float:
    """Read --speed: a multiple of the wall clock's speed, or 0.0 for lockstep.

    Raises
    ------
    WickError
        It is neither.
    """
    if text == "lockstep":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0.0 < speed <= 100_000.0:
        raise WickError(
            f"--speed is {text!r}, expected lockstep or a number above 0, at most 100000",
            "--speed 60 plays an hour a minute, --speed lockstep as fast as the roles can decide",
        )
    return speed


def check_name(name: str | None) -> None:
    """Refuse a name that cannot be a session's folder and the prefix of its keys.

    Raises
    ------
    WickError
        It has other characters, is too long, or means something else.
    """
    if name is not None and (not re.fullmatch(r"\w[\w.-]{0,49}", name) or name == "last"):
        raise WickError(
            f"--name {name!r} cannot name a session",
            "up to 50 letters, digits, - _ and ., such as my-first; not last",
        )


def first_open_time(timeframe: str, start_ms: int, warm_up: int) -> int:
    """Return the candle that indicators begin with: far enough before a start, at the beginning of
    a UTC day, or of a week where the warm-up is longer than a day.

    Rounding gives sessions that start on one day the same history, and with it the same values:
    what is recursive depends on where it began.
    """
    length = timeframe_ms(timeframe)
    anchor = _WEEK_MS if warm_up * length > DAY_MS else DAY_MS
    offset = timeframe_offset_ms("1w") if anchor == _WEEK_MS else 0
    first = start_ms - warm_up * length
    first -= (first - offset) % anchor
    offset = timeframe_offset_ms(timeframe)
    return first + (offset - first) % length


def _known_world(asked: Asked) -> Literal["paper", "testnet"]:
    if asked.on == "live":
        raise WickError(
            "--on live is not open yet: a strategy has to be promoted to real money first",
            "--on paper replays stored candles, --on testnet trades on the exchange's demo futures",
        )
    if asked.on not in ("paper", "testnet"):
        raise WickError(f"--on {asked.on} is unknown, expected paper or testnet", "--on paper")
    if asked.on == "testnet":
        for flag, given in (("--from", asked.start_ms), ("--to", asked.end_ms)):
            if given is not None:
                raise WickError(
                    f"{flag} is for a replay, and --on testnet trades now", "leave it out"
                )
    return "paper" if asked.on == "paper" else "testnet"


def _source_run(asked: Asked, folder: Path) -> RunRecord | None:
    if asked.params is None or asked.params.endswith(".toml"):
        return None
    return runs.read_record(runs.find(folder, asked.params))


def _values(asked: Asked, strategy: Strategy, source: RunRecord | None) -> tuple[Any, Risk, Costs]:
    given = from_flags(asked.changes)
    if source is not None:
        given = given.over(Given(dict(source.params), dict(source.risk), {}))
    elif asked.params is not None:
        given = given.over(from_toml(asked.params))
    costs = costs_of(source.all_costs if source else Costs(), given.costs)
    return strategy.with_params(given.params), strategy.with_risk(given.risk), costs


def _balance(asked: Asked, source: RunRecord | None) -> float:
    balance = asked.balance
    if balance is None:
        return source.balance if source else BALANCE
    return check_balance(balance)


def _symbols(
    asked: Asked, strategy: Strategy, folder: Path, source: RunRecord | None
) -> tuple[str, ...]:
    symbols = asked.symbols or (tuple(its.symbol for its in source.data) if source else None)
    if symbols is None and asked.on == "testnet":
        raise WickError("--on testnet needs to know what to trade", "--symbols BTCUSDT")
    symbols = symbols or (only_symbol(folder, asked.market, strategy.timeframe),)
    refuse_twice(symbols)
    return symbols


def _market(asked: Asked, strategy: Strategy, folder: Path, symbols: Sequence[str]) -> str:
    if asked.market is not None:
        known_market(asked.market)
    if asked.on == "paper":
        return asked.market or market_of(folder, symbols[0], strategy.timeframe)
    if asked.market not in (None, "um"):
        raise WickError(f"--market {asked.market} cannot be traded", "--market um, or leave it out")
    if strategy.timeframe not in EXCHANGE_TIMEFRAMES[1:]:
        raise WickError(
            f"the exchange has no {strategy.timeframe} candles of futures",
            f"known: {' '.join(EXCHANGE_TIMEFRAMES[1:])}",
        )
    return "um"


def _warm_up(strategy: Strategy, params: Any) -> int:
    count = warm_up(strategy, params, MOST_WARM_UP)
    if count >= MOST_WARM_UP:
        raise WickError(
            f"the indicators of {strategy.name} have no value after {count:,} candles",
            "shorten their lengths with --set",
        )
    return count


def _fine_rules(folder: Path, market: str, symbol: str, timeframe: str) -> SymbolRules:
    candles = store.load(folder, market, symbol, timeframe, optional=())
    return fine_rules(market, symbol, float(candles.arrays["open"][0]))


def _replayed(
    asked: Asked,
    strategy: Strategy,
    folder: Path,
    market: str,
    symbols: Sequence[str],
    warm_up: int,
) -> _Span:
    length = timeframe_ms(strategy.timeframe)
    candles = {
        symbol: store.load(folder, market, symbol, strategy.timeframe, None, asked.end_ms, ())
        for symbol in symbols
    }
    times = {symbol: one.arrays["open_time"] for symbol, one in candles.items()}
    end_ms = min(int(its[-1]) for its in times.values()) + length
    if asked.end_ms is not None:
        end_ms = min(end_ms, asked.end_ms)
    start_ms = asked.start_ms
    if start_ms is None:  # the last day, or as much of it as history allows
        ready_ms = max(int(its[min(warm_up, len(its) - 1)]) for its in times.values())
        start_ms = max((end_ms - 1) // DAY_MS * DAY_MS, ready_ms)
    if start_ms >= end_ms:
        raise WickError(
            f"--from {show_time(start_ms)} is not before {show_time(end_ms)}, where the candles end"
            if asked.end_ms is None
            else f"--from {show_time(start_ms)} is not before --to {show_time(end_ms)}",
            "wick data show tells what is stored",
        )
    first = first_open_time(strategy.timeframe, start_ms, warm_up)
    for symbol, its in times.items():
        before = int(np.searchsorted(its, start_ms) - np.searchsorted(its, first))
        if before < warm_up:
            raise _too_little(strategy, symbol, its, start_ms, before, warm_up)
    first = max(first, min(int(its[np.searchsorted(its, first)]) for its in times.values()))
    notes = _funding_notes(folder, candles.values(), start_ms, end_ms) if market == "um" else ()
    return _Span(first, start_ms, end_ms, notes)


def _funding_notes(
    folder: Path, candles: Iterable[Candles], start_ms: int, end_ms: int
) -> tuple[str, ...]:
    notes: list[str] = []
    for one in candles:
        begin, end = np.searchsorted(one.open_time, (start_ms, end_ms)).tolist()
        played = one.slice(begin, end)
        notes += funding_notes(played, funding_of_store(folder, played)) if begin < end else []
    return tuple(notes)


def _too_little(
    strategy: Strategy, symbol: str, times: Any, start_ms: int, before: int, warm_up: int
) -> WickError:
    hint = f"wick data fetch {symbol} --timeframe {strategy.timeframe} --from an earlier day"
    if warm_up < len(times):
        enough_ms = -(-int(times[warm_up]) // DAY_MS) * DAY_MS
        hint = f"--from {show_time(enough_ms)[:10]} or later, or {hint}"
    return WickError(
        f"{symbol} has {before:,} {strategy.timeframe} candles before {show_time(start_ms)}, the"
        f" indicators of {strategy.name} need {warm_up:,} before the first decision",
        hint,
    )
