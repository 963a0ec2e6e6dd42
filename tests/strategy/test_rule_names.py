"""A strategy may name its values as it likes, also as the generated kernels name theirs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from strategy.rules import compile_rules, rule

NAMES = "stop take at n i j out params np kernel signals distances x p".split()


def _written(tmp: Any, name: str) -> dict[str, Callable[..., Any]]:
    text = (
        f"def enter_long(x, p):\n    return x.{name} > p.{name}\n"
        f"def stop_distance(x, p):\n    return x.{name} * p.{name}\n"
        f"def take_distance(x, p):\n    return x.{name} + p.{name}\n"
    )
    path = tmp / "named.py"
    path.write_text(text)
    functions: dict[str, Any] = {}
    exec(compile(text, str(path), "exec"), functions)
    return {key: rule(value) for key, value in functions.items() if key[0] != "_"}


@pytest.mark.parametrize("name", NAMES)
def test_a_row_field_and_a_parameter_may_have_any_name(tmp_path: Any, name: str) -> None:
    rules = compile_rules(_written(tmp_path, name), [name], [name])
    column, params = np.array([1.0, 3.0, 5.0]), np.array([2.0])
    at = np.array([1, 2])
    assert rules.signals(column, params).tolist() == [0, 1, 1]
    stop, take = rules.distances(at, column, params)
    assert (stop.tolist(), take.tolist()) == ([6.0, 10.0], [5.0, 7.0])
