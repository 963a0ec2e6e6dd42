"""Rules: the grammar refuses with line and mend; one text gives one answer however it is run."""

import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strategy import kernel as kernels
from strategy import rules as grammar
from strategy.errors import WickError
from strategy.rules import RULE_NAMES, CompiledRules, compile_rules, rule

ROW, PARAMS = ["rsi", "close", "trend"], ["low", "high"]


class Row(NamedTuple):
    rsi: Any
    close: Any
    trend: Any


class Params(NamedTuple):
    low: float = 30.0
    high: float = 70.0


def functions(path: Path, **bodies: str) -> dict[str, Callable[..., Any]]:
    """Write rules to a file, one def each, and give the marked functions."""
    text = "from strategy.rules import rule\n"
    for name, body in bodies.items():
        args = "x, p"
        if body.startswith("("):
            args, body = body[1:].split(") ", 1)
        text += f"\n@rule\ndef {name}({args}):\n    {body}\n"
    path.write_text(text)
    linecache.checkcache(str(path))
    module: dict[str, Any] = {"rule": rule}
    exec(compile(text, str(path), "exec"), module)
    return {name: module[name] for name in bodies}


WRONG = [
    # body, what is said, hint
    ("return x.rsi < 1 and x.close > 2", "'and' and 'or' cannot be used", "write & and |"),
    ("return x.rsi < 1 or x.close > 2", "'and' and 'or' cannot be used", "write & and |"),
    ("return not x.rsi < 1", "'not', '~' and a plus sign cannot be used", "turn the comparison"),
    ("return ~(x.rsi < 1)", "'not', '~' and a plus sign cannot be used", "turn the comparison"),
    ("return x.rsi < 1 if p.low > 2 else x.rsi < 2", "'if … else' cannot be used", "where()"),
    ("return 1 < x.rsi < 2", "a chained comparison", "put each comparison in parentheses"),
    ("return x.rsi < p.low & x.close > 2", "a chained comparison", "(x.a > 1) & (x.b > 2)"),
    ("return x.rsi < 1 & x.close", "& was given the number 1, expected", "in parentheses"),
    ("return (x.rsi < 1) & x.close", "& was given the number x.close, expected", "in parentheses"),
    ("return x.rsi == 1", "a comparison other than < <= > >=", "use < <= > >="),
    ("return x.rsi is None", "a comparison other than < <= > >=", "use < <= > >="),
    ("return x.rsl < 1", "Row has no field 'rsl'", "did you mean rsi? known: close, rsi, trend"),
    ("return x.rsi < p.lo", "Params has no field 'lo'", "did you mean low? known: high, low"),
    ("return x.rsi < q.low", "q.low is neither a field of the row", "add it to Row"),
    ("return x.rsi.mean() < 1", "the call x.rsi.mean() cannot be used", "indicators()"),
    ("return max(x.rsi, 2) < 1", "the call max(x.rsi, 2) cannot be used", "indicators()"),
    ("return abs(x.rsi, 2) < 1", "abs() takes one value", "abs(x.change)"),
    ("return x.rsi[1] < 1", "an index cannot be used", "previous(x, n)"),
    ("return x[0] < 1", "an index cannot be used", "previous(x, n)"),
    ("return x.rsi < LIMIT", "the name LIMIT cannot be used", "add it to Params"),
    ("return x < 1", "the name x cannot be used", "add it to Params"),
    ("return x.rsi ** 2 < 1", "this operator cannot be used", "use + - * /"),
    ("return x.rsi // 2 < 1", "this operator cannot be used", "use + - * /"),
    ("return (x.rsi < 1) ^ (x.rsi < 2)", "this operator cannot be used", "use + - * /"),
    ("return x.rsi < True", "True cannot be used in a rule", "use numbers, x.field"),
    ("return x.rsi < 'a'", "'a' cannot be used in a rule", "use numbers, x.field"),
    ("return x.rsi < 1e999", "a number too large for a float", "below"),
    ("return (x.rsi < 1) + 2 > 1", "+ was given a condition, expected a number", "numbers only"),
    ("return -(x.rsi < 1) < 1", "minus was given a condition, expected a number", "numbers only"),
    ("return (x.rsi < 1) < 1", "< was given a condition, expected a number", "numbers only"),
    ("return abs(x.rsi < 1) < 1", "abs was given a condition, expected a number", "numbers only"),
    ("return x.rsi", "the rule must give a condition", "rsi_macd_atr"),
    ("return", "a rule is one return of one expression", "move steps to indicators()"),
    ("pass", "a rule is one return of one expression", "move steps to indicators()"),
    ("a = x.rsi; return a < 1", "a rule is one return of one expression", "move steps"),
    ("(x) return x.rsi < 1", "wrong arguments, expected (x, p)", "def enter_long(x: Row, p: P"),
    ("(row, p) return row.rsi < 1", "wrong arguments, expected (x, p)", "def enter_long(x: Row"),
    ("(x, p, *more) return x.rsi < 1", "wrong arguments, expected (x, p)", "def enter_long(x"),
]


