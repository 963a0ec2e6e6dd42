"""What happens on the market of a world, and what its strategy says: all from the seed."""

import random
from dataclasses import dataclass
from fractions import Fraction

from live.records import Batch, Signal
from strategy.rules import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT
from tests.live.sessions import MINUTE, START

NAN = float("nan")
FIRST_PRICE = 10_000  # ticks
# A calm market moves when what was decided at the minute's beginning has long been done.
_CALM_FROM_MS, _CALM_TO_MS = 30_000, 55_000


@dataclass(frozen=True, slots=True)
class Move:
    """A price at a moment."""

    time: int
    symbol: str
    price: int  # ticks


@dataclass(frozen=True, slots=True)
class Instant:
    """A funding instant."""

    time: int
    symbol: str
    rate: Fraction
    mark: int  # ticks


@dataclass(frozen=True, slots=True)
class Script:
    """The moves and the funding in order, and one batch a minute."""

    moves: tuple[Move, ...]
    batches: tuple[Batch, ...]
    funding: tuple[Instant, ...]


def write_script(seed: int, symbols: tuple[str, ...], minutes: int, *, wild: bool) -> Script:
    """Draw a world's market."""
    draw = random.Random(f"script {seed}")
    prices = dict.fromkeys(symbols, FIRST_PRICE)
    busy, volatile = draw.choice((0.1, 0.3, 0.6)), draw.choice((5, 20, 60))
    moves, batches = [], []
    for minute in range(minutes):
        begins = START + minute * MINUTE
        ranges = {}
        for symbol in symbols:
            seen = [prices[symbol]]
            first, last = (1, MINUTE - 1) if wild else (_CALM_FROM_MS, _CALM_TO_MS)
            for at in sorted(draw.sample(range(first, last), draw.randint(1, 4))):
                prices[symbol] += round(draw.gauss(0, volatile))
                moves.append(Move(begins + at, symbol, prices[symbol]))
                seen.append(prices[symbol])
            ranges[symbol] = (max(seen), min(seen), seen[-1])
        signals = [_signal(draw, symbol, begins, ranges[symbol], busy) for symbol in symbols]
        late = len(signals) > 1 and draw.random() < 0.1
        batches.append(
            Batch(
                begins + MINUTE,
                tuple(signals[:-1] if late else signals),
                (symbols[-1],) if late else (),
            )
        )
    funding = _funding(seed, symbols, minutes, wild=wild)
    return Script(tuple(sorted(moves, key=lambda one: one.time)), tuple(batches), funding)


def _funding(
    seed: int, symbols: tuple[str, ...], minutes: int, *, wild: bool
) -> tuple[Instant, ...]:
    # Days of eight, four and one hour's intervals in minutes, so that many fall on every position;
    # from the second day on the intervals change as they like.
    draw = random.Random(f"funding {seed}")
    hour_ms, found = draw.choice((2_000, 5_000, 7_500)), []
    for symbol in symbols:
        hours, time = draw.choice((8, 4, 1)), START
        largest = draw.choice((1, 30, 75))
        while time < START + minutes * MINUTE:
            rate = Fraction(draw.randint(-largest, largest), 10_000)
            mark = FIRST_PRICE + draw.randint(-200, 200)
            # In a calm market nothing depends on how fast an order left after the minute's close.
            if wild or _CALM_FROM_MS <= (time - START) % MINUTE <= _CALM_TO_MS:
                found.append(Instant(time, symbol, rate, mark))
            hours = draw.choice((8, 4, 1)) if draw.random() < 0.2 else hours
            time += hours * hour_ms
    place = {symbol: at for at, symbol in enumerate(symbols)}
    return tuple(sorted(found, key=lambda one: (one.time, place[one.symbol])))


def _signal(
    draw: random.Random, symbol: str, open_time: int, prices: tuple[int, int, int], busy: float
) -> Signal:
    high, low, close = (price / 10 for price in prices)
    bits = 0
    if draw.random() < busy:
        bits |= draw.choice((ENTER_LONG, ENTER_SHORT))
    if draw.random() < busy / 2:
        bits |= draw.choice((EXIT_LONG, EXIT_SHORT))
    enters = bool(bits & (ENTER_LONG | ENTER_SHORT))
    stop = draw.choice((0.5, 3.0, 12.0, 40.0))
    return Signal(
        symbol=symbol,
        open_time=open_time,
        high=high,
        low=low,
        close=close,
        row=(),
        signals=bits,
        stop_distance=stop if enters else NAN,
        take_distance=stop * draw.choice((0.5, 2.0)) if enters else NAN,
        trail_distance=NAN,
        hash="",
    )
