"""The grammar of rules: checked before anything runs, then compiled into one small cached kernel
per strategy.

A rule is one expression over a row of indicator values and the params::

    @rule
    def enter_long(x: Row, p: Params) -> bool:
        return (x.rsi < p.oversold) & (x.macd_5m > 0)
"""

import ast
import hashlib
import importlib.util
import inspect
import os
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from strategy.errors import WickError, did_you_mean
from strategy.kernel import CACHE_DIR

ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT = 1, 2, 4, 8
CONDITIONS = {
    "enter_long": ENTER_LONG,
    "enter_short": ENTER_SHORT,
    "exit_long": EXIT_LONG,
    "exit_short": EXIT_SHORT,
}
DISTANCES = ("stop_distance", "take_distance", "trail_distance", "limit_distance")
PRIORITY = "entry_priority"
RULE_NAMES = (*CONDITIONS, *DISTANCES, PRIORITY)

_BINARY: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_LOGIC: dict[type[ast.AST], str] = {ast.BitAnd: "&", ast.BitOr: "|"}
_COMPARE: dict[type[ast.AST], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def rule(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function of a strategy module as a rule; it stays an ordinary function."""
    function.is_rule = True  # type: ignore[attr-defined]
    return function


def _nothing(*_: Any) -> Any:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """The rules of one strategy as two kernels.

    Attributes
    ----------
    signals : callable
        ``signals(*columns, params) -> uint8 (n,)``: bits ENTER_LONG, ENTER_SHORT, EXIT_LONG,
        EXIT_SHORT.
    distances : callable
        ``distances(at, *columns, params) -> (stop, take)``: float64 at the candles `at`; take is
        empty where the strategy has no such rule.
    trails : callable
        ``trails(*columns, params) -> float64``: the trailing stop's distance at each candle; empty
        where the strategy has no such rule.
    fields : tuple of str
        The columns they take, in this order: those fields of Row that a rule reads.
    limits : callable
        ``limits(at, *columns, params) -> float64``: how far from the close an entry rests, at the
        candles `at`; empty where the strategy has no such rule.
    texts : mapping
        Each rule's checked expression by its name; fields begin with ``x_``, params with ``p_``.
    priorities : callable
        ``priorities(at, *columns, params) -> float64``: the larger, the earlier an entry takes its
        turn among those of one instant; empty where the strategy has no such rule.
    """

    signals: Callable[..., Any]
    distances: Callable[..., Any]
    trails: Callable[..., Any]
    fields: tuple[str, ...]
    texts: Mapping[str, str]
    limits: Callable[..., Any] = _nothing
    priorities: Callable[..., Any] = _nothing


@dataclass(frozen=True, slots=True)
class Reads:
    """What expressions of checked rules read: fields of the row, and params."""

    fields: tuple[str, ...]
    params: tuple[str, ...]


@cache
def reads_of(*texts: str) -> Reads:
    """Say what expressions read."""
    nodes = (node for text in texts for node in ast.walk(ast.parse(text, mode="eval")))
    names = sorted({node.id for node in nodes if isinstance(node, ast.Name)})
    return Reads(
        tuple(name[2:] for name in names if name.startswith("x_")),
        tuple(name[2:] for name in names if name.startswith("p_")),
    )


class _Expression(ast.NodeVisitor):
    """Check one rule's expression and write it in the form the kernel needs."""

    def __init__(
        self, name: str, path: str, first_line: int, row: Sequence[str], params: Sequence[str]
    ):
        self.name, self.path, self.first_line = name, path, first_line
        self.known = {"x": list(row), "p": list(params)}
        self.fields: set[str] = set()

    def write(self, node: ast.expr) -> tuple[str, bool]:
        """Return the text of a node and whether it is a condition."""
        if isinstance(node, ast.Attribute):
            return self._attribute(node), False
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return self._constant(node), False
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return f"(-{self._number(node.operand, 'minus')})", False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "abs":
            if len(node.args) != 1 or node.keywords:
                raise self.error(node, "abs() takes one value", "abs(x.change)")
            return f"abs({self._number(node.args[0], 'abs')})", False
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Compare):
            return self._compare(node), True
        raise self._refuse(node)

    def _constant(self, node: ast.Constant) -> str:
        # A name for infinity would be needed in the generated text, and no price is ever that
        # large.
        if abs(node.value) > sys.float_info.max:  # type: ignore[arg-type]
            raise self.error(node, "a number too large for a float", "use one below 1.8e308")
        return repr(float(node.value))  # type: ignore[arg-type]

    def _attribute(self, node: ast.Attribute) -> str:
        owner = node.value.id if isinstance(node.value, ast.Name) else None
        if owner not in self.known:
            raise self.error(
                node,
                f"{ast.unparse(node)} is neither a field of the row (x.…) nor a parameter (p.…)",
                "compute it in indicators() and add it to Row, or add it to Params",
            )
        if node.attr not in self.known[owner]:
            what = "Row has no field" if owner == "x" else "Params has no field"
            raise self.error(
                node, f"{what} {node.attr!r}", did_you_mean(node.attr, self.known[owner])
            )
        if owner == "x":
            self.fields.add(node.attr)
        return f"{owner}_{node.attr}"

    def _binary(self, node: ast.BinOp) -> tuple[str, bool]:
        if symbol := _LOGIC.get(type(node.op)):
            left, right = self._condition(node.left, symbol), self._condition(node.right, symbol)
            return f"({left} {symbol} {right})", True
        if symbol := _BINARY.get(type(node.op)):
            left, right = self._number(node.left, symbol), self._number(node.right, symbol)
            return f"({left} {symbol} {right})", False
        raise self._refuse(node)

    def _compare(self, node: ast.Compare) -> str:
        if len(node.ops) != 1:
            raise self.error(
                node,
                "a chained comparison",
                "put each comparison in parentheses and join them: (x.a > 1) & (x.b > 2)",
            )
        symbol = _COMPARE.get(type(node.ops[0]))
        if symbol is None:
            raise self._refuse(node)
        left = self._number(node.left, symbol)
        return f"({left} {symbol} {self._number(node.comparators[0], symbol)})"

    def _number(self, node: ast.expr, symbol: str) -> str:
        text, is_condition = self.write(node)
        if is_condition:
            raise self.error(
                node, f"{symbol} was given a condition, expected a number", "compare numbers only"
            )
        return text

    def _condition(self, node: ast.expr, symbol: str) -> str:
        text, is_condition = self.write(node)
        if not is_condition:
            raise self.error(
                node,
                f"{symbol} was given the number {ast.unparse(node)}, expected a condition",
                "put each comparison in parentheses: (x.a > 1) & (x.b > 2)",
            )
        return text

    def _refuse(self, node: ast.AST) -> WickError:
        hints: list[tuple[type[ast.AST], str, str]] = [
            (ast.BoolOp, "'and' and 'or'", "write & and |, with each comparison in parentheses"),
            (
                ast.IfExp,
                "'if … else'",
                "combine conditions with & and |; choose values in indicators() with where()",
            ),
            (
                ast.UnaryOp,
                "'not', '~' and a plus sign",
                "turn the comparison round: x.a <= 1 instead of not (x.a > 1)",
            ),
            (ast.Compare, "a comparison other than < <= > >=", "use < <= > >="),
            (
                ast.Call,
                f"the call {ast.unparse(node)}",
                "call indicators in indicators() and add the result to Row",
            ),
            (ast.Subscript, "an index", "previous(x, n) in indicators() gives an earlier value"),
            (ast.Name, f"the name {ast.unparse(node)}", "add it to Params and write p.name"),
            (ast.BinOp, "this operator", "use + - * /"),
        ]
        for kind, what, hint in hints:
            if isinstance(node, kind):
                return self.error(node, f"{what} cannot be used in a rule", hint)
        return self.error(
            node,
            f"{ast.unparse(node)} cannot be used in a rule",
            "use numbers, x.field, p.name, + - * / < <= > >= & | and abs()",
        )

    def error(self, node: ast.AST, what: str, hint: str) -> WickError:
        line = self.first_line + getattr(node, "lineno", 1) - 1
        return WickError(f"{self.path}, line {line}, rule {self.name}: {what}", hint)


class _Written(_Expression):
    """Check a condition that stands elsewhere than in a strategy's file."""

    def error(self, node: ast.AST, what: str, hint: str) -> WickError:
        return WickError(f"{self.path}: {what}", hint)


def written_condition(node: ast.expr, place: str, params: Sequence[str]) -> str:
    """Check a condition on params alone, p.fast < p.slow, and write it over p_fast and p_slow.

    Raises
    ------
    WickError
        It is not of the grammar of rules; `place` says where it stands.
    """
    text, is_condition = (expression := _Written("", place, 1, (), params)).write(node)
    if not is_condition:
        raise expression.error(node, "a number, expected a condition", "compare: fast < slow")
    return text


def check_rule(
    function: Callable[..., Any], row: Sequence[str], params: Sequence[str]
) -> tuple[str, frozenset[str]]:
    """Check one rule and return its expression for the kernel and the row fields it reads.

    Raises
    ------
    WickError
        The rule is not a single expression of the grammar; the line and the mend are named.
    """
    lines, first_line = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    name, path = function.__name__, inspect.getsourcefile(function) or "strategy"
    expression = _Expression(name, path, first_line, row, params)
    arguments = list(inspect.signature(function).parameters)
    if not isinstance(tree, ast.FunctionDef) or arguments != ["x", "p"]:
        raise expression.error(
            tree, "wrong arguments, expected (x, p)", f"def {name}(x: Row, p: Params) -> bool:"
        )
    body = [
        s for s in tree.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
    ]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        wrong = next((s for s in body if not isinstance(s, ast.Return)), tree)
        raise expression.error(
            wrong,
            "a rule is one return of one expression",
            "move steps to indicators(); join conditions with & and |",
        )
    text, is_condition = expression.write(body[0].value)
    if is_condition != (name in CONDITIONS):
        wanted = "a condition" if name in CONDITIONS else "a number: a distance in price"
        wanted = "a number" if name == PRIORITY else wanted
        raise expression.error(
            body[0], f"the rule must give {wanted}", "see strategy/rsi_macd_atr.py"
        )
    return text, frozenset(expression.fields)


def compile_rules(
    rules: dict[str, Callable[..., Any]], row: Sequence[str], params: Sequence[str]
) -> CompiledRules:
    """Check all rules of a strategy and compile them; the compiled form is cached by their text."""
    checked = {name: check_rule(function, row, params) for name, function in rules.items()}
    used = frozenset().union(*(fields for _, fields in checked.values()))
    # Rules of params alone still need to know how many candles there are.
    fields = tuple(field for field in row if field in used) or tuple(row[:1])
    texts = {name: text for name, (text, _) in checked.items()}
    module = _import_generated(_generate(texts, fields, params))
    limits = module.limits if DISTANCES[3] in texts else _nothing
    priorities = module.priorities if PRIORITY in texts else _nothing
    return CompiledRules(
        module.signals, module.distances, module.trails, fields, texts, limits, priorities
    )


def _generate(texts: dict[str, str], fields: Sequence[str], params: Sequence[str]) -> str:
    # Prefixes keep a user's names (stop, out, n) apart from the kernel's own.
    columns = "".join(f"c_{field}, " for field in fields)
    load_params = "".join(f"    p_{name} = params[{at}]\n" for at, name in enumerate(params))
    load_row = "".join(f"        x_{field} = c_{field}[i]\n" for field in fields)
    bits = " | ".join(
        f"(np.uint8({bit}) * np.uint8({texts[name]}))"
        for name, bit in CONDITIONS.items()
        if name in texts
    )
    stop, take, trail, limit = (texts.get(name, "") for name in DISTANCES)
    # Without these rules the text is the one of old, and so is its place in the cache.
    more = "".join(
        f"""

@kernel
def {name}(at, {columns}params):
    n = len(at)
{load_params}    out = np.empty(n)
    for j in range(n):
        i = at[j]
{load_row}        out[j] = {value}
    return out
"""
        for name, value in (("limits", limit), ("priorities", texts.get(PRIORITY, "")))
        if value
    )
    return f"""import numpy as np
from strategy.kernel import kernel


@kernel
def signals({columns}params):
    n = len(c_{fields[0]})
{load_params}    out = np.empty(n, np.uint8)
    for i in range(n):
{load_row}        out[i] = {bits or "np.uint8(0)"}
    return out


@kernel
def distances(at, {columns}params):
    n = len(at)
{load_params}    stop = np.empty(n)
    take = np.empty({"n" if take else "0"})
    for j in range(n):
        i = at[j]
{load_row}        stop[j] = {stop}
{f"        take[j] = {take}" if take else ""}
    return stop, take


@kernel
def trails({columns}params):
    n = len(c_{fields[0]})
{load_params}    out = np.empty({"n" if trail else "0"})
    for i in range(len(out)):
{load_row}{f"        out[i] = {trail}" if trail else "        pass"}
    return out
{more}"""


def _import_generated(text: str) -> Any:
    name = f"candlewick_rules_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path = _written(name, text)
    if path is None:
        # Without a folder for the cache the text is compiled in memory, at every start.
        namespace: dict[str, Any] = {"__name__": name}
        exec(compile(text, f"<{name}>", "exec"), namespace)
        return types.SimpleNamespace(**namespace)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # a cached kernel looks its module up by name
    spec.loader.exec_module(module)
    return module


def _written(name: str, text: str) -> Path | None:
    if CACHE_DIR is None:
        return None
    path = CACHE_DIR / f"{name}.py"
    try:
        CACHE_DIR.mkdir(parents=True, exist_ok=True)  # a clean-up may have taken it meanwhile
        if not path.exists() or path.read_text() != text:
            scratch = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
            scratch.write_text(text)
            scratch.replace(path)
    except OSError:
        return None
    return path