@pytest.mark.parametrize(("body", "said", "hint"), WRONG, ids=[body for body, _, _ in WRONG])
def test_a_wrong_rule_is_refused_with_file_line_and_mend(
    tmp_path: Path, body: str, said: str, hint: str
) -> None:
    path = tmp_path / "mine.py"
    with pytest.raises(WickError) as error:
        compile_rules(functions(path, enter_long=body, stop_distance="return 1.0"), ROW, PARAMS)
    line = 4 if said.startswith("wrong arguments") or body == "return" else 5
    assert str(error.value).startswith(f"{path}, line ")
    assert f", line {line}, rule enter_long: {said}" in error.value.message
    assert hint in error.value.hint


def test_the_line_named_is_the_line_of_the_fault(tmp_path: Path) -> None:
    body = "return (\n        (x.rsi < 1)\n        & (x.close > 2)\n        & (x.trand > 3)\n    )"
    with pytest.raises(WickError, match="line 8, rule exit_long: Row has no field 'trand'"):
        compile_rules(functions(tmp_path / "mine.py", exit_long=body), ROW, PARAMS)


def test_a_distance_must_be_a_number(tmp_path: Path) -> None:
    rules = functions(tmp_path / "mine.py", stop_distance="return x.rsi < 1")
    with pytest.raises(WickError, match="the rule must give a number: a distance in price"):
        compile_rules(rules, ROW, PARAMS)


EVERY = {
    "enter_long": '"""Weak."""\n    return (x.rsi < p.low) & (x.close > x.trend) | (x.rsi <= -1)',
    "enter_short": "return (x.rsi > p.high) & ((x.close < x.trend) | (abs(x.rsi - 50) >= 3.5e1))",
    "exit_long": "return x.rsi / x.close > p.high / (p.low - 30) - x.trend",
    "exit_short": "return -x.rsi * 2 + x.close / 0 <= x.trend / x.trend - 1",
    "stop_distance": "return abs(x.close - x.trend) / x.rsi * p.low",
    "take_distance": "return p.high / (x.rsi - x.rsi)",
    "trail_distance": "return x.close * p.low - abs(x.rsi)",
    "limit_distance": "return p.high - x.close / x.rsi",
    "entry_priority": "return -x.trend / p.low",
}


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompiledRules, dict[str, Any]]:
    rules = functions(tmp_path_factory.mktemp("rules") / "mine.py", **EVERY)
    return compile_rules(rules, ROW, PARAMS), rules


def agree(
    compiled: CompiledRules, rules: dict[str, Any], columns: np.ndarray, params: Params
) -> None:
    """Check that kernels, whole columns and one row after the other give the same."""
    numbers = np.array(params, np.float64)
    table = dict(zip(ROW, columns, strict=True))
    read = [table[field] for field in compiled.fields]
    n = columns.shape[1]
    flags = compiled.signals(*read, numbers)
    distances = dict(
        zip(grammar.DISTANCES, compiled.distances(np.arange(n), *read, numbers), strict=False)
    )
    distances["trail_distance"] = compiled.trails(*read, numbers)
    distances["limit_distance"] = compiled.limits(np.arange(n), *read, numbers)
    distances["entry_priority"] = compiled.priorities(np.arange(n), *read, numbers)
    p = Params(*numbers)
    with np.errstate(all="ignore"):
        for name, function in rules.items():
            whole = np.broadcast_to(function(Row(*columns), p), (n,))
            single = [function(Row(*columns[:, i]), p) for i in range(n)]
            if name in grammar.CONDITIONS:
                found = flags & grammar.CONDITIONS[name] > 0
            else:
                found = distances[name]
            np.testing.assert_array_equal(found, whole)
            np.testing.assert_array_equal(found, single)


