"""What is known of the candles that were passed on: whether a candle can be, and who says otherwise
of one that is gone out and decided on."""

import logging
import math
from collections import defaultdict

from data.dates import show_time
from live.records import ClosedCandle

log = logging.getLogger(__name__)

_REMEMBERED = 16  # candles of a symbol; an exchange mends its newest ones


def is_sound(candle: ClosedCandle, length_ms: int, offset_ms: int) -> bool:
    """Tell whether a candle's numbers and its place in the timeframe's grid can be."""
    try:
        opened, high, low, close, volume = map(
            float, (candle.open, candle.high, candle.low, candle.close, candle.volume)
        )
    except ValueError:
        return False
    return (
        0.0 < low <= opened <= high < math.inf  # false of NaN, at every place
        and low <= close <= high
        and 0.0 <= volume < math.inf
        and (candle.open_time - offset_ms) % length_ms == 0
    )


class Published:
    """The newest candles that went out, and how often somebody said otherwise of one.

    A candle is decided on once. What the exchange says of it later is a difference between its
    data and ours, to be known and not to be followed.
    """

    def __init__(self) -> None:
        self._candles: dict[str, dict[int, ClosedCandle]] = defaultdict(dict)
        self._revised: dict[str, ClosedCandle] = {}  # the last of each symbol
        self._count = 0

    def has(self, symbol: str, open_time: int) -> bool:
        """Tell whether this candle is remembered."""
        return open_time in self._candles[symbol]

    def add(self, candle: ClosedCandle) -> None:
        """Remember a candle that goes out."""
        its = self._candles[candle.symbol]
        its[candle.open_time] = candle
        if len(its) > _REMEMBERED:
            del its[min(its)]

    def compare(self, candle: ClosedCandle) -> None:
        """Log a candle that differs in a number from the one of its time that went out."""
        ours = self._candles[candle.symbol].get(candle.open_time)
        if ours is None or _numbers(ours) == _numbers(candle):
            return
        if candle == self._revised.get(candle.symbol):  # the same as before
            return
        at = show_time(candle.open_time)
        log.warning(
            "time=%s symbol=%s candle=revised ours=%s new=%s", at, ours.symbol, ours, candle
        )
        self._count += 1
        self._revised[candle.symbol] = candle

    @property
    def note(self) -> str:
        """The differences in a few words, empty while there is none."""
        if not self._count:
            return ""
        last = ", ".join(
            f"{symbol} {show_time(one.open_time)} UTC"
            for symbol, one in sorted(self._revised.items())
        )
        times = f"{self._count} time{'' if self._count == 1 else 's'}"
        return f"decided candles were revised {times}, last {last}"


def _numbers(candle: ClosedCandle) -> tuple[float, ...] | None:
    # The socket and REST may write one number in two ways.
    texts = (
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.quote_volume,
        candle.taker_buy,
    )
    try:
        return (*map(float, texts), float(candle.trades))
    except ValueError:
        return None
