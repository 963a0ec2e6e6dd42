"""The rules' text taken apart: comparisons, whose bits combinations share, and their joints."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.bits import AND, COLUMNS, JOIN_AND, JOIN_OR, LOAD, OR, compare
from strategy.rules import CONDITIONS, Reads, reads_of

_NONE = np.empty(0)
_NONE.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of the rules, turned so that the left side is to be the smaller one.

    Attributes
    ----------
    reads : Reads
    sides : two of CodeType
    or_equal : bool
    numbers : mapping
        Those that stand in the text, by the names that stand for them in the code.
    """

    reads: Reads
    sides: tuple[CodeType, CodeType]
    or_equal: bool
    numbers: Mapping[str, np.float64]

    def values(
        self, columns: Mapping[str, NDArray[np.float64]], params: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        """Return what stands on either side: a column or a number."""
        names: dict[str, Any] = {f"x_{name}": columns[name] for name in self.reads.fields}
        names |= {f"p_{name}": np.float64(params[name]) for name in self.reads.params}
        names |= self.numbers
        # NumPy and the compiled rules take the same IEEE operations in the same order.
        with np.errstate(all="ignore"):
            left, right = (eval(one, {"__builtins__": {}, "abs": abs}, names) for one in self.sides)
        return left, right


class Comparing:
    """Comparisons that are evaluated together, so that each column is read once.

    Parameters
    ----------
    words : uint64 (comparisons, w)
        Where the bits go.
    n : int
        How many candles there are.
    """

    def __init__(self, words: NDArray[np.uint64], n: int) -> None:
        self.words, self.n = words, n
        self._columns: list[NDArray[np.float64]] = []
        self._which: list[tuple[int, bool, int, int]] = []
        self._numbers: list[tuple[float, ...]] = []

    def add(self, place: int, or_equal: bool, left: Any, right: Any) -> None:
        """Ask for one comparison's bits in a row of the words."""
        if len(self._columns) + 2 > COLUMNS:
            self.run()
        self._which.append((place, or_equal, self._column(left), self._column(right)))
        self._numbers.append(tuple(0.0 if np.ndim(one) else float(one) for one in (left, right)))

    def run(self) -> None:
        """Evaluate all that was asked for."""
        columns = tuple(self._columns) + (_NONE,) * (COLUMNS - len(self._columns))
        which = np.array(self._which, np.int64).reshape(-1, 4)
        numbers = np.array(self._numbers, np.float64).reshape(-1, 2)
        compare(columns, which, numbers, self.n, np.empty((2, 64)), self.words)
        self._columns, self._which, self._numbers = [], [], []

    def _column(self, side: Any) -> int:
        if np.ndim(side) == 0:
            return -1
        for at, one in enumerate(self._columns):
            if one is side:
                return at
        side.flags.writeable = False  # a kernel for arrays that may be written is another one
        self._columns.append(side)
        return len(self._columns) - 1


@dataclass(frozen=True, slots=True)
class Parsed:
    """All rules of a strategy.

    Attributes
    ----------
    comparisons : tuple of Comparison
        Each distinct text once.
    programs : tuple of int64 (k, 2)
        In the order of `strategy.rules.CONDITIONS`; empty without that rule.
    depth : int
        How many results a program keeps at a time.
    """

    comparisons: tuple[Comparison, ...]
    programs: tuple[NDArray[np.int64], ...]
    depth: int


def parse(texts: Mapping[str, str]) -> Parsed:
    """Take the conditions among a strategy's rules apart."""
    slots: dict[str, int] = {}
    programs = []
    for name in CONDITIONS:
        steps: list[tuple[int, int]] = []
        if name in texts:
            _write(ast.parse(texts[name], mode="eval").body, slots, steps)
        programs.append(np.array(steps, np.int64).reshape(-1, 2))
    depth = max(_depth(program) for program in programs)
    return Parsed(tuple(map(_comparison, slots)), tuple(programs), depth)


def _write(node: ast.expr, slots: dict[str, int], out: list[tuple[int, int]]) -> None:
    if isinstance(node, ast.Compare):
        out.append((LOAD, slots.setdefault(ast.unparse(node), len(slots))))
        return
    assert isinstance(node, ast.BinOp)
    left, right = node.left, node.right
    if isinstance(left, ast.Compare):  # joined as a comparison it needs no place of its own
        left, right = right, left
    is_and = isinstance(node.op, ast.BitAnd)
    _write(left, slots, out)
    if isinstance(right, ast.Compare):
        slot = slots.setdefault(ast.unparse(right), len(slots))
        out.append((AND if is_and else OR, slot))
    else:
        _write(right, slots, out)
        out.append((JOIN_AND if is_and else JOIN_OR, 0))


def _depth(program: NDArray[np.int64]) -> int:
    moves = {LOAD: 1, JOIN_AND: -1, JOIN_OR: -1}
    held = np.cumsum([moves.get(int(step), 0) for step in program[:, 0]])
    return max(int(held.max(initial=0)), 1)


def _comparison(text: str) -> Comparison:
    numbers: dict[str, np.float64] = {}

    class Named(ast.NodeTransformer):
        # A number of Python's own would raise where it is divided by zero.
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            name = f"n_{len(numbers)}"
            numbers[name] = np.float64(node.value)  # type: ignore[arg-type]
            return ast.Name(name, ast.Load())

    tree = Named().visit(ast.parse(text, mode="eval")).body
    sides, how = [tree.left, tree.comparators[0]], type(tree.ops[0])
    if how in (ast.Gt, ast.GtE):
        sides.reverse()
    left, right = (
        compile(ast.fix_missing_locations(ast.Expression(one)), "<rule>", "eval") for one in sides
    )
    return Comparison(reads_of(text), (left, right), how in (ast.LtE, ast.GtE), numbers)
