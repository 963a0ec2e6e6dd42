"""One run on the terminal, whatever made it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from data.run_json import AxisRecord, SweepRecord, TuneRecord
from data.runs import Run, read_record
from data.tune_json import HoldoutRecord, SearchRecord, WalkRecord, WindowRecord
from research.runs.show import print_one
from strategy.timeframes import DAY_MS
from tests.cli.kept_runs import with_data
from tests.research.tune_report.made import panel_record

SWEEP = SweepRecord(
    objective="sharpe",
    axes=[AxisRecord("channel", [24.0, 48.0]), AxisRecord("stop", [2.0, 3.0, 4.0])],
    where="stop < channel",
    drawn=None,
    combinations=6,
    left_out=1,
    few_trades=3,
    without={"used up": 2},
    number=4,
    best={"sharpe": 4},
    method=[],
)
SEARCH = SearchRecord(
    study="mine", storage="journal", objectives=["sharpe"], constraints=[], spaces=[], winner=17,
    front=[17], complete=190, pruned=8, infeasible=2, failed=0, importance={},
)  # fmt: skip
DAY = 1_700_000_000_000 // DAY_MS * DAY_MS


def tuned(run: Run) -> TuneRecord:
    return TuneRecord(
        "sharpe", 200, "tpe", DAY, DAY + DAY_MS, DAY + 2 * DAY_MS, 1.25,
        out_of_sample=run.record.figures, search=SEARCH,
        holdout=HoldoutRecord(DAY, DAY + DAY_MS),
    )  # fmt: skip


def walked(windows: int) -> WalkRecord:
    found = [
        WindowRecord(
            train=[(DAY, DAY + at * DAY_MS)],
            test=(DAY + at * DAY_MS, DAY + (at + 1) * DAY_MS),
            params={},
            score=1.5,
            sharpe=None,
            total_return=-0.0123,
            max_drawdown=-0.05,
            trades=1234,
        )
        for at in range(windows)
    ]
    return WalkRecord("rolling", "sharpe", 50, found, efficiency=0.42)


def told(first: Run, capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    record = msgspec.structs.replace(read_record(first.folder), **changes)
    print_one(record, first.folder)
    return capsys.readouterr().out


def test_a_sweep_says_what_it_ran(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(first, capsys, kind="sweep", sweep=SWEEP)
    assert "sweep by sharpe: 6 combinations of channel 2, stop 3; this is number 4" in out
    assert "left out by --where 'stop < channel': 1" in out
    assert "without a result: 2: used up 2" in out


def test_a_tuning_says_how_it_searched(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(first, capsys, kind="tune", tune=tuned(first), seed=5)
    assert "tuned by sharpe, tpe: 200 trials, best 1.25" in out
    assert "study mine: complete 190, pruned 8, infeasible 2, failed 0; winner is trial 17" in out
    assert "out of sample, 2023-11-15 on: total return" in out
    assert "hold-out 2023-11-14 00:00 to 2023-11-15 00:00: closed" in out
    assert "seed      5" in out
    opened = msgspec.structs.replace(
        tuned(first), holdout=HoldoutRecord(DAY, DAY + DAY_MS, 5, "it", 1)
    )
    assert "2023-11-15 00:00: opened by it" in told(first, capsys, tune=opened)


def test_a_tuning_gives_its_verdict(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for edge, words in ((True, "verdict: edge"), (False, "verdict: no edge")):
        tune = msgspec.structs.replace(tuned(first), panel=panel_record(edge))
        (line,) = [one for one in told(first, capsys, tune=tune).splitlines() if words in one]
        assert "2,345 trials in all" in line
        assert f"probability of overfitting {0.2 if edge else 0.71:.2f}" in line


def test_a_walk_forward_shows_its_windows(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(first, capsys, kind="walkforward", walk=walked(14))
    assert "rolling walk-forward by sharpe: 14 windows, 50 trials each, efficiency 0.42" in out
    rows = [line for line in out.splitlines() if "-1.23%" in line]
    assert len(rows) == 12
    assert rows[0].split() == [
        "2023-11-14", "2023-11-14", "-1.23%", "N/A", "-5.00%", "1,234", "1.50"
    ]  # fmt: skip
    assert "… and 2 more windows" in out


def test_many_symbols_are_told_in_brief(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    data = [with_data(first, symbol=f"S{at:03}USDT")[0] for at in range(100)]
    out = told(first, capsys, data=data, command=[])
    assert "S011USDT" in out
    assert "… and 88 more symbols" in out
    assert "command   from Python" in out
    table = [line for line in out.splitlines() if line.startswith("S0")]
    assert len(table) == 12


def test_notes_with_brackets_are_shown_as_they_are(
    first: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    out = told(first, capsys, notes=["[bold]not markup[/bold]"])
    assert "note: [bold]not markup[/bold]" in out
    assert str(Path(first.folder)) in out
