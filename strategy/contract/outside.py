"""What a strategy asks besides its candles: files, the clock, chance, private parts of ours."""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from strategy.contract.findings import HINTS, OUTSIDE, PRIVATE, Finding
from strategy.load import Strategy
from strategy.uncollected import uncollected

# A call into one of these gives what the candles do not determine.
_WORLD = frozenset(
    "_io io os posix nt pathlib shutil tempfile glob time datetime random secrets uuid socket http"
    " urllib urllib3 requests aiohttp httpx sqlite3 subprocess multiprocessing pandas pyarrow"
    " polars data live research".split()
)
_CLOCK = frozenset("now utcnow today".split())
_READS = frozenset("fromfile memmap urandom".split())
# What they do while they import, compile or cache is theirs.
_MACHINERY = frozenset("strategy numba llvmlite importlib _frozen_importlib".split())
_NAMED_TUPLE = frozenset("_replace _asdict _fields _make _field_defaults".split())


@contextmanager
def watching(path: str) -> Iterator[list[Finding]]:
    """Watch this thread: the list fills with calls to the outside that the file at a path makes.

    Calls made by a module that the file imports are seen while `indicators` runs, not during the
    import.
    """
    found: dict[str, Finding] = {}

    def see(frame: FrameType, event: str, called: Any) -> None:
        name = _asked(frame, event, called)
        if name is not None and (line := _line(frame, path)):
            said = f"line {line} asks {name}(), which the candles do not determine"
            found.setdefault(name, Finding(OUTSIDE, f"line {line}", said, HINTS[OUTSIDE]))

    seen: list[Finding] = []
    before = sys.getprofile()
    with uncollected():  # somebody's hook on a collection would count as called by the file
        sys.setprofile(see)
        try:
            yield seen
        finally:
            sys.setprofile(before if callable(before) else None)  # cProfile leaves an object there
            seen += found.values()


def _asked(frame: FrameType, event: str, called: Any) -> str | None:
    if event == "call":
        module = str(frame.f_globals.get("__name__", ""))
        outside = _root(module) in _WORLD or module.startswith("numpy.random")
        return f"{module}.{frame.f_code.co_name}" if outside else None
    if event != "c_call":
        return None
    name = getattr(called, "__name__", "")
    owner = getattr(called, "__self__", None)
    if called is input or owner is sys.stdin:
        return "input" if called is input else f"stdin.{name}"
    if isinstance(owner, type):  # date.today and the like
        clock = owner.__module__ == "datetime" and name in _CLOCK
        return f"{owner.__name__}.{name}" if clock else None
    module = getattr(called, "__module__", None) or type(owner).__module__
    if _root(module) in ("datetime", "_io", "io") and owner is not None and name != "open":
        return None  # a method of an object that was opened or made elsewhere
    outside = _root(module) in _WORLD or module.startswith("numpy.random") or name in _READS
    return f"{module.lstrip('_')}.{name}" if outside else None


def _root(module: str) -> str:
    return module.partition(".")[0]


def _line(frame: FrameType | None, path: str) -> int | None:
    """Return the line of the file that led here, none where our own machinery stands between."""
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        if _root(str(frame.f_globals.get("__name__", ""))) in _MACHINERY:
            return None
        frame = frame.f_back
    return None


def private_uses(strategy: Strategy) -> list[Finding]:
    """Find where a strategy's text reaches for what begins with an underscore."""
    found: dict[str, Finding] = {}
    for node in ast.walk(ast.parse(strategy.source)):
        name = _private_name(node)
        if name is not None:
            line = getattr(node, "lineno", 1)
            said = f"line {line} reads {name}, which is private"
            found.setdefault(name, Finding(PRIVATE, f"line {line}", said, HINTS[PRIVATE]))
    return list(found.values())


def _private_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        name = node.attr
        if owner in ("self", "cls"):
            return None
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "setattr")
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    ):
        name = str(node.args[1].value)
    else:
        return None
    known = name in _NAMED_TUPLE or (name.startswith("__") and name.endswith("__"))
    return name if name.startswith("_") and not known else None
