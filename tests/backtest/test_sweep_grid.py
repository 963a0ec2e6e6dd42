"""Every value of a grid is the decimal that was written, and every combination comes once."""

from decimal import Decimal
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.sweeps.grid import (
    Axis,
    Grid,
    axes_of,
    axes_of_tune,
    check_size,
    draw,
    parse_grid,
)
from backtest.sweeps.where import condition
from strategy.errors import WickError

KNOWN: dict[str, int | float] = {
    "rsi": 14, "fast": 12, "slow": 26, "oversold": 30.0, "stop": 2.0, "risk.trail": 0.0,
    "risk.cooldown": 0, "costs.fee_rate": 0.0005,
}  # fmt: skip
DECIMALS = st.decimals(-1000, 1000, places=4, allow_nan=False)
STEPS = st.decimals("0.0001", 100, places=4, allow_nan=False)


def axis(text: str) -> Axis:
    (found,) = parse_grid([text], KNOWN)
    return found


@given(DECIMALS, STEPS, st.integers(0, 300), st.booleans())
def test_every_value_of_a_range_is_the_double_nearest_to_its_decimal(
    start: Decimal, step: Decimal, count: int, short: bool
) -> None:
    stop = start + count * step + (step / 2 if short else 0)
    found = axis(f"oversold={start}:{stop}:{step}")
    assert found.values.tolist() == [float(start + at * step) for at in range(count + 1)]


@given(st.lists(DECIMALS, min_size=1, max_size=20, unique=True))
def test_choices_are_taken_in_the_order_they_are_written(choices: list[Decimal]) -> None:
    found = axis("oversold=" + "|".join(map(str, choices)))
    assert found.values.tolist() == [float(one) for one in choices]


def test_a_range_ends_with_its_stop_where_the_steps_reach_it() -> None:
    assert axis("oversold=10:45:2.5").values.tolist() == [10 + 2.5 * at for at in range(15)]
    assert axis("rsi=5:40:1").values.tolist() == list(range(5, 41))
    assert axis("rsi=5:9:3").values.tolist() == [5, 8]
    assert axis("stop=0.1:0.5:0.1").values.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert axis("rsi=7").values.tolist() == [7]


def test_a_grid_may_be_repeated_and_separated_by_commas() -> None:
    found = parse_grid(["rsi=5|6, risk.trail=0|2", "costs.fee_rate=2e-4"], KNOWN)
    assert [one.name for one in found] == ["rsi", "risk.trail", "costs.fee_rate"]


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("rsi", "'rsi' is not name=values", "--grid rsi=5:40:1"),
        ("rsi=", "is not name=values", "--grid rsi=5:40:1"),
        ("", "'' is not name=values", "--grid rsi=5:40:1"),
        ("rsi=5:40:1,", "'' is not name=values", "--grid"),
        ("rsi=5:40", "has 2 numbers, expected start:stop:step", "--grid"),
        ("rsi=5:40:1:2", "has 4 numbers", "--grid"),
        ("rsi=5:40:0", "has the step 0", "rises"),
        ("rsi=5:40:-1", "has the step -1", "rises"),
        ("rsi=40:5:1", "has the stop 5 below its start", "rises"),
        ("rsi=40:5:-5", "has the step -5", "--grid rsi=5:40:5 rises from 5 to 40"),
        ("rsi=40:5:5", "has the stop 5 below its start", "--grid rsi=5:40:5 rises from 5 to 40"),
        ("rsi=5:40:1,", "has a comma too many", "--grid rsi=5:40:1"),
        ("rsi=five", "rsi has 'five', expected a number", "--grid rsi="),
        ("rsi=5|", "rsi has '', expected a number", "--grid rsi="),
        ("rsi=nan", "expected a number", "--grid rsi="),
        ("oversold=1e999", "expected a number", "--grid oversold="),
        ("oversold=0:1:1e-999999", "expected a number", "--grid oversold="),
        ("rsi=5:40:2.5", "rsi has 7.5, expected whole numbers", "--grid rsi="),
        ("rsi=1e17", "rsi has 1e+17, expected whole numbers", "--grid rsi="),
        ("risk.cooldown=0.5", "expected whole numbers", "--grid risk.cooldown="),
        ("rsi=5|5", "rsi has a value twice", "once"),
        ("rsi=5,rsi=6", "names rsi twice", "once"),
        ("oversld=5", "names 'oversld', which is no parameter", "did you mean oversold?"),
        ("risk.trial=5", "names 'risk.trial'", "did you mean risk.trail?"),
        ("oversold=0:1e9:1e-3", "has 1,000,000,000,001 values, at most 1,000,000", "larger step"),
    ],
)
def test_a_wrong_grid_is_one_sentence_with_a_hint(text: str, said: str, hint: str) -> None:
    with pytest.raises(WickError) as error:
        parse_grid([text], KNOWN)
    assert said in error.value.message
    assert hint in error.value.hint


def test_python_gives_the_same_axes_as_the_command_line() -> None:
    made = axes_of({"rsi": range(5, 9), "oversold": [10, 12.5], "stop": np.array([2.0])}, KNOWN)
    told = parse_grid(["rsi=5:8:1,oversold=10|12.5,stop=2"], KNOWN)
    assert [(one.name, one.values.tolist()) for one in made] == [
        (one.name, one.values.tolist()) for one in told
    ]
    with pytest.raises(WickError, match="expected numbers"):
        axes_of({"rsi": ["a"]}, KNOWN)
    with pytest.raises(WickError, match=r"grid\['rsi'\] is \[\], which has no values"):
        axes_of({"rsi": []}, KNOWN)
    for wrong in (True, [1, False], np.array([True])):
        with pytest.raises(WickError, match="expected numbers, not True or False"):
            axes_of({"risk.cooldown": wrong}, KNOWN)


