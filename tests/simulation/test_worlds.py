"""The trader in seeded worlds; `CW_SEEDS=n` runs n of them, `CW_SEED=n` the one that failed."""

import os

import pytest

from tests.simulation.world import Result, simulate, undisturbed

COUNT = int(os.environ.get("CW_SEEDS", "40"))
ONE = os.environ.get("CW_SEED", "")
SEEDS = [int(ONE)] if ONE else range(COUNT)


def story(result: Result) -> str:
    kinds = ", ".join(result.faults.only)
    lines = "\n".join(result.broken)
    return f"seed {result.seed} ({kinds}), again with CW_SEED={result.seed}:\n{lines}"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_must_hold_holds_whatever_goes_wrong(seed: int) -> None:
    result = simulate(seed)
    assert not result.broken, story(result)
    if result.keeps_facts:
        calm = undisturbed(seed)
        assert not calm.broken, story(calm)
        for name, content in calm.facts.items():
            assert result.facts.get(name) == content, f"seed {seed}, {name} after kills"
        assert result.wallet == calm.wallet


def test_a_seed_is_the_same_world_every_time() -> None:
    one, two = simulate(7), simulate(7)
    assert one.records == two.records
    assert one.records, "nothing happened"


def test_the_worlds_are_worth_living_in() -> None:
    results = [simulate(seed) for seed in range(1, 9)]
    assert sum(one.fills for one in results) > 20
    assert sum(one.starts for one in results) > len(results), "nobody was killed"
