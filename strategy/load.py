"""From a name or a path to a checked strategy module. The only file of this package that touches
the disk."""

import errno
import hashlib
import importlib.util
import linecache
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy import tape
from strategy.candles import OPTIONAL_FIELDS, Candles
from strategy.column import Column
from strategy.errors import WickError, did_you_mean
from strategy.risk import Risk
from strategy.rules import DISTANCES, PRIORITY, RULE_NAMES, CompiledRules, compile_rules
from strategy.timeframes import timeframe_ms

_HERE = Path(__file__).parent
_TEMPLATE = "strategy/rsi_macd_atr.py"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Strategy:
    """A loaded and checked strategy module.

    Attributes
    ----------
    name : str
        The file's name without ending.
    path : Path
    source_hash : str
        SHA-256 of the file's bytes.
    timeframe : str
        Of the candles it decides on.
    params, row : type
        Its NamedTuples.
    indicators : callable
        ``indicators(candles, params) -> Row``.
    rules : CompiledRules
    has_take : bool
        It has a take_distance rule.
    has_trail : bool
        It has a trail_distance rule.
    has_limit : bool
        It has a limit_distance rule.
    has_priority : bool
        It has an entry_priority rule.
    risk : Risk
    tune : mapping
        Search space by parameter.
    optional_fields : tuple of str
        The candle fields beyond prices and volume that its text names.
    source : bytes
        The file as it was loaded.
    """

    name: str
    path: Path
    source_hash: str
    timeframe: str
    params: Any
    row: Any
    indicators: Callable[[Candles, Any], Any]
    rules: CompiledRules
    has_take: bool
    has_trail: bool
    has_limit: bool
    has_priority: bool
    risk: Risk
    tune: Mapping[str, Any]
    optional_fields: tuple[str, ...]
    source: bytes

    def columns(self, candles: Candles, params: Any) -> tuple[NDArray[np.float64], ...]:
        """Compute the row's columns that the rules read, on the active tape.

        Raises
        ------
        WickError
            `indicators` returned something else than columns of the base timeframe, or fails.
        """
        values = self.rows(candles, params)._asdict()
        return tuple(values[field] for field in self.rules.fields)

    def keyed_columns(
        self, candles: Candles, params: Any
    ) -> tuple[tuple[tape.Key | None, NDArray[np.float64]], ...]:
        """Compute the same columns, each behind the key that tells how it came about; None for one
        made outside the active memo tape."""
        row = self._checked_row(candles, params)._asdict()
        found = (row[field] for field in self.rules.fields)
        return tuple((one._key, np.asarray(one._values, np.float64)) for one in found)

    def rows(self, candles: Candles, params: Any) -> Any:
        """Compute all columns as a Row of float64 arrays, on the active tape.

        Raises
        ------
        WickError
            `indicators` returned something else than columns of the base timeframe, or fails.
        """
        row = self._checked_row(candles, params)
        return self.row(*(np.asarray(column._values, np.float64) for column in row))

    def _checked_row(self, candles: Candles, params: Any) -> Any:
        with tape.inside_indicators():
            try:
                row = self.indicators(candles, params)
            except WickError as error:
                said = f"{_place(error, self.path)}: {error.message}"
                raise type(error)(said, error.hint) from error
            except (Exception, SystemExit) as error:
                if isinstance(error, OSError) and error.errno in _NO_ROOM:
                    raise  # from writing the compile cache, not from the user's file
                raise WickError(
                    _said(error, self.path),
                    f"compare with {_TEMPLATE}; --debug shows where it came from",
                ) from error
        if not isinstance(row, self.row):
            raise self._wrong(f"indicators() returned {type(row).__name__}", "return Row(...)")
        length = len(candles.arrays["open_time"])
        for name, column in zip(row._fields, row, strict=True):
            if not isinstance(column, Column):
                raise self._wrong(
                    f"Row.{name} is {type(column).__name__}, expected a column",
                    "use indicators and arithmetic on columns of c",
                )
            if column.timeframe != candles.timeframe:
                raise self._wrong(
                    f"Row.{name} has {column.timeframe} values, expected {candles.timeframe}",
                    f"align it: c.resample({column.timeframe!r}).align(column)",
                )
            if len(column._values) != length:
                raise self._wrong(
                    f"Row.{name} has {len(column._values):,} values for {length:,} candles",
                    "make every column anew in indicators(), none is kept from call to call",
                )
        return row

    def with_params(self, changes: Mapping[str, Any]) -> Any:
        """Return Params with some values changed; a whole number stays one.

        Raises
        ------
        WickError
            An unknown name, or a value of the wrong kind.
        """
        defaults = self.params()._asdict()
        for name, value in changes.items():
            if name not in defaults:
                raise WickError(
                    f"{self.name} has no parameter {name!r}", did_you_mean(name, defaults)
                )
            defaults[name] = _like(f"parameter {name}", value, defaults[name])
        return self.params(**defaults)

    def with_risk(self, changes: Mapping[str, Any]) -> Risk:
        """Return RISK with some values changed.

        Raises
        ------
        WickError
            An unknown name, or a value that is not a number.
        """
        values = self.risk._asdict()
        for name, value in changes.items():
            if name not in values:
                raise WickError(f"risk has no setting {name!r}", did_you_mean(name, values))
            values[name] = _like(f"risk.{name}", value, float(values[name]))
        return Risk(**values)

    def _wrong(self, what: str, hint: str) -> WickError:
        return WickError(f"{self.path}: {what}", hint)


