"""Comparing runs: what may be compared, what differs, and by how much."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from data.run_index import LISTED
from data.run_json import FigureRecord
from data.runs import Run
from data.symbols import DatedRules, MarginRules
from research.runs import compare, runs_table
from research.runs.comparing import Comparison
from research.runs.side_by_side import difference, print_comparison
from strategy.errors import RunRefused, WickError
from tests.cli.kept_runs import FUNDED, like, with_data


def against(first: Run, name: str, **changes: Any) -> Comparison:
    like(first, name, **changes)
    return compare("first", name, force=True, runs=first.folder.parent)


def test_a_run_made_again_has_no_difference(first: Run) -> None:
    found = against(first, "again")
    assert (found.rests_on, found.settings) == ([], [])
    assert found.same_source and found.same_result
    assert len(found.lines) == len(first.record.figures)
    for one in found.lines:
        assert one.values[0] == one.values[1]
        assert one.differences in ((0.0,), (None,))
    assert compare("first", "again", runs=first.folder.parent).lines == found.lines


# What is changed of the data, and what is said to differ.
DATA: dict[str, tuple[dict[str, Any], str]] = {
    "market": ({"market": "spot"}, "SYNTHUSDT candles (um 1m / spot 1m)"),
    "span": ({"end_ms": 1_900_000_000_000}, "SYNTHUSDT span ("),
    "prices": ({"fingerprint": "0" * 64}, "SYNTHUSDT prices ("),
    "funding": ({"funding": FUNDED}, "SYNTHUSDT funding (none / eeeeeeee)"),
    "brackets": (
        {"margin": MarginRules((), "0.01", None)},
        "SYNTHUSDT leverage brackets (none / 0 brackets, liquidation fee 0.01)",
    ),
    "warm-up": ({"warm_ms": 0}, "SYNTHUSDT warm-up from (none / 1970-01-01 00:00)"),
    "warm candles": ({"warm_fingerprint": "d" * 64}, "SYNTHUSDT warm-up (none / dddddddd)"),
    "symbol": ({"symbol": "OTHERUSDT"}, "symbols (SYNTHUSDT / OTHERUSDT)"),
}


@pytest.mark.parametrize("case", DATA)
def test_other_data_is_refused_and_named(first: Run, case: str) -> None:
    changes, said = DATA[case]
    name = f"data-{case.replace(' ', '-')}"
    like(first, name, data=with_data(first, **changes))
    with pytest.raises(RunRefused, match=re.escape(said)) as refused:
        compare("first", name, runs=first.folder.parent)
    assert "--force" in refused.value.hint
    found = compare("first", name, force=True, runs=first.folder.parent)
    assert len(found.rests_on) == 1


def test_other_exchange_rules_are_refused_but_not_another_day_of_the_same(first: Run) -> None:
    rules = first.record.data[0].rules
    coarse = msgspec.structs.replace(rules, tick_size="0.5")
    found = against(first, "coarse", data=with_data(first, rules=coarse))
    assert [one.what for one in found.rests_on] == ["SYNTHUSDT exchange rules"]
    seen = msgspec.structs.replace(rules, seen="2030-01-01")
    assert against(first, "seen", data=with_data(first, rules=seen)).rests_on == []
    changed = [DatedRules(first.record.data[0].first_ms + 60_000, coarse, None)]
    found = against(first, "changed", data=with_data(first, changes=changed))
    assert [one.what for one in found.rests_on] == ["SYNTHUSDT rules during the run"]


def test_strategies_that_read_other_columns_of_the_same_candles_are_compared(first: Run) -> None:
    its = first.record.data[0]
    assert its.prices  # the scripted market has every column
    fewer = [name for name in its.columns if name != "taker_buy"]
    data = with_data(first, columns=fewer, fingerprint="0" * 64)
    assert against(first, "fewer", data=data).rests_on == []
    data = with_data(first, columns=fewer, fingerprint="0" * 64, prices="1" * 64)
    assert len(against(first, "moved", data=data).rests_on) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fee_rate": 0.0004}, "costs.fee_rate (0.0005 / 0.0004)"),
        ({"slippage": 0.0}, "costs.slippage (0.0001 / 0)"),
        ({"costs": {"latency_ms": 5.0}}, "costs.latency_ms (0 / 5)"),
    ],
    ids=["fee", "slippage", "latency"],
)
def test_other_costs_are_refused_and_named(first: Run, changes: Any, said: str) -> None:
    found = against(first, f"cost-{said[6:12]}", **changes)
    with pytest.raises(RunRefused, match=re.escape(said)):
        compare("first", found.records[1].id, runs=first.folder.parent)


def test_what_was_set_differently_is_told_and_not_refused(first: Run) -> None:
    risk = first.record.risk | {"per_trade": 0.5}
    strategy = msgspec.structs.replace(first.record.strategy, source_hash="0" * 64)
    changes: dict[str, Any] = {
        "params": {"made_up": 3},
        "risk": risk,
        "balance": 500.0,
        "strategy": strategy,
    }
    like(first, "set", **changes)
    found = compare("first", "set", runs=first.folder.parent)
    told = {one.what: one.values for one in found.settings}
    assert told["risk.per_trade"] == ("0.002", "0.5")
    assert told["made_up"] == ("none", "3")
    assert told["balance"] == ("10000", "500")
    assert not found.same_source
    assert found.changes.loc["balance", "set"] == "500"


def test_differences_are_from_the_first_run_and_missing_figures_say_why(first: Run) -> None:
    figures = [
        msgspec.structs.replace(one, value=one.value + 0.25)
        if one.key == "total_return" and one.value is not None
        else msgspec.structs.replace(one, value=None, note="no reason at all")
        if one.key == "trades"
        else one
        for one in first.record.figures
        if one.key != "sharpe"
    ]
    figures.append(FigureRecord("new", "newer figure", 1.0, "ratio", 1, "", ""))
    found = against(first, "moved-figures", figures=figures)
    lines = {one.key: one for one in found.lines}
    assert lines["total_return"].differences[0] == pytest.approx(0.25)
    assert lines["trades"].differences == (None,)
    assert lines["trades"].notes == ("", "no reason at all")
    assert lines["sharpe"].values[1] is None
    assert "not computed" in lines["sharpe"].notes[1]
    assert "not computed" in lines["new"].notes[0]
    table = found.figures
    assert table.loc["total_return", "moved-figures - first"] == pytest.approx(0.25)
    assert table["moved-figures"].isna()["trades"]


def test_several_runs_are_compared_with_the_first(first: Run) -> None:
    for name in ("b", "c"):
        like(first, name)
    found = compare("first", "b", "c", runs=first.folder.parent)
    assert all(len(one.differences) == 2 for one in found.lines)


def test_a_comparison_says_in_brief_what_it_is(first: Run) -> None:
    found = against(first, "brief", fee_rate=0.0, balance=7.0)
    assert repr(found) == (
        "first beside brief\nnot comparable, data or costs differ\n"
        "set differently: costs.fee_rate, balance"
    )


def test_names_with_brackets_are_shown_as_they_are(
    first: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    strategy = msgspec.structs.replace(first.record.strategy, name="[red]mine[/red]")
    print_comparison(against(first, "brackets", strategy=strategy))
    assert "[red]mine[/red]" in capsys.readouterr().out


def test_wrong_names_are_told(first: Run) -> None:
    runs = first.folder.parent
    with pytest.raises(WickError, match="only 1 run to compare"):
        compare("first", runs=runs)
    with pytest.raises(WickError, match="is run first once more"):
        compare("first", str(runs / "first"), runs=runs)
    with pytest.raises(WickError, match="there is no run 'frist'") as wrong:
        compare("first", "frist", runs=runs)
    assert "did you mean first?" in wrong.value.hint


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [
        ("share", 0.1234, "+12.34 pp"),
        ("share", -1e-9, "0.00 pp"),
        ("share", 0.0, "="),
        ("money", -1234.5, "-1,234.50"),
        ("count", 1200.0, "+1,200"),
        ("days", -1.25, "-1.2 d"),
        ("minutes", -90.0, "-90 min"),
        ("minutes", -900.0, "-15.0 h"),
        ("r", 0.5, "+0.500 R"),
        ("ratio", None, "N/A"),
        ("ratio", float("nan"), "N/A"),
    ],
)
def test_a_difference_has_its_sign_and_unit(unit: str, value: float | None, said: str) -> None:
    assert difference(unit, value) == said


def test_runs_are_a_table_for_notebooks(first: Run, tmp_path: Path) -> None:
    table = runs_table(first.folder.parent)
    assert table.index[0] == "first"
    row = table.loc["first"]
    for key in ("total_return", "trades"):
        assert row[key] == first.record.figure(key).value
    assert row["created"] == pd.Timestamp(first.record.created_ms, unit="ms", tz="UTC")
    assert list(runs_table(tmp_path).columns[-len(LISTED) :]) == list(LISTED)
