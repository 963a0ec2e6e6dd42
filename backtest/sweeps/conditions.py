"""The rules' text taken apart: comparisons, whose bits combinations share, and their joints."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.bits import AND, JOIN_AND, JOIN_OR, LOAD, OR
from strategy.rules import CONDITIONS


@dataclass(frozen=True, slots=True)
class Reads:
    """What an expression reads: fields of the row, and params."""

    fields: tuple[str, ...]
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of the rules."""

    reads: Reads
    code: CodeType
    numbers: Mapping[str, np.float64]

    def bits(
        self, columns: Mapping[str, NDArray[np.float64]], params: Mapping[str, Any], n: int
    ) -> NDArray[np.uint64]:
        """Evaluate it for all candles, 64 to a word."""
        names: dict[str, Any] = {f"x_{name}": columns[name] for name in self.reads.fields}
        names |= {f"p_{name}": np.float64(params[name]) for name in self.reads.params}
        # NumPy and the compiled rules take the same IEEE operations in the same order.
        with np.errstate(all="ignore"):
            holds = eval(self.code, {"__builtins__": {}, "abs": abs}, {**names, **self.numbers})
        out = np.zeros((n + 63) // 64 * 8, np.uint8)
        packed = np.packbits(np.broadcast_to(holds, n), bitorder="little")
        out[: len(packed)] = packed
        return out.view(np.uint64)


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


def reads_of(*texts: str) -> Reads:
    """Say what expressions read."""
    nodes = (node for text in texts for node in ast.walk(ast.parse(text, mode="eval")))
    names = sorted({node.id for node in nodes if isinstance(node, ast.Name)})
    return Reads(
        tuple(name[2:] for name in names if name.startswith("x_")),
        tuple(name[2:] for name in names if name.startswith("p_")),
    )


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

    tree = ast.fix_missing_locations(Named().visit(ast.parse(text, mode="eval")))
    return Comparison(reads_of(text), compile(tree, "<rule>", "eval"), numbers)
