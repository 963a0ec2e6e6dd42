"""A column: values that know their timeframe, and that refuse what would look ahead."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from strategy import tape
from strategy.errors import WickError

_UFUNCS = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.true_divide: "/",
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
}


class Column:
    """Values of one timeframe, one a candle.

    Columns can be added, subtracted, multiplied, divided, negated and compared, and passed to
    `abs`, `sqrt`, `minimum`, `maximum`, `where` and indicators. Inside a strategy's `indicators`
    nothing else is possible: looking at a position, a length or a truth value is where look-ahead
    and differences between backtest and live begin.

    Attributes
    ----------
    timeframe : str
        The candles these values belong to.
    values : array (n,)
        The numbers, NaN while an indicator is not warm. Outside `indicators` only.
    """

    __slots__ = ("_key", "_values", "timeframe")
    __hash__ = None  # type: ignore[assignment]  # == is refused, so a column cannot be a key

    def __init__(self, values: NDArray[Any], timeframe: str, key: tape.Key | None = None) -> None:
        self._values = values
        self.timeframe = timeframe
        self._key = key

    @property
    def values(self) -> NDArray[Any]:
        """The numbers as an array."""
        self._refuse(".values")
        return self._values

    def __add__(self, other: Any) -> "Column":
        return elementwise("+", np.add, self, other)

    def __radd__(self, other: Any) -> "Column":
        return elementwise("+", np.add, other, self)

    def __sub__(self, other: Any) -> "Column":
        return elementwise("-", np.subtract, self, other)

    def __rsub__(self, other: Any) -> "Column":
        return elementwise("-", np.subtract, other, self)

    def __mul__(self, other: Any) -> "Column":
        return elementwise("*", np.multiply, self, other)

    def __rmul__(self, other: Any) -> "Column":
        return elementwise("*", np.multiply, other, self)

    def __truediv__(self, other: Any) -> "Column":
        return elementwise("/", np.true_divide, self, other)

    def __rtruediv__(self, other: Any) -> "Column":
        return elementwise("/", np.true_divide, other, self)

    def __lt__(self, other: Any) -> "Column":
        return elementwise("<", np.less, self, other)

    def __le__(self, other: Any) -> "Column":
        return elementwise("<=", np.less_equal, self, other)

    def __gt__(self, other: Any) -> "Column":
        return elementwise(">", np.greater, self, other)

    def __ge__(self, other: Any) -> "Column":
        return elementwise(">=", np.greater_equal, self, other)

    def __neg__(self) -> "Column":
        return elementwise("neg", np.negative, self)

    def __abs__(self) -> "Column":
        return elementwise("abs", np.abs, self)

    def __and__(self, other: Any) -> "Column":
        return elementwise("&", np.logical_and, self, other)

    def __or__(self, other: Any) -> "Column":
        return elementwise("|", np.logical_or, self, other)

    def __len__(self) -> int:
        self._refuse("len()")
        return len(self._values)

    def __array__(self, *args: Any, **options: Any) -> NDArray[Any]:
        self._refuse("turning a column into an array")
        return np.asarray(self._values, *args)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        # A NumPy number on the left (np.float64(2) * column) arrives here, not in __rmul__.
        if method == "__call__" and ufunc in _UFUNCS and not options:
            # Comparisons hand over the number as an array without dimensions.
            numbers = [x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs]
            return elementwise(_UFUNCS[ufunc], ufunc, *numbers)
        raise WickError(
            f"numpy.{ufunc.__name__} cannot be applied to a column",
            "use + - * / < > &, abs(), sqrt(), minimum(), maximum(), where() or an indicator",
        )

    def __array_function__(self, function: Any, *_: Any) -> NoReturn:
        raise WickError(
            f"numpy.{function.__name__} cannot be applied to a column: it sees all candles at once",
            "use an indicator; rolling_* functions look back over n candles",
        )

    def __getitem__(self, position: Any) -> NoReturn:
        raise WickError(
            f"a column cannot be indexed ([{position!r}]): it would show candles by position",
            "use previous(x, n) or an indicator; outside indicators() take .values",
        )

    def __bool__(self) -> NoReturn:
        raise WickError(
            "a column has no single truth value",
            "use & and | between comparisons, or where(); branch on p only",
        )

    def __iter__(self) -> NoReturn:
        raise WickError("a column cannot be looped over", "use an indicator")

    def __float__(self) -> NoReturn:
        raise WickError("a column is not a single number", "use it as a whole column")

    def __eq__(self, other: object) -> NoReturn:
        raise WickError("columns cannot be compared with ==", "use <= and >=")

    def __ne__(self, other: object) -> NoReturn:
        raise WickError("columns cannot be compared with !=", "use < and >")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise WickError(
            f"a column has no {name!r}",
            "use arithmetic, comparisons and the functions of strategy.indicators",
        )

    def __repr__(self) -> str:
        return f"Column({self.timeframe}, {len(self._values)} values)"

    @staticmethod
    def _refuse(what: str) -> None:
        if tape.is_inside_indicators():
            raise WickError(
                f"{what} cannot be used inside indicators(): live, only the newest candle is there",
                "use columns, previous(x, n) or an indicator",
            )


def elementwise(name: str, function: Callable[..., Any], *operands: Any) -> Column:
    """Apply a NumPy function value by value to columns of one timeframe and numbers.

    Raises
    ------
    WickError
        The columns have different timeframes, an operand is neither a column nor a number, or a
        condition stands where a number is expected or the other way round.
    """
    columns = [x for x in operands if isinstance(x, Column)]
    timeframe = same_timeframe(name, columns)
    for x in operands:
        if not isinstance(x, Column | int | float | np.integer | np.floating):
            raise WickError(
                f"{name} of a column and {type(x).__name__}",
                "use a column or a number on both sides",
            )
    _check_kinds(name, operands)
    values = [x._values if isinstance(x, Column) else float(x) for x in operands]

    def compute() -> tape.Arrays:
        with np.errstate(all="ignore"):
            return (function(*values),)

    memo = tape.memo()
    # A column made outside the memo tape has no key, so nobody else can ask for what comes of it.
    if memo is None or any(column._key is None for column in columns):
        return Column(compute()[0], timeframe)
    parts = [x._key if isinstance(x, Column) else tape.exact(float(x)) for x in operands]
    key = (name, *parts)
    return Column(memo.remember(key, compute)[0], timeframe, key)


def _check_kinds(name: str, operands: Sequence[Any]) -> None:
    conditions = len(operands) if name in ("&", "|") else 1 if name == "where" else 0
    for at, x in enumerate(operands):
        is_condition = isinstance(x, Column) and x._values.dtype == np.bool_
        if is_condition and at >= conditions:
            raise WickError(
                f"{name} was given a condition, expected numbers",
                "turn it into numbers: where(condition, 1.0, 0.0)",
            )
        if not is_condition and at < conditions:
            raise WickError(
                f"{name} was given numbers, expected a condition",
                "put each comparison in parentheses: (a > 1) & (b > 2)",
            )


def same_timeframe(what: str, columns: Sequence[Column]) -> str:
    """Return the one timeframe of all columns, or say which timeframes or lengths were mixed."""
    if not columns:
        raise WickError(f"{what} was given no column", "pass a column of the candles")
    for column in columns:
        if not isinstance(column, Column):
            raise WickError(
                f"{what} was given {type(column).__name__}, expected a column",
                "pass a column such as c.close",
            )
    if len(columns) == 1:
        return columns[0].timeframe
    frames = {column.timeframe for column in columns}
    if len(frames) != 1:
        raise WickError(
            f"{what} mixes columns of {' and '.join(sorted(frames))}",
            "align the higher timeframe first: m5.align(column)",
        )
    lengths = {len(column._values) for column in columns}
    if len(lengths) != 1:
        raise WickError(
            f"{what} mixes columns of {' and '.join(map(str, sorted(lengths)))} candles",
            "use columns of the same candles",
        )
    return columns[0].timeframe


def stateful(
    function: str,
    timeframe: str,
    kernel: Callable[..., Any],
    columns: Sequence[Column],
    scalars: tuple[tape.Scalar, ...],
    state_size: int,
    *,
    extra: tape.Arrays = (),
    extra_key: tape.Key | None = None,
) -> tuple[Column, ...]:
    """Run a resumable kernel over columns on the active tape; one column per array it returns."""
    for column in columns:
        if column._values.dtype != np.float64:
            raise WickError(
                f"{function} was given a condition, expected numbers",
                "turn it into numbers: where(condition, 1.0, 0.0)",
            )
    # Lists: this runs for every indicator at every live candle, and they take half as long.
    arrays, key = tape.call(
        function,
        timeframe,
        kernel,
        [*[column._values for column in columns], *extra],
        [*[column._key for column in columns], *((extra_key,) if extra else ())],
        scalars,
        state_size,
    )
    if key is None:
        return tuple([Column(array, timeframe) for array in arrays])
    return tuple([Column(array, timeframe, (key, at)) for at, array in enumerate(arrays)])
