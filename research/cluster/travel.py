"""A sweep's plan in a form that travels: the text of its strategy, and columns that are sent once.

Arrays go as places inside larger ones: all windows of one history read the same columns, and so do
they on the other side, out of memory that all workers of a machine share.
"""

import dataclasses
import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

import backtest
from backtest.inputs import Inputs
from backtest.sweeps.plan import SweepPlan
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.kernel import SOURCE_HASH
from strategy.load import load_source

_LEAST = 1 << 16  # smaller arrays travel inside the plan
_BUILT = ("strategy", "params", "source", "notes")  # made anew, or of no use there
Bytes = NDArray[np.uint8]


class Versions(NamedTuple):
    """What has to be the same wherever results are to be, to the last bit."""

    candlewick: str
    numpy: str
    numba: str

    @classmethod
    @cache
    def here(cls) -> "Versions":
        """Tell those of this process."""
        digest = hashlib.sha256(SOURCE_HASH.encode())
        root = Path(backtest.__file__).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
        return cls(digest.hexdigest()[:12], np.__version__, numba.__version__)


class Sent(NamedTuple):
    """A plan without its columns.

    Attributes
    ----------
    versions : Versions
        Of the process that has sent it.
    path, source, timeframe : str, bytes, str
        The strategy's file as it was loaded there.
    params : dict
    axes : tuple of str
    inputs : bytes
        All else, pickled.
    """

    versions: Versions
    path: str
    source: bytes
    timeframe: str
    params: dict[str, float]
    axes: tuple[str, ...]
    inputs: bytes


def packed(plan: SweepPlan, column: Callable[[NDArray[Any]], int]) -> Sent:
    """Pack a plan.

    Parameters
    ----------
    column : callable
        Takes an array that has to travel, and numbers it.
    """
    strategy, file = plan.inputs.strategy, io.BytesIO()
    names = [one.name for one in dataclasses.fields(Inputs) if one.name not in _BUILT]
    _Packer(file, column).dump({name: _bare(getattr(plan.inputs, name)) for name in names})
    return Sent(
        Versions.here(),
        str(strategy.path),
        strategy.source,
        strategy.timeframe,
        plan.inputs.params._asdict(),
        plan.axes,
        file.getvalue(),
    )


def unpacked(sent: Sent, columns: Sequence[Bytes]) -> SweepPlan:
    """Make the plan again over columns by their numbers; they are not copied.

    Raises
    ------
    WickError
        Candlewick, NumPy or Numba are others than where it comes from, or the strategy's file does
        not load here.
    """
    if sent.versions != (its := Versions.here()):
        pairs = zip(Versions._fields, its, sent.versions, strict=True)
        told = [
            f"{name} {mine} instead of {wanted}" for name, mine, wanted in pairs if mine != wanted
        ]
        raise WickError(
            f"a worker has {', '.join(told)}",
            "install the same Candlewick with the same requirements.lock on all machines",
        )
    strategy = load_source(Path(sent.path), sent.source)
    strategy = dataclasses.replace(strategy, timeframe=sent.timeframe)
    fields = _Unpacker(io.BytesIO(sent.inputs), columns).load()
    params = strategy.with_params(sent.params)
    inputs = Inputs(strategy=strategy, params=params, source=None, notes=(), **fields)
    return SweepPlan(inputs, sent.axes)


def _bare(value: Any) -> Any:
    # Candles keep the columns that were asked for: whoever needs them makes them again.
    if type(value) is tuple:
        return tuple(map(_bare, value))
    if not isinstance(value, Candles):
        return value
    out = Candles(value.symbol, value.market, value.timeframe, value.arrays)
    if "fingerprint" in value.__dict__:
        out.__dict__["fingerprint"] = value.fingerprint
    return out


def owner_of(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in whose memory one lies."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, column: Callable[[NDArray[Any]], int]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._column = column

    def persistent_id(self, one: Any) -> tuple[int, int, int, str] | None:
        if type(one) is not np.ndarray or one.nbytes < _LEAST or not one.flags.c_contiguous:
            return None
        owner = owner_of(one)
        if one.ndim != 1 or one.dtype.hasobject or not owner.flags.c_contiguous:
            return None
        offset = one.ctypes.data - owner.ctypes.data
        return self._column(owner), offset, offset + one.nbytes, one.dtype.str


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, columns: Sequence[Bytes]) -> None:
        super().__init__(file)
        self._columns = columns

    def persistent_load(self, place: tuple[int, int, int, str]) -> NDArray[Any]:
        number, start, stop, kind = place
        return self._columns[number][start:stop].view(kind)
