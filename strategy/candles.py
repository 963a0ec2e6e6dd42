"""Candles, their columns, and higher timeframes built from closed candles only."""

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy import tape
from strategy.column import Column, stateful
from strategy.errors import WickError
from strategy.faults import FAULTS, first_fault
from strategy.timeframes import DAY_MS, MONTH, grid_of, timeframe_ms
from strategy.windows import FIRST, LAST, MAX, MIN, SUM, align_kernel, reduce_kernel, windows_kernel

__all__ = ["Candles", "Column", "HigherCandles", "timeframe_ms"]

FIELDS = ("open", "high", "low", "close", "volume")
OPTIONAL_FIELDS = ("quote_volume", "trades", "taker_buy")
_HOW = {"open": FIRST, "high": MAX, "low": MIN, "close": LAST}


class Candles:
    """Closed candles of one symbol: the time each opened, and a column per field.

    Attributes
    ----------
    symbol, market, timeframe : str
        Such as BTCUSDT, um (USDⓈ-M futures) or spot, 1m. A strategy's own timeframe has a fixed
        length; others may be 1M too, UTC calendar months.
    open_time : int64 array (n,)
        UTC milliseconds, strictly increasing, on the grid of the timeframe. A missing candle is
        simply not there.
    open, high, low, close, volume : Column
        Prices in quote currency, volume in base currency.
    quote_volume, trades, taker_buy : Column
        Where the source has them.
    """

    def __init__(
        self, symbol: str, market: str, timeframe: str, arrays: dict[str, NDArray[Any]]
    ) -> None:
        self.symbol = symbol
        self.market = market
        self.timeframe = timeframe
        self._grid = grid_of(timeframe)
        self._arrays = arrays
        self._columns: dict[str, Column] = {}

    @classmethod
    def from_arrays(
        cls,
        *,
        symbol: str,
        market: str,
        timeframe: str,
        open_time: NDArray[np.int64],
        open: NDArray[np.float64],
        high: NDArray[np.float64],
        low: NDArray[np.float64],
        close: NDArray[np.float64],
        volume: NDArray[np.float64],
        quote_volume: NDArray[np.float64] | None = None,
        trades: NDArray[np.float64] | None = None,
        taker_buy: NDArray[np.float64] | None = None,
    ) -> "Candles":
        """Check arrays of one length and wrap them, without a copy where they fit.

        Raises
        ------
        WickError
            Lengths differ, times are not strictly increasing or off the timeframe's grid, or a
            price is NaN, infinite, not positive or outside high and low; the first such candle is
            named.
        """
        given = [open, high, low, close, volume, quote_volume, trades, taker_buy]
        arrays: dict[str, NDArray[Any]] = {
            name: np.ascontiguousarray(array, np.float64)
            for name, array in zip(FIELDS + OPTIONAL_FIELDS, given, strict=True)
            if array is not None
        }
        arrays = {"open_time": np.ascontiguousarray(open_time, np.int64)} | arrays
        candles = cls(symbol, market, timeframe, arrays)
        candles._check()
        return candles

    def __len__(self) -> int:
        _refuse_inside("len() of candles")
        return len(self._arrays["open_time"])

    @property
    def timeframe_ms(self) -> int:
        """Length of each candle in ms; candles of a month have none and raise a WickError."""
        return self._grid[0] or timeframe_ms(self.timeframe)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The plain arrays by name, open_time first. Outside `indicators` only."""
        _refuse_inside("arrays")
        return self._arrays

    @property
    def open_time(self) -> NDArray[np.int64]:
        """UTC milliseconds at which each candle opened."""
        _refuse_inside("open_time")
        return self._arrays["open_time"]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the exact arrays: equal if and only if every value is equal, bit for bit."""
        digest = hashlib.sha256(f"{self.market}/{self.symbol}/{self.timeframe}".encode())
        for name, array in self._arrays.items():
            digest.update(name.encode())
            digest.update(memoryview(array))  # type: ignore[arg-type]
        return digest.hexdigest()

    def slice(self, start: int, stop: int) -> "Candles":
        """Return the candles from position start to stop as a chunk, sharing memory."""
        _refuse_inside("slice()")
        part = {name: array[start:stop] for name, array in self._arrays.items()}
        return Candles(self.symbol, self.market, self.timeframe, part)

    def __getattr__(self, name: str) -> Column:
        # Only fields arrive here: each becomes a column the first time it is asked for.
        if name.startswith("_"):
            raise AttributeError(name)
        column = self._columns.get(name)
        # A column first asked for without a memo tape has no key yet.
        if column is None or (column._key is None and tape.memo()):
            column = self._columns[name] = self._column(name)
        return column

    def _column(self, name: str) -> Column:
        if name not in FIELDS + OPTIONAL_FIELDS or name not in self._arrays:
            known = [field for field in FIELDS + OPTIONAL_FIELDS if field in self._arrays]
            raise WickError(
                f"{self.timeframe} candles of {self.symbol} have no field {name!r}",
                f"known: {', '.join(known)}",
            )
        key = None
        if tape.memo():
            key = (self.fingerprint, self.symbol, self.timeframe, name)
        return Column(self._arrays[name], self.timeframe, key)

    def _opens(self) -> tuple[NDArray[np.int64], tape.Key | None]:
        # For kernels that read the time; a memo tape has to know where the array comes from.
        return self._arrays["open_time"], (self.fingerprint,) if tape.memo() else None

    def resample(self, timeframe: str) -> "HigherCandles":
        """Build closed candles of a higher timeframe, anchored to UTC time.

        A higher candle is known from the close of its last base candle or, if that one is missing,
        from the first base candle after its window. Candles before the first whole window are left
        out. Its open is that of its first base candle, with trades or without; the exchange's own
        is the first price traded in the window, which differs where the window begins in silence.

        Parameters
        ----------
        timeframe : str
            Such as 15m or 1w, which begins on a Monday; 1M is a UTC calendar month, for base
            candles that divide a day.

        Raises
        ------
        WickError
            The timeframe is not made of whole candles of this one.
        """
        length, offset = grid_of(timeframe)
        if not self._divides(length, offset):
            raise WickError(
                f"cannot build {timeframe} candles from {self.timeframe} ones: not a multiple",
                self._mend(timeframe),
            )
        opens, its_key = self._opens()
        arrays, key = tape.call(
            "resample",
            timeframe,
            windows_kernel,
            (opens,),
            (its_key,),
            (self._grid[0], length, offset),
            2,
        )
        return HigherCandles(self, timeframe, arrays, key)

    def _divides(self, length: int, offset: int) -> bool:
        step, begin = self._grid
        if not step:
            return not length
        # A week begins on a Monday, seven days on the Thursday of 1970-01-01; months begin with any
        # day, so that only parts of a day divide all of them.
        return (length or DAY_MS) % step == 0 and (offset - begin) % step == 0

    def _mend(self, timeframe: str) -> str:
        if timeframe == MONTH:
            return "only candles that divide a day divide every month: build it from 1d or shorter"
        if self.timeframe == MONTH:
            return "resample to nothing else: take shorter candles, such as 1d"
        names = f"; a calendar month is {MONTH}" if timeframe.endswith("m") else ""
        return f"resample to a multiple of {self.timeframe}{names}"

    def _check(self) -> None:
        length = len(self._arrays["open_time"])
        for name, array in self._arrays.items():
            if array.shape != (length,):
                raise WickError(
                    f"{self.symbol}: {name} has shape {array.shape}, open_time has ({length},)",
                    "give every field one value a candle",
                )
        a = self._arrays
        row, why = first_fault(
            a["open_time"],
            *self._grid,
            a["open"],
            a["high"],
            a["low"],
            a["close"],
            a["volume"],
        )
        if row >= 0:
            moment = np.datetime64(int(a["open_time"][row]), "ms")
            raise WickError(
                f"{self.symbol} {self.timeframe} candle {row} ({moment} UTC): {FAULTS[why]}",
                f"wick data check {self.symbol} --timeframe {self.timeframe}",
            )


