"""Neighbours lie where the search could have been, and have to hold half of the winner."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.statistics.plateau import POINTS, neighbours, plateau
from research.tuning.space import Space

NAN = float("nan")
KINDS = (
    Space("free", -1.0, 4.0, 0.0, False, (), False),
    Space("whole", 5.0, 40.0, 1.0, False, (), True),
    Space("stepped", 0.5, 3.0, 0.25, False, (), False),
    Space("coarse", 10.0, 30.0, 10.0, False, (), True),
    Space("log", 0.001, 10.0, 0.0, True, (), False),
    Space("wholelog", 1.0, 1000.0, 1.0, True, (), True),
    Space("choices", 1.0, 9.0, 0.0, False, (9.0, 1.0, 4.0), False),
    Space("one", 2.0, 2.0, 1.0, False, (), True),
)


def place(space: Space, share: float) -> float:
    if space.places() is not None:
        values = np.sort(space.values())
        return float(values[min(int(share * len(values)), len(values) - 1)])
    return space.low + share * (space.high - space.low)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6, unique=True), st.data())
def test_neighbours_are_points_that_the_search_could_have_tried(
    spaces: list[Space], data: st.DataObject
) -> None:
    shares = [data.draw(st.floats(0.0, 1.0)) for _ in spaces]
    winner = np.array([place(*pair) for pair in zip(spaces, shares, strict=True)])
    found = neighbours(spaces, winner, 1)
    assert len(found) <= POINTS
    assert len(np.unique(found, axis=0)) == len(found)
    assert not (found == winner).all(axis=1).any()
    assert np.array_equal(found, neighbours(spaces, winner, 1))
    for at, space in enumerate(spaces):
        column = found[:, at]
        assert ((column >= space.low) & (column <= space.high)).all()
        if space.choices:
            assert set(column.tolist()) <= set(space.choices)
        elif space.places() is not None:
            steps = (column - space.low) / space.step
            assert steps == pytest.approx(np.rint(steps), abs=1e-9)
        if not space.log and not space.choices:
            reach = max((space.high - space.low) / 10, space.step) * 1.5
            assert np.abs(column - winner[at]).max(initial=0.0) <= reach
        if space.places() is None or (space.places() or 0) > 1:
            alone = (np.delete(found, at, axis=1) == np.delete(winner, at)).all(axis=1)
            assert alone.any()


def test_the_steps_of_a_param_worked_by_hand() -> None:
    def around(space: Space, winner: float) -> list[float]:
        return neighbours([space], np.array([winner]), 1)[:2, 0].tolist()

    free, whole, stepped, coarse, log, wholelog, choices, one = KINDS
    assert around(free, 1.0) == [0.5, 1.5]
    assert around(whole, 20.0) == [16.0, 24.0]
    assert around(stepped, 1.0) == [0.75, 1.25]
    assert around(coarse, 10.0) == [20.0]
    assert around(log, 0.1) == pytest.approx([0.1 * 10**-0.4, 0.1 * 10**0.4])
    assert around(wholelog, 1.0) == [2.0]
    assert around(wholelog, 100.0) == [50.0, 200.0]
    assert around(choices, 4.0) == [1.0, 9.0]
    assert around(one, 2.0) == []


def test_half_of_the_winner_is_counted_from_where_nothing_is_gained() -> None:
    scores = np.array([2.0, 1.0, 0.9, -1.0, NAN])
    found = plateau(scores, 2.0, "sharpe")
    assert (found.points, found.scored, found.holding, found.least) == (5, 4, 2, 1.0)
    assert found.share == 0.4
    # Half of what a profit factor of 1.4 has is 1.2, not 0.7.
    assert plateau(np.array([1.25, 1.1, 0.8]), 1.4, "profit_factor").holding == 1
    assert plateau(np.array([-0.1, -0.2, -0.21]), -0.1, "max_drawdown").holding == 2


def test_around_a_winner_that_loses_only_what_gains_holds() -> None:
    found = plateau(np.array([-0.1, 0.0, 0.2]), -0.1, "total_return")
    assert (found.least, found.holding) == (0.0, 1)
    assert plateau(np.empty(0), 1.0, "sharpe").share == 0.0