def test_what_one_candle_does_may_be_named() -> None:
    known = {"costs.intrabar": 0}
    (found,) = parse_grid(["costs.intrabar=worst|best"], known)
    assert found.values.tolist() == [0, 1]


def test_a_tune_with_lists_and_steps_is_a_grid() -> None:
    tune = {"rsi": (5, 8), "oversold": (10.0, 45.0, 17.5), "stop": [1.0, 4.0]}
    found = axes_of_tune(tune, KNOWN, "mine")
    assert [one.values.tolist() for one in found] == [[5, 6, 7, 8], [10, 27.5, 45], [1, 4]]


def test_a_tune_without_steps_is_answered_with_a_grid_that_can_be_run() -> None:
    with pytest.raises(WickError, match="has no step for oversold") as error:
        axes_of_tune({"rsi": (5, 8), "oversold": (10.0, 45.0)}, KNOWN, "mine")
    text = error.value.hint.split("'")[1]
    assert [len(one.values) for one in parse_grid([text], KNOWN)] == [4, 8]
    with pytest.raises(WickError, match="no TUNE"):
        axes_of_tune({}, KNOWN, "mine")


AXES = parse_grid(["fast=5:20:5,slow=10:30:10,stop=1|2"], KNOWN)


def test_the_last_axis_varies_fastest_and_any_cut_gives_the_same_rows() -> None:
    whole = Grid(AXES)
    rows = whole.values(whole.numbers(0, whole.places)).tolist()
    assert [tuple(row) for row in rows] == list(product(*(one.values for one in AXES)))
    pieces = [whole.values(whole.numbers(at, at + 5)).tolist() for at in range(0, 24, 5)]
    assert [row for piece in pieces for row in piece] == rows
    codes = whole.codes(whole.numbers(0, 24))
    assert codes.tolist() == [list(one) for one in product(range(4), range(3), range(2))]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("fast < slow", lambda fast, slow, stop: fast < slow),
        ("(slow - 2*fast >= 0) | (stop > 1)", lambda f, s, t: s - 2 * f >= 0 or t > 1),
        ("(fast <= 10) & (abs(slow - 20) < 5)", lambda f, s, t: f <= 10 and abs(s - 20) < 5),
        ("rsi > fast", lambda f, s, t: f < 14),
        ("risk.trail < stop", lambda f, s, t: True),
    ],
)
def test_a_condition_leaves_out_exactly_where_it_does_not_hold(text: str, holds: object) -> None:
    assert callable(holds)
    grid = Grid(AXES, condition(text, KNOWN))
    found = grid.values(grid.numbers(0, grid.places)).tolist()
    wanted = [row for row in product(*(one.values for one in AXES)) if holds(*row)]
    assert [tuple(row) for row in found] == wanted
    assert check_size(grid) == len(wanted)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("fast <", "is no condition", "fast < slow"),
        ("fast < sloow", "names 'sloow', which is no parameter", "did you mean slow?"),
        ("risk.trial > 0", "names 'risk.trial'", "did you mean risk.trail?"),
        ("fast", "expected a condition", "compare"),
        ("fast < slow < 3", "a chained comparison", "parentheses"),
        ("fast < slow and stop > 1", "'and' and 'or' cannot be used", "&"),
        ("fast == slow", "a comparison other than", "<"),
        ("print(fast) > 1", "the call print", ""),
        ("slow[0] > 1", "an index", ""),
        ("", "is no condition", "fast < slow"),
    ],
)
def test_a_wrong_condition_is_one_sentence_with_a_hint(text: str, said: str, hint: str) -> None:
    with pytest.raises(WickError) as error:
        condition(text, KNOWN)
    assert said in error.value.message
    assert "--where" in error.value.message
    assert hint in error.value.hint


def test_a_condition_that_never_holds_is_refused() -> None:
    with pytest.raises(WickError, match="leaves out every one of 24 combinations"):
        check_size(Grid(AXES, condition("fast > 100", KNOWN)))


def test_a_silly_size_is_refused_before_anything_is_made() -> None:
    axes = parse_grid(["rsi=1:1000:1,fast=1:1000:1,slow=1:1000:1"], KNOWN)
    with pytest.raises(WickError, match="has 1,000,000,000 combinations, at most 100,000,000"):
        check_size(Grid(axes))
    axes = parse_grid([f"{name}=1:1000000:1" for name in ("rsi", "fast", "slow")], KNOWN)
    with pytest.raises(WickError, match=r"has about 10\^18 combinations, at most 100,000,000"):
        check_size(Grid(axes))


@pytest.mark.parametrize("count", [1, 10, 24])
def test_a_draw_gives_each_combination_once_and_the_same_for_a_seed(count: int) -> None:
    drawn = draw(AXES, count, 7)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert len(drawn) == count
    assert drawn.tolist() == draw(AXES, count, 7).tolist()
    grid = Grid(AXES, None, drawn)
    assert grid.values(grid.numbers(0, count)).shape == (count, 3)


def test_a_draw_of_a_grid_too_large_to_run_takes_no_memory() -> None:
    axes = parse_grid(["rsi=1:100000:1,fast=1:100000:1,slow=1:100000:1"], KNOWN)
    drawn = draw(axes, 5_000, 1)
    assert len(np.unique(drawn)) == 5_000
    assert check_size(Grid(axes, None, drawn)) == 5_000
    assert drawn.max() > 10**14


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (25, 0), (-1, 0), (5, -1), (5, 2**32)])
def test_a_wrong_draw_is_refused(count: int, seed: int) -> None:
    with pytest.raises(WickError, match="expected"):
        draw(AXES, count, seed)
