"""Stored candles as the exchange tells them: kline rows, kline events, and the instants at which
something happens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.errors import WickError
from strategy.timeframes import timeframe_ms, timeframe_offset_ms

# How the columns of a longer candle come from those of its parts.
_REDUCE = {
    "high": np.maximum,
    "low": np.minimum,
    "volume": np.add,
    "quote_volume": np.add,
    "trades": np.add,
    "taker_buy": np.add,
}
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Kline:
    """One candle, closed or still running."""

    open_time: int
    close_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int
    taker_buy: float

    @property
    def row(self) -> list[int | str]:
        """The 12 columns of a REST answer; what the store does not hold is "0"."""
        return [
            self.open_time,
            text(self.open),
            text(self.high),
            text(self.low),
            text(self.close),
            text(self.volume),
            self.close_time,
            text(self.quote_volume),
            self.trades,
            text(self.taker_buy),
            "0",
            "0",
        ]

    def event(self, symbol: str, timeframe: str, time_ms: int, closed: bool) -> dict[str, Any]:
        """Return the event of a kline stream, to be sent at this time."""
        return {
            "e": "kline",
            "E": time_ms,
            "s": symbol,
            "k": {
                "t": self.open_time,
                "T": self.close_time,
                "s": symbol,
                "i": timeframe,
                "f": -1,
                "L": -1,
                "o": text(self.open),
                "c": text(self.close),
                "h": text(self.high),
                "l": text(self.low),
                "v": text(self.volume),
                "n": self.trades,
                "x": closed,
                "q": text(self.quote_volume),
                "V": text(self.taker_buy),
                "Q": "0",
                "B": "0",
            },
            "st": 1,
        }


class Replay:
    """The stored candles of several symbols between two instants, with the history before.

    Parameters
    ----------
    candles : sequence of Candles
        One per symbol, of one timeframe.
    start_ms : int
        Open time of the first candle to be played; older ones are history.
    end_ms : int
        First open time that is not played any more.

    Attributes
    ----------
    instants : list of int
        Every time at which a played candle opens or closes, ascending.
    """

    def __init__(self, candles: Sequence[Candles], start_ms: int, end_ms: int) -> None:
        self.timeframe = candles[0].timeframe
        self.timeframe_ms = candles[0].timeframe_ms
        for one in candles:
            if one.timeframe != self.timeframe:
                raise WickError(
                    f"{one.symbol} has {one.timeframe} candles, {candles[0].symbol} has"
                    f" {self.timeframe} ones",
                    "replay candles of one timeframe",
                )
        self.start_ms = start_ms
        self._series = {one.symbol: _Series(one, end_ms) for one in candles}
        self.instants = self._instants()

    @property
    def symbols(self) -> tuple[str, ...]:
        """In configured order."""
        return tuple(self._series)

    def opening(self, time_ms: int) -> list[tuple[str, Kline]]:
        """Return the symbols with a candle that opens at this time, as it is at its first trade."""
        found = ((symbol, one.opened(time_ms)) for symbol, one in self._series.items())
        return [(symbol, kline) for symbol, kline in found if kline is not None]

    def closing(self, time_ms: int) -> list[tuple[str, Kline]]:
        """Return the symbols with a played candle that closes at this time."""
        opened = time_ms - self.timeframe_ms
        if opened < self.start_ms:
            return []
        found = ((symbol, one.closed(opened)) for symbol, one in self._series.items())
        return [(symbol, kline) for symbol, kline in found if kline is not None]

    def symbols_closing(self, time_ms: int) -> list[str]:
        """Return the symbols with a candle that closes at this time, those of the history too."""
        opened = time_ms - self.timeframe_ms
        return [symbol for symbol, one in self._series.items() if one.closed(opened) is not None]

    def window(self, symbol: str, timeframe: str, open_time: int, now_ms: int) -> Kline | None:
        """Return the candle of any timeframe that opened at this time, as far as it has got."""
        return self._series[symbol].window(timeframe, open_time, now_ms)

    def rows(
        self,
        symbol: str,
        timeframe: str,
        now_ms: int,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> list[Kline]:
        """Return candles as klines are asked for: the first ones from a start, else the newest.

        The last one is the running candle where the asked span reaches the present.
        """
        series = self._series[symbol]
        times = series.arrays_of(timeframe)["open_time"]
        high = int(np.searchsorted(times, now_ms, "right"))
        if end_ms is not None:
            high = min(high, int(np.searchsorted(times, end_ms, "right")))
        low = max(0, high - limit)
        if start_ms is not None:
            low = int(np.searchsorted(times, start_ms))
            high = min(high, low + limit)
        return [series.as_of(timeframe, i, now_ms) for i in range(low, high)]

    def has(self, symbol: str, timeframe: str) -> bool:
        """Tell whether candles of a symbol and timeframe can be built from the stored ones."""
        return symbol in self._series and self.has_timeframe(timeframe)

    def has_timeframe(self, timeframe: str) -> bool:
        """Tell whether candles of a timeframe can be built from the stored ones."""
        try:
            length, offset = window_of(timeframe)
        except WickError:
            return False
        own, own_offset = window_of(self.timeframe)
        return length % own == 0 and (offset - own_offset) % own == 0

    def _instants(self) -> list[int]:
        played = [
            times[np.searchsorted(times, self.start_ms) :]
            for times in (one.arrays["open_time"] for one in self._series.values())
        ]
        opens = np.concatenate(played)
        if not len(opens):
            raise WickError(
                "no candle lies in the span to be replayed", "wick data show lists what is stored"
            )
        return list(map(int, np.unique(np.concatenate((opens, opens + self.timeframe_ms)))))


class _Series:
    def __init__(self, candles: Candles, end_ms: int) -> None:
        self._timeframe = candles.timeframe
        self._length = candles.timeframe_ms
        stop = int(np.searchsorted(candles.arrays["open_time"], end_ms))
        self.arrays: Arrays = {name: values[:stop] for name, values in candles.arrays.items()}
        self._longer: dict[str, Arrays] = {}

    @cached_property
    def _index(self) -> dict[int, int]:
        times = self.arrays["open_time"].tolist()
        return dict(zip(times, range(len(times)), strict=True))

    def closed(self, open_time: int) -> Kline | None:
        i = self._index.get(open_time)
        return None if i is None else _kline(self.arrays, i, self._length)

    def opened(self, open_time: int) -> Kline | None:
        i = self._index.get(open_time)
        return None if i is None else _just_opened(self.arrays, i, open_time, self._length)

    def arrays_of(self, timeframe: str) -> Arrays:
        if timeframe == self._timeframe:
            return self.arrays
        if timeframe not in self._longer:
            self._longer[timeframe] = _tumbled(self.arrays, timeframe)
        return self._longer[timeframe]

    def as_of(self, timeframe: str, i: int, now_ms: int) -> Kline:
        arrays, length = self.arrays_of(timeframe), timeframe_ms(timeframe)
        open_time = int(arrays["open_time"][i])
        if open_time + length <= now_ms:
            return _kline(arrays, i, length)
        running = self.window(timeframe, open_time, now_ms)
        assert running is not None  # its first part has opened
        return running

    def window(self, timeframe: str, open_time: int, now_ms: int) -> Kline | None:
        length = timeframe_ms(timeframe)
        times = self.arrays["open_time"]
        first = int(np.searchsorted(times, open_time))
        last = int(np.searchsorted(times, min(open_time + length - 1, now_ms), "right"))
        if first == last:
            return None
        newest = int(times[last - 1])
        parts = [_kline(self.arrays, i, self._length) for i in range(first, last - 1)]
        still_runs = newest + self._length > now_ms
        make = _just_opened(self.arrays, last - 1, newest, self._length)
        parts.append(make if still_runs else _kline(self.arrays, last - 1, self._length))
        return _joined(parts, open_time, length)


def _kline(arrays: Arrays, i: int, length: int) -> Kline:
    def of(name: str) -> float:
        return float(arrays[name][i]) if name in arrays else 0.0

    opened = int(arrays["open_time"][i])
    return Kline(
        opened,
        opened + length - 1,
        of("open"),
        of("high"),
        of("low"),
        of("close"),
        of("volume"),
        of("quote_volume"),
        int(of("trades")),
        of("taker_buy"),
    )


def _just_opened(arrays: Arrays, i: int, open_time: int, length: int) -> Kline:
    price = float(arrays["open"][i])
    return Kline(open_time, open_time + length - 1, price, price, price, price, 0.0, 0.0, 0, 0.0)


def _joined(parts: Sequence[Kline], open_time: int, length: int) -> Kline:
    return Kline(
        open_time,
        open_time + length - 1,
        parts[0].open,
        max(one.high for one in parts),
        min(one.low for one in parts),
        parts[-1].close,
        sum(one.volume for one in parts),
        sum(one.quote_volume for one in parts),
        sum(one.trades for one in parts),
        sum(one.taker_buy for one in parts),
    )


def _tumbled(arrays: Arrays, timeframe: str) -> Arrays:
    length, offset = timeframe_ms(timeframe), timeframe_offset_ms(timeframe)
    times = arrays["open_time"]
    if not len(times):
        return arrays
    windows = (times - offset) // length * length + offset
    first = np.flatnonzero(np.diff(windows, prepend=windows[0] - 1))
    last = np.append(first[1:], len(times)) - 1
    longer: Arrays = {"open_time": windows[first]}
    for name, values in arrays.items():
        if name in _REDUCE:
            longer[name] = _REDUCE[name].reduceat(values, first)
        elif name != "open_time":
            longer[name] = values[first if name == "open" else last]
    return longer


@cache
def window_of(timeframe: str) -> tuple[int, int]:
    """Return the length of a timeframe and where its grid is anchored, in ms."""
    return timeframe_ms(timeframe), timeframe_offset_ms(timeframe)


def text(value: float) -> str:
    """Write a number without an exponent, so that float() gives exactly it back.

    >>> text(0.1), text(1e-7), text(93000.0)
    ('0.1', '0.0000001', '93000.0')
    """
    written = repr(value)
    return written if "e" not in written else np.format_float_positional(value, trim="-")