def _like(what: str, value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    hint = f"--set {what.removeprefix('parameter ')}={default}"
    if not np.isfinite(number):
        raise WickError(f"{what} is {value!r}, expected a number", hint)
    if isinstance(default, int):
        if number != int(number) or abs(number) >= 2**53:  # beyond, floats skip whole numbers
            raise WickError(f"{what} is {value!r}, expected a whole number", hint)
        return int(number)
    return number


def available() -> list[str]:
    """Return the names of the strategies that come with Candlewick."""
    return sorted(path.stem for path in _HERE.glob("*.py") if b"\nTIMEFRAME" in path.read_bytes())


def load(name_or_path: str) -> Strategy:
    """Load a strategy by the name of a shipped one or by the path of a file.

    Raises
    ------
    WickError
        There is no such file, it does not import, or it breaks the rules for a strategy module; the
        line and the mend are named.
    """
    path = find(name_or_path)
    return load_source(path, path.read_bytes())


def load_source(path: Path, source: bytes) -> Strategy:
    """Load a strategy from its text, which may have been a file of this path on another machine.

    Raises
    ------
    WickError
        See `load`.
    """
    module = _import(path, source)
    row = _named_tuple(module, path, "Row")
    params = _named_tuple(module, path, "Params")
    _check_params(params, path)
    rules = _rules(module, path)
    risk = getattr(module, "RISK", Risk())
    if not isinstance(risk, Risk):
        raise WickError(f"{path}: RISK is {type(risk).__name__}", "RISK = Risk(per_trade=0.01)")
    tune = getattr(module, "TUNE", {})
    if not isinstance(tune, Mapping):
        raise WickError(f"{path}: TUNE is {type(tune).__name__}", 'TUNE = {"rsi": (5, 40)}')
    for name in tune:
        if name not in params._fields:
            raise WickError(
                f"{path}: TUNE names {name!r}, which is not in Params",
                did_you_mean(name, params._fields),
            )
    return Strategy(
        name=path.stem,
        path=path,
        source_hash=hashlib.sha256(source).hexdigest(),
        timeframe=_timeframe(module, path),
        params=params,
        row=row,
        indicators=_attribute(module, path, "indicators", "def indicators(c: Candles, p: Params)"),
        rules=compile_rules(rules, row._fields, params._fields),
        has_take="take_distance" in rules,
        has_trail="trail_distance" in rules,
        has_limit="limit_distance" in rules,
        has_priority=PRIORITY in rules,
        risk=risk,
        tune=tune,
        optional_fields=tuple(name for name in OPTIONAL_FIELDS if name.encode() in source),
        source=source,
    )


def loaded_again(strategy: Strategy) -> Strategy:
    """Run the text of a strategy once more: its new module has seen no candle yet."""
    module = _import(strategy.path, strategy.source)
    return replace(strategy, row=module.Row, indicators=module.indicators)


def find(name_or_path: str) -> Path:
    """Return the file of a shipped strategy, or the file at a path.

    Raises
    ------
    WickError
        There is none.
    """
    path = Path(name_or_path)
    if path.suffix == ".py" or len(path.parts) > 1:
        if not path.is_file():
            raise WickError(f"there is no strategy file {name_or_path}", f"copy {_TEMPLATE} there")
        if path.suffix != ".py":
            raise WickError(
                f"{name_or_path} is not a .py file, as a strategy is",
                f"rename it to {path.stem}.py",
            )
        return path.resolve()
    shipped = _HERE / f"{name_or_path}.py"
    if name_or_path not in available():
        raise WickError(
            f"there is no strategy {name_or_path!r}",
            f"{did_you_mean(name_or_path, available())}; or give the path of a .py file",
        )
    return shipped


def _import(path: Path, source: bytes) -> types.ModuleType:
    # The name carries the content, so that two versions of one file never share a module.
    name = f"candlewick_strategy_{path.stem}_{hashlib.sha256(source).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Rules are read as text: from these bytes, whatever becomes of the file meanwhile.
    lines = source.decode(errors="replace").splitlines(keepends=True)
    linecache.cache[str(path)] = (len(source), None, lines, str(path))
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise WickError(
            f"{path}, line {error.lineno or 1}: {error.msg}", f"compare with {_TEMPLATE}"
        ) from error
    except WickError:
        raise
    except (Exception, SystemExit) as error:
        hint = f"compare with {_TEMPLATE}"
        if isinstance(error, ModuleNotFoundError):
            hint = f"a strategy is one file: write it in there, or install {error.name}"
        raise WickError(_said(error, path), hint) from error
    return module


def _place(error: BaseException, path: Path) -> str:
    # The deepest line of the user's own file; what lies below it is ours or a library's.
    place, trace = str(path), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            place = f"{path}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _said(error: BaseException, path: Path) -> str:
    first, *_ = [*str(error).splitlines(), ""]
    return f"{_place(error, path)}: {type(error).__name__}: {first}".removesuffix(": ")


def _timeframe(module: types.ModuleType, path: Path) -> str:
    timeframe: str = _attribute(module, path, "TIMEFRAME", 'TIMEFRAME = "1m"')
    try:
        timeframe_ms(timeframe)
    except WickError as error:
        raise WickError(f"{path}: TIMEFRAME: {error.message}", error.hint) from None
    return timeframe


def _attribute(module: types.ModuleType, path: Path, name: str, example: str) -> Any:
    if not hasattr(module, name):
        close = did_you_mean(name, [n for n in vars(module) if not n.startswith("_")])
        guess = close.split("?")[0] + "? " if close.startswith("did you mean") else ""
        raise WickError(f"{path}: {name} is missing", f"{guess}write: {example}")
    return getattr(module, name)


def _named_tuple(module: types.ModuleType, path: Path, name: str) -> Any:
    kind = _attribute(module, path, name, f"class {name}(NamedTuple): …")
    if not (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")):
        raise WickError(f"{path}: {name} is not a NamedTuple", f"class {name}(NamedTuple): …")
    if name == "Row" and not kind._fields:
        raise WickError(f"{path}: Row has no field", "class Row(NamedTuple): rsi: float")
    return kind


def _check_params(params: Any, path: Path) -> None:
    for name in params._fields:
        default = params._field_defaults.get(name)
        if type(default) not in (int, float) or not np.isfinite(default):
            raise WickError(
                f"{path}: Params.{name} has the default {default!r}, expected a number",
                f"{name}: int = 14",
            )


def _rules(module: types.ModuleType, path: Path) -> dict[str, Callable[..., Any]]:
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__
    }
    marked: dict[str, Callable[..., Any]] = {
        name: value for name, value in own.items() if getattr(value, "is_rule", False)
    }
    for name in marked:
        if name not in RULE_NAMES:
            raise WickError(f"{path}: unknown rule {name!r}", did_you_mean(name, RULE_NAMES))
    for name in RULE_NAMES:
        if hasattr(module, name) and name not in own:
            raise WickError(
                f"{path}: {name} is not a function of this file",
                f"write it here: def {name}(x: Row, p: Params)",
            )
        if name in own and name not in marked:
            raise WickError(
                f"{path}: {name} is not marked as a rule", f"put @rule above def {name}"
            )
    if DISTANCES[0] not in marked:
        raise WickError(
            f"{path}: the rule stop_distance is missing: no position is ever without its stop",
            "@rule def stop_distance(x: Row, p: Params) -> float: return p.stop * x.atr",
        )
    if not {"enter_long", "enter_short"} & marked.keys():
        raise WickError(f"{path}: there is no entry rule", "add @rule def enter_long(x, p) -> bool")
    return marked
