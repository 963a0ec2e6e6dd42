"""Bars read in a process of their own: the checks they have here, whatever becomes of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.synthetic import synthetic_market
from research.check import Plan, check_strategy
from research.check_process import CheckProcess
from strategy.candles import Candles
from strategy.contract import bars
from strategy.contract.findings import BEGINNING, CHUNKS, FUTURE, Check
from strategy.contract.future import Tick
from strategy.contract.outcome import Span, Subject
from strategy.load import load
from tests.strategy.clean import CLEAN
from tests.strategy.leaks import LEAKS
from tests.strategy.planted import whole

MONDAY_MS = 1_672_617_600_000
WINDOW = 1_000
SAME = ["the next close", "the mean over all", "an own kernel that forgets"]
# These remember, or differ by where a reading begins: there it begins anew, and in two stretches.
OTHER = ["a global kept from call to call", "what an earlier call has seen, kept in the module",
         "the longest history of all calls, kept in the module", "a branch on the candles",
         "the unfinished 5m candle", "the next close, on one candle in ten hours"]  # fmt: skip
BODIES = dict(sorted(CLEAN.items())[:3]) | {name: LEAKS[name][0] for name in SAME + OTHER}


@pytest.fixture(scope="module")
def candles() -> Candles:
    """Give ten days of minutes."""
    return synthetic_market(3, 14_400, MONDAY_MS)


@pytest.fixture(scope="module")
def process() -> Iterator[CheckProcess]:
    """Give one for several strategies, as several symbols have one."""
    with CheckProcess() as entered:
        yield entered


def planted(folder: Path, body: str, candles: Candles) -> Subject:
    path = folder / "planted.py"
    path.write_text(whole(body))
    return Subject.of(load(str(path)), candles)


@pytest.mark.parametrize("name", BODIES)
def test_the_process_finds_what_is_found_here(
    tmp_path: Path, candles: Candles, process: CheckProcess, name: str
) -> None:
    here = check_strategy(planted(tmp_path, BODIES[name], candles), candles, [], window=WINDOW)
    subject = planted(tmp_path, BODIES[name], candles)
    there = check_strategy(subject, candles, [], window=WINDOW, begin_longest=process.begin)
    if name in OTHER:
        told, expected = ({one.kind for one in its.findings} for its in (there, here))
        assert told >= expected - {CHUNKS}  # which of them is a wrong memory depends on the cut
        assert told & {BEGINNING, FUTURE, CHUNKS}
    else:
        assert repr(there) == repr(here)
    assert (here.findings == []) == (name in CLEAN)


def plan_of(subject: Subject, candles: Candles, width: int) -> Plan:
    return Plan.of(Span.of(subject, candles), 0, width)


def read_here(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """Note which bars are read in this process, by whomever."""
    noted: list[range] = []
    every_bar = bars.every_bar

    def noting(span: Span, some: range, seed: int, tick: Tick) -> list[Check]:
        noted.append(some)
        return every_bar(span, some, seed, tick)

    for where in ("strategy.contract.bars.every_bar", "research.check.every_bar"):
        monkeypatch.setattr(where, noting)
    return noted


def test_half_of_the_bars_and_all_cuts_are_read_there_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, candles: Candles, process: CheckProcess
) -> None:
    plan = plan_of(planted(tmp_path, CLEAN["sessions"], candles), candles, 1_000)
    assert plan.bars == range(1_000)
    noted, ticks = read_here(monkeypatch), []
    monkeypatch.delattr("research.check.same_at_cuts")
    checks, cuts = process.begin(plan)(lambda: ticks.append(1))
    assert noted == [range(500, 1_000)]
    assert sum(check.runs for check in checks if "ends early" in check.title) == 1_000
    assert [check.runs for check in cuts] == [len({0, *plan.places.tolist(), 14_400}) - 1] * 3
    assert 1_000 - 100 < len(ticks) <= 1_000 + 3  # bars are told in hundreds


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(
    tmp_path: Path, candles: Candles, process: CheckProcess
) -> None:
    (tmp_path / "a").mkdir()
    leaks = plan_of(planted(tmp_path / "a", BODIES["the next close"], candles), candles, 100)
    clean = plan_of(planted(tmp_path, CLEAN["sessions"], candles), candles, 100)
    process.begin(leaks)
    found, cuts = process.begin(clean)(lambda: None)
    assert not any(check.found for check in (*found, *cuts))


@pytest.mark.parametrize("when", ["before it is asked", "while it reads"])
def test_a_process_that_is_killed_costs_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, candles: Candles, when: str
) -> None:
    subject = planted(tmp_path, LEAKS["the mean over all"][0], candles)
    plan = plan_of(subject, candles.slice(0, 1_000), 400)
    expected = plan.longest(plan.bars, lambda: None)
    noted = read_here(monkeypatch)
    with CheckProcess() as process:
        if when == "before it is asked":
            os.kill(process.pid, signal.SIGKILL)
        end = process.begin(plan)
        if when == "while it reads":
            os.kill(process.pid, signal.SIGKILL)
        found, cuts = end(lambda: None)
    assert noted == [range(200, 400), range(200)]
    assert repr(cuts) == repr(expected[1])
    places = [sorted(check.found) for check in expected[0]]
    joined = [sorted({*a.found, *b.found}) for a, b in zip(found[:3], found[3:], strict=True)]
    assert joined == places
    assert any(places)


READER = """
def x_of(c, p):
    print("no answer")
    return c.close if len(c._arrays["close"]) != 65 else float(input()) * c.close
"""


def test_what_a_strategy_prints_is_no_answer_and_what_it_reads_no_question(
    tmp_path: Path, candles: Candles, process: CheckProcess
) -> None:
    plan = plan_of(planted(tmp_path, READER, candles), candles.slice(0, 1_000), 400)
    (_, theirs, *_), _ = process.begin(plan)(lambda: None)
    assert "EOF when reading a line" in theirs.found["indicators"].said
