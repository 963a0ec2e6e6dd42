"""Conditions on the values of a combination, in the grammar of rules: fast < slow."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategy.errors import WickError, did_you_mean
from strategy.rules import written_condition

_FLAG = "--where"


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition.

    Attributes
    ----------
    text : str
        As it was written.
    code : code
        Over columns named by `_word`.
    constants : mapping
        The values of all that is no axis, by name.
    """

    text: str
    code: CodeType
    constants: Mapping[str, float]

    def holds(self, names: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say for which rows of values (m, k) it is true; a comparison with NaN is not."""
        columns: dict[str, Any] = {_word(name): value for name, value in self.constants.items()}
        columns |= {_word(name): values[:, at] for at, name in enumerate(names)}
        try:
            with np.errstate(all="ignore"):
                kept = eval(self.code, {"__builtins__": {"abs": abs}}, columns)
        except ZeroDivisionError as error:
            raise WickError(
                f"{_FLAG} {self.text!r} divides by zero, whatever the values of the axes",
                "name an axis of --grid there",
            ) from error
        return np.broadcast_to(np.asarray(kept, np.bool_), len(values))


def condition(text: str, known: Mapping[str, float]) -> Condition:
    """Check a condition over the known names.

    Parameters
    ----------
    text : str
        Such as ``fast < slow`` or ``(risk.trail > 0) | (take > stop)``.
    known : mapping
        Every name that may stand in it, with the value that it has where it is no axis.

    Raises
    ------
    WickError
        It is not of the rules' grammar, or names something unknown.
    """
    expression = _Names(known, text).visit(_parsed(text).body)
    written = written_condition(expression, f"{_FLAG} {text!r}", [_plain(name) for name in known])
    return Condition(text, compile(written, _FLAG, "eval"), dict(known))


class _Names(ast.NodeTransformer):
    """Turn the names of a sweep into those of the rules' grammar: fast into p.fast."""

    def __init__(self, known: Mapping[str, float], text: str) -> None:
        self.known, self.text = known, text

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.args = [self.visit(one) for one in node.args]
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._param(node, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self._param(node, ast.unparse(node))

    def _param(self, node: ast.expr, name: str) -> ast.AST:
        if name not in self.known:
            raise WickError(
                f"{_FLAG} {self.text!r} names {name!r}, which is no parameter",
                near(name, self.known),
            )
        owner = ast.Name("p", ast.Load())
        return ast.copy_location(ast.Attribute(owner, _plain(name), ast.Load()), node)


def joined(texts: Sequence[str]) -> str | None:
    """Return one condition that holds where all do; None without any.

    Raises
    ------
    WickError
        One of several is no expression.
    """
    if len(texts) < 2:
        return next(iter(texts), None)
    for text in texts:
        _parsed(text)
    return " & ".join(f"({text.strip()})" for text in texts)


def _parsed(text: str) -> ast.Expression:
    try:
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise WickError(f"{_FLAG} {text!r} is no condition", f'{_FLAG} "fast < slow"') from error


def near(name: str, known: Iterable[str]) -> str:
    """Say which names a wrong one resembles, of the params or of those with its owner."""
    # All params, risk settings and costs would be a line of forty names.
    owner = name.rpartition(".")[0]
    its = [one for one in known if one.rpartition(".")[0] == owner]
    return did_you_mean(name, its or [one for one in known if "." not in one])


def _plain(name: str) -> str:
    return name.replace(".", "__")


def _word(name: str) -> str:
    return f"p_{_plain(name)}"
