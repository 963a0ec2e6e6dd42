"""Times as files write them, brought to UTC milliseconds."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.quality import MICROSECONDS_ABOVE
from strategy.errors import WickError

MEND = "nothing of this file was stored; mend or fetch the file again"
# Before 1973 in milliseconds: such a time is in seconds. Microseconds of 2286: nanoseconds.
_SECONDS_BELOW = 10**11
_NANOSECONDS_ABOVE = 10**16
_FIRST_MS = 1_230_768_000_000
_TEXT = (
    r"^\s*(?P<y>\d{4})[-./]?(?P<m>\d{2})[-./]?(?P<d>\d{2})"
    r"(?:[T\s]+(?P<H>\d{1,2}):?(?P<M>\d{2})(?::?(?P<S>\d{2}))?(?:\.(?P<f>\d{1,9}))?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?\s*$"
)
_NO_ZONE, _UTC = "", ("Z", "UTC", "GMT")


@dataclass(frozen=True, slots=True)
class Place:
    """Where times stand, for messages: the file, how it counts its rows, and the column."""

    name: str
    row_word: str
    first_line: int
    field: str

    def refuse(self, row: int, given: object, why: str) -> WickError:
        """Return the error for one row."""
        line = f"{self.row_word} {row + self.first_line}"
        return WickError(f"{self.name}, {line}: {self.field} {given} {why}", MEND)


def to_ms(values: pa.ChunkedArray, place: Place, to_the_ms: bool) -> tuple[pa.Array, str]:
    """Bring a column of times to milliseconds.

    Parameters
    ----------
    values : pa.ChunkedArray
        Numbers since 1970 in s, ms, µs or ns, timestamps, or text such as 2023-01-01 00:00+01:00.
    place : Place
        For messages.
    to_the_ms : bool
        A finer time is an error, as for candles; otherwise the part below a ms is cut off.

    Returns
    -------
    times : pa.Array
        int64.
    form : str
        How they were written, "" for plain milliseconds.

    Raises
    ------
    WickError
        A time is missing, no time, or before trading began.
    """
    if values.null_count:
        row = int(np.argmax(pc.is_null(values).to_numpy()))
        raise place.refuse(row, "", "is missing")
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        form = "" if getattr(values.type, "tz", None) else "times without a zone taken as UTC"
        given = values.cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy()
        times, below = given // 1_000_000, given % 1_000_000 != 0
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        times, below, form = _of_text(values.cast(pa.string()), place)
        given = values
    elif pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        given = values.to_numpy()
        times, below, form = _of_numbers(given, place)
    else:
        raise WickError(
            f"{place.name}: {place.field} is of the type {values.type}, expected times", MEND
        )
    early = times < _FIRST_MS
    odd = below if to_the_ms else np.zeros(len(times), bool)
    if (odd | early).any():
        row = int(np.argmax(odd | early))
        unit = f"{form.rpartition(' ')[2]} " if form.startswith("times in") else ""
        why = f"{unit}is not on a millisecond" if odd[row] else "is before 2009, when trading began"
        raise place.refuse(row, given[row], why)
    return pa.array(times), form


def _of_numbers(
    given: NDArray[np.number], place: Place
) -> tuple[NDArray[np.int64], NDArray[np.bool_], str]:
    # Seconds and milliseconds with a fraction are how pandas writes a column that once had a gap.
    if given.dtype.kind == "f":
        bad = ~np.isfinite(given) | (np.abs(given) >= 2**63)
        if bad.any():
            row = int(np.argmax(bad))
            raise place.refuse(row, given[row], "is no time")
        fine = np.where(given < _SECONDS_BELOW, np.rint(given * 1000) / 1000, given)
        as_ms = np.where(given < _SECONDS_BELOW, np.rint(fine * 1000), np.floor(given))
        whole = as_ms.astype(np.int64)
        below = (given >= _SECONDS_BELOW) & (given != np.floor(given))
        in_s = given < _SECONDS_BELOW
    else:
        if given.dtype == np.uint64 and (given >= 2**63).any():
            row = int(np.argmax(given >= 2**63))
            raise place.refuse(row, given[row], "is no time")
        integers = given.astype(np.int64)
        in_s = integers < _SECONDS_BELOW
        whole = np.where(in_s, integers * 1000, integers)
        below = np.zeros(len(given), bool)
    in_ns = ~in_s & (whole > _NANOSECONDS_ABOVE)
    in_us = ~in_s & ~in_ns & (whole > MICROSECONDS_ABOVE)
    scale = np.where(in_ns, 1_000_000, np.where(in_us, 1000, 1))
    below |= whole % scale != 0
    units = [u for u, there in (("s", in_s), ("µs", in_us), ("ns", in_ns)) if there.any()]
    form = f"times in {' and '.join(units)}" if units else ""
    return whole // scale, below, form


def _of_text(
    values: pa.ChunkedArray, place: Place
) -> tuple[NDArray[np.int64], NDArray[np.bool_], str]:
    parts = pc.extract_regex(values.combine_chunks(), _TEXT)
    if parts.null_count:
        row = int(np.argmax(pc.is_null(parts).to_numpy(zero_copy_only=False)))
        raise place.refuse(row, repr(values[row].as_py()), _WRONG_TEXT)
    year, month, day, *clock, fraction, zones = parts.flatten()
    texts = pc.binary_join_element_wise(year, month, day, "-")
    try:
        days = texts.cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)
    except pa.ArrowInvalid as error:
        row = next(i for i, text in enumerate(texts.to_pylist()) if not _is_day(text))
        raise place.refuse(row, repr(values[row].as_py()), _WRONG_TEXT) from error
    hours, minutes, seconds = (_number(part) for part in clock)
    wrong = (hours > 23) | (minutes > 59) | (seconds > 59)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise place.refuse(row, repr(values[row].as_py()), _WRONG_TEXT)
    nanoseconds = _number(pc.utf8_rpad(fraction, 9, "0"))
    shifts = {zone: _shift_s(zone) for zone in pc.unique(zones).to_pylist()}
    form = ""
    if _NO_ZONE in shifts:
        form = "times without a zone taken as UTC"
    elif any(shifts.values()):
        named = ", ".join(sorted(zone for zone, s in shifts.items() if s))
        form = f"times of the zone {named} brought to UTC"
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if any(shifts.values()):
        whole -= np.array([shifts[zone] for zone in zones.to_pylist()])
    return whole * 1000 + nanoseconds // 1_000_000, nanoseconds % 1_000_000 != 0, form


_WRONG_TEXT = "is no time, expected a number or text such as 2023-01-31 12:30:00"


def _number(text: pa.Array) -> NDArray[np.int64]:
    filled = pc.if_else(pc.equal(text, ""), "0", text)
    values: NDArray[np.int64] = filled.cast(pa.int64()).to_numpy()
    return values


def _shift_s(zone: str) -> int:
    if zone in (_NO_ZONE, *_UTC):
        return 0
    digits = zone[1:].replace(":", "")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
