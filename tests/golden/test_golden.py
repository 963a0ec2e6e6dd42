"""Every shipped strategy trades as it did when its fingerprints were taken, to the last bit."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from strategy.load import available
from strategy.records import UNIT
from tests.conftest import SHARED_DATA
from tests.golden.cases import (
    Case,
    cases,
    difference,
    golden,
    is_drawn,
    is_small,
    now_fields,
    read,
    run,
)

ROOT = Path(__file__).parents[2]
KEPT = read()
CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_shipped_strategy_trades_as_it_did(case: Case, tmp_path: Path) -> None:
    if not is_drawn(case) and not SHARED_DATA.is_dir():
        pytest.skip("no real klines: ../shared/data is absent")
    result = run(case, SHARED_DATA, tmp_path)
    now = golden(case, result, KEPT["fields"])
    said = difference(case.name, KEPT["golden"][case.name], now, result)
    assert not said, f"{said}\nif that is meant: python -m tests.golden.rewrite"
    assert len(result.trades)


def test_every_shipped_strategy_has_fingerprints_on_drawn_and_on_real_markets() -> None:
    assert set(KEPT["golden"]) == {case.name for case in CASES}, (
        "python -m tests.golden.rewrite, for new strategies and cases"
    )
    for drawn in (True, False):
        assert {case.strategy for case in CASES if is_drawn(case) is drawn} == set(available())


def test_columns_that_a_fingerprint_looks_at_are_still_there() -> None:
    for table, names in now_fields().items():
        assert set(KEPT["fields"][table]) <= set(names)


def small() -> list[str]:
    """Run the small cases; the hash of each."""
    return [
        golden(case, run(case, SHARED_DATA, ROOT), KEPT["fields"])["hash"]
        for case in CASES
        if is_small(case)
    ]


def test_with_the_compiler_off_every_option_gives_the_same_trades() -> None:
    code = f"from {__name__} import small; print(*small(), sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [KEPT["golden"][case.name]["hash"] for case in CASES if is_small(case)]
    assert found.stdout.splitlines() == expected
    assert found.stderr == ""


def test_what_has_changed_is_named_with_its_first_different_trade(tmp_path: Path) -> None:
    case = next(case for case in CASES if is_small(case))
    result = run(case, SHARED_DATA, tmp_path)
    before = golden(case, result, KEPT["fields"])
    assert difference(case.name, before, golden(case, result, KEPT["fields"]), result) == ""
    trade = result.trades[7]
    trade.exit_price = np.nextafter(trade.exit_price, 0.0)
    after = golden(case, result, KEPT["fields"])
    said = difference(case.name, before, after, result)
    assert said.startswith(f"{case.name}: first different trade: number 7, now ")
    trade.fees += 1
    said = difference(case.name, before, golden(case, result, KEPT["fields"]), result)
    net = before["net"]
    assert said.startswith(f"{case.name}: net {net} before, {round(net - 1 / UNIT, 8)} now; first")
    result.equity[-1] += 1.0
    after = {**before, "hash": golden(case, result, KEPT["fields"])["hash"]}
    assert "the trades are the same" in difference(case.name, before, after, result)