values = st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, 30.0, 70.0, 1e308]) | st.floats()


@settings(max_examples=100, deadline=None)
@given(
    columns=arrays(np.float64, (3, 8), elements=values),
    low=st.sampled_from([30.0, 0.0, 29.5]),
    high=st.sampled_from([70.0, 0.0, -1.0]),
)
def test_compiled_on_columns_and_row_by_row_give_the_same(
    every: tuple[CompiledRules, dict[str, Any]], columns: np.ndarray, low: float, high: float
) -> None:
    agree(*every, columns, Params(low, high))


numbers = st.recursive(
    st.sampled_from(["x.rsi", "x.close", "x.trend", "p.low", "p.high", "2", "0.5"]),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner)
        | st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner)
        | st.builds("-{}".format, inner)
        | st.builds("abs({})".format, inner)
    ),
    max_leaves=6,
)
comparisons = st.builds(
    "({} {} {})".format, numbers, st.sampled_from(["<", "<=", ">", ">="]), numbers
)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("&|"), inner)
        | st.builds("{} {} {}".format, inner, st.sampled_from("&|"), inner)
    ),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(
    condition=conditions,
    distance=numbers,
    columns=arrays(np.float64, (3, 8), elements=values),
)
def test_any_sentence_of_the_grammar_keeps_its_meaning(
    tmp_path_factory: pytest.TempPathFactory, condition: str, distance: str, columns: np.ndarray
) -> None:
    # Not compiled: this is about the generated text, and compiling each takes half a second.
    rules = functions(
        tmp_path_factory.mktemp("rules") / "mine.py",
        enter_long=f"return {condition}",
        stop_distance=f"return {distance}",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "CACHE_DIR", None)
        patch.setattr(grammar, "CACHE_DIR", None)
        compiled = compile_rules(rules, ROW, PARAMS)
    kernels_of = (compiled.signals, compiled.distances, compiled.trails)
    texts = [getattr(one, "py_func", one) for one in kernels_of]
    signals, distances, trails = (np.errstate(all="ignore")(text) for text in texts)
    plain = CompiledRules(signals, distances, trails, compiled.fields, compiled.texts)
    try:
        agree(plain, rules, columns, Params())
    except ZeroDivisionError:  # two literals, such as 2 / (0.5 - 0.5): Python's own division
        reject()


def test_a_missing_rule_means_never(tmp_path: Path) -> None:
    rules = functions(
        tmp_path / "mine.py", enter_short="return x.rsi > p.low", stop_distance="return p.high"
    )
    compiled = compile_rules(rules, ROW, PARAMS)
    assert compiled.fields == ("rsi",)
    column, params = np.array([31.0, np.nan, 29.0]), np.array([30.0, 70.0])
    assert compiled.signals(column, params).tolist() == [grammar.ENTER_SHORT, 0, 0]
    stop, take = compiled.distances(np.array([0, 2]), column, params)
    assert stop.tolist() == [70.0, 70.0]
    assert take.shape == (0,)


def test_rules_of_params_alone_give_an_answer_for_every_candle(tmp_path: Path) -> None:
    rules = functions(
        tmp_path / "mine.py", enter_long="return p.high > 1", stop_distance="return 2"
    )
    compiled = compile_rules(rules, ROW, PARAMS)
    assert compiled.signals(np.zeros(3), np.array([30.0, 70.0])).tolist() == [1, 1, 1]


def test_an_edited_rule_is_compiled_anew(tmp_path: Path) -> None:
    path, column, params = tmp_path / "mine.py", np.array([5.0]), np.array([30.0, 70.0])
    answers = []
    for number in (4, 6, 4):
        rules = functions(path, enter_long=f"return x.rsi < {number}", stop_distance="return 1")
        answers.append(compile_rules(rules, ROW, PARAMS).signals(column, params)[0])
    assert answers == [0, 1, 0]


def test_every_kind_of_rule_is_in_the_table() -> None:
    assert set(EVERY) == set(RULE_NAMES)