class HigherCandles:
    """Closed candles of a higher timeframe inside a strategy; the fields are columns of that
    timeframe."""

    def __init__(
        self, base: Candles, timeframe: str, windows: tape.Arrays, key: tape.Key | None
    ) -> None:
        self.timeframe = timeframe
        self._base = base
        self._windows = windows
        self._key = key
        self._columns: dict[str, Column] = {}

    @property
    def open_time(self) -> NDArray[np.int64]:
        """UTC milliseconds at which each window opened."""
        _refuse_inside("open_time")
        opens: NDArray[np.int64] = self._windows[0]
        return opens

    def _opens(self) -> tuple[NDArray[np.int64], tape.Key | None]:
        return self._windows[0], self._key

    def __getattr__(self, name: str) -> Column:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._columns:
            values = getattr(self._base, name)
            _, start, end, _, tail = self._windows
            self._columns[name] = stateful(
                f"{self.timeframe}.{name}",
                self.timeframe,
                reduce_kernel,
                [values],
                (_HOW.get(name, SUM),),
                2,
                extra=(start, end, tail),
                extra_key=self._key,
            )[0]
        return self._columns[name]

    def align(self, column: Column) -> Column:
        """Return the last known value at each base candle; NaN before the first.

        Raises
        ------
        WickError
            The column has another timeframe than these candles.
        """
        if column.timeframe != self.timeframe:
            raise WickError(
                f"cannot align a {column.timeframe} column with {self.timeframe} candles",
                f"call align() of the {column.timeframe} candles",
            )
        _, _, _, known, _ = self._windows
        if len(column._values) != len(known):
            raise WickError(
                f"cannot align a column of {len(column._values)} candles with {len(known)}",
                "use the candles that the column was made from",
            )
        return stateful(
            "align",
            self._base.timeframe,
            align_kernel,
            [column],
            (),
            2,
            extra=(known, self._base._arrays["open_time"]),
            extra_key=self._key,
        )[0]


def _refuse_inside(what: str) -> None:
    if tape.is_inside_indicators():
        raise WickError(
            f"{what} cannot be used inside indicators(): live, only the newest candle is there",
            "use columns, previous(x, n) or an indicator",
        )
