"""wick sweep as a user has it: what it prints, keeps and refuses."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from backtest.inputs import Asked, gather
from backtest.sweeps import show
from backtest.sweeps.figures import FIGURES
from data import runs as run_folders
from data.runs import Run
from tests.backtest.sweep_oracle import one_by_one
from tests.cli.conftest import (
    Command,
    Said,
    finished,
    is_refusal,
    strategy,
)
from tests.cli.sweeps import GRID, SMALL, record


def test_several_conditions_hold_together(small: Path, command: Command) -> None:
    grid = ("--grid", "channel=24|48,stop=2:4:1")
    more = ("--where", "stop < 4", "--where", "(channel > 24) | (stop > 2)", "--json")
    answer = json.loads(command("sweep", "breakout_donchian", *grid, *more).out)
    assert (answer["combinations"], answer["left_out"]) == (3, 3)
    said = command("sweep", "breakout_donchian", *grid, "--where", "stop <", "--where", "stop > 1")
    is_refusal(said)
    assert "--where 'stop <' is no condition" in said.err


def test_every_row_is_a_backtest_of_its_own(small: Path, command: Command) -> None:
    name = command(*SMALL).run
    found = pq.read_table(small / "var" / "runs" / name / "results").sort_by("combination")
    inputs = gather(Asked("breakout_donchian"), small / "var" / "store", small / "var" / "runs")
    axes = ("channel", "stop", "costs.fee_rate")
    values = np.column_stack([found[axis].to_numpy() for axis in axes]).astype(float)
    figures, notes = one_by_one(inputs, axes, values, FIGURES)
    assert found["note"].to_pylist() == notes
    for key in FIGURES:
        assert np.array_equal(found[key].to_numpy(), figures[key], equal_nan=True), key


@pytest.mark.parametrize("rank", [1, 2, 12])
def test_a_place_of_the_top_is_reproduced_to_the_last_bit(
    small: Path, command: Command, rank: int
) -> None:
    said = command(*SMALL, "--json", "--objective", "expectancy", "--top", "12")
    row = json.loads(said.out)["top"][rank - 1]
    name = json.loads(said.out)["run"]
    run = command("backtest", "breakout_donchian", "--params", f"{name}#{rank}").run
    made = {one.key: one.value for one in record(small, run).figures}
    assert {key: made[key] for key in row["figures"]} == row["figures"]
    params, values = record(small, run).params, row["values"]
    assert (params["channel"], params["stop"]) == (values["channel"], values["stop"])
    assert record(small, run).fee_rate == values["costs.fee_rate"]


def test_a_sweep_as_params_is_its_best_row(small: Path, command: Command) -> None:
    name = command(*SMALL, "--objective", "total_return").run
    said = command("backtest", "breakout_donchian", "--params", name)
    assert f"the same trades and equity as run {name}, to the last bit" in said.out
    its = record(small, name)
    assert its.sweep is not None
    assert its.kind == "sweep"
    assert its.sweep.number == its.sweep.best["total_return"]
    best = record(small, said.run)
    assert best.result_hash == its.result_hash


def test_the_json_is_the_same_each_time_but_for_the_name(small: Path, command: Command) -> None:
    told = []
    for name in ("first", "second"):
        said = command(*SMALL, "--json", "--name", name)
        assert said.code == 0
        answer = json.loads(said.out)
        assert answer.pop("run") == name
        assert answer.pop("folder").endswith(name)
        told.append(answer)
    assert told[0] == told[1]
    assert told[0]["combinations"] == 12
    assert [row["combination"] for row in told[0]["top"]] != list(range(12))


def test_what_was_left_out_and_what_has_few_trades_is_counted(
    small: Path, command: Command
) -> None:
    said = command(
        "sweep", "breakout_donchian", "--grid", "channel=24|2000,stop=2|3|5", "--where", "stop < 5"
    )
    assert "4 combinations: channel 2 × stop 3, 2 left out by --where" in said.err
    assert "left out by --where 'stop < 5': 2" in said.out
    assert "fewer than 10 trades: 2 (50.0%), behind all others" in said.out
    assert said.out.count("few trades") == 2


def test_combinations_that_do_not_go_together_are_counted(small: Path, command: Command) -> None:
    said = command("sweep", "breakout_donchian", "--grid", "risk.leverage=2|20")
    assert said.code == 0, said
    assert "without a result: 1: these settings do not go together 1" in said.out
    assert "(risk.leverage 2) is the first without a result" in said.out
    assert "risk.leverage is 2.0, less than risk.max_leverage (3.0)" in said.out


@pytest.mark.parametrize(
    "walked", [(), ("--set", "risk.part_1=1", "--set", "risk.part_1_share=0.5")]
)
def test_params_that_indicators_refuse_are_rows_without_figures(
    small: Path, command: Command, walked: tuple[str, ...]
) -> None:
    strategy(small, "mine.py")
    given = ("sweep", "mine.py", *walked, "--grid", "rsi=0|7|14,stop=2|3", "--json")
    said = command(*given)
    assert said.code == 0, said
    answer = json.loads(said.out)
    assert answer["without"] == {"its params are refused": 2}
    (told,) = (one for one in answer["notes"] if "combination" in one)
    assert told.startswith("combination 0 (rsi 0, stop 2) is the first without a result")
    assert "its params are refused: " in told
    assert "--where" in told
    rows = pq.read_table(small / "var" / "runs" / answer["run"] / "results")
    assert [bool(note) for note in rows["note"].to_pylist()] == [True] * 2 + [False] * 4
    figures, notes = one_by_one(
        gather(
            Asked(str(small / "mine.py"), changes=walked[1::2]),
            small / "var" / "store",
            small / "var" / "runs",
        ),
        ("rsi", "stop"),
        np.array([[a, b] for a in (0, 7, 14) for b in (2, 3)], float),
        FIGURES,
    )
    assert [bool(note) for note in notes] == [True] * 2 + [False] * 4
    for key in FIGURES:
        assert np.array_equal(rows[key].to_numpy(), figures[key], equal_nan=True), key


def test_a_grid_of_which_all_params_are_refused_says_why(small: Path, command: Command) -> None:
    strategy(small, "mine.py")
    said = command("sweep", "mine.py", "--grid", "rsi=-1|0,stop=2|3")
    assert said.code == 1
    assert "none of 4 combinations has a result; most often: its params are refused" in said.err
    assert "combination 0 (rsi -1, stop 2)" in said.err
    assert list((small / "var" / "runs").glob(".sweep-*")) == []


def test_what_is_wrong_whatever_the_values_is_refused_before_the_start(
    small: Path, refused: Callable[..., Said]
) -> None:
    strategy(small, "mine.py", ("    return Row(", "    nothing.at_all\n    return Row("))
    said = refused("sweep", "mine.py", "--grid", "stop=2|3")
    assert "name 'nothing' is not defined" in said.err
    assert "combinations" not in said.err
    assert list((small / "var" / "runs").glob(".sweep-*")) == []


def test_a_draw_runs_as_many_as_were_asked_for(small: Path, command: Command) -> None:
    given = ("sweep", "breakout_donchian", "--grid", GRID, "--random", "7", "--seed", "3", "--json")
    answers = [json.loads(command(*given).out) for _ in range(2)]
    assert answers[0]["combinations"] == 7
    assert answers[0]["top"] == answers[1]["top"]
    assert record(small, answers[0]["run"]).seed == 3
    assert command("report", answers[0]["run"]).code == 0


WIDE = (
    "sweep", "breakout_donchian", "--objective", "expectancy", "--grid",
    ("channel=24|48,stop=2.125|3,take=6.5,risk.per_trade=0.0125,risk.leverage=20,"
     "risk.daily_loss_limit=0.125,costs.fee_rate=0.000125,costs.slippage=0.000375"),
)  # fmt: skip


@pytest.mark.parametrize("columns", [None, 80, 30])
def test_figures_are_whole_whatever_the_width(
    small: Path, command: Command, monkeypatch: pytest.MonkeyPatch, columns: int | None
) -> None:
    figures = ("expectancy", "total_return", "sharpe", "max_drawdown", "win_rate", "trades")
    written = io.StringIO()
    if columns is not None:
        terminal = Console(
            width=columns, force_terminal=True, file=written, highlight=False, color_system=None
        )
        monkeypatch.setattr(show, "out", terminal)
    said = command(*WIDE, "--name", "wide")
    assert said.code == 0, said
    text = said.out if columns is None else written.getvalue()
    assert "…" not in text
    rows = pq.read_table(small / "var" / "runs" / "wide" / "results").to_pylist()
    lines = text.splitlines()
    for row in rows:
        told = [show.figure(key, row[key]) for key in figures]
        assert any(all(one in line for one in told) for line in lines), (told, text)
    words = text.split()
    for name, value in (("stop", "2.125"), ("costs.slippage", "0.000375")):
        assert (value if columns is None else f"{name}={value}") in words


def test_one_combination_is_one(small: Path, command: Command) -> None:
    said = command("sweep", "breakout_donchian", "--grid", "costs.intrabar=best")
    assert said.code == 0, said
    assert said.err == "1 combination: costs.intrabar 1\n"
    assert "1 combination of costs.intrabar" in said.out


def test_nothing_is_drawn_on_a_pipe(small: Path, undisturbed: Path) -> None:
    said = finished(*SMALL, cwd=small)
    assert said.code == 0
    assert said.err == "12 combinations: channel 2 × stop 3 × costs.fee_rate 2\n"
    assert "\x1b" not in said.out


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        (("--grid", "channl=5"), "names 'channl', which is no parameter", "did you mean channel?"),
        (("--grid", "stop=1:2"), "expected start:stop:step", "--grid"),
        (("--grid", "costs.fee_rate=0.5"), "costs.fee_rate is 0.5, expected", "--set"),
        (("--grid", "risk.per_trade=0.01|2"), "risk.per_trade is 2.0, expected a share", "--set"),
        (("--grid", "risk.trail=0|0.05"), "risk.trail is 0.05, expected 0 or at least", "--set"),
        ((), "TUNE of breakout_donchian has no step for speed, stop, take", "--grid 'channel="),
        (("--grid", "stop=1|2", "--where", "stop > 9"), "leaves out every one of 2", "widen"),
        (("--grid", "stop=1|2", "--where", "stop > tkae"), "names 'tkae'", "did you mean take?"),
        (("--grid", "stop=1:1000:0.01,take=1:1000:0.01"), "at most 100,000,000", "--random"),
        (("--grid", "stop=1|2", "--random", "3"), "--random is 3, expected 1 to 2", "--random"),
        (("--grid", "stop=1|2", "--objective", "sharp"), "unknown --objective 'sharp'", "sharpe"),
        (("--grid", "stop=1|2", "--top", "0"), "--top is 0", "--top 20"),
        (("--grid", "stop=1|2", "--memory", "lots"), "--memory is 'lots'", "--memory 1GiB"),
        (("--grid", "stop=1|2", "--memory", "1MiB"), "at least 16MiB", "--memory 1GiB"),
        (("--grid", "stop=1|2", "--threads", "0"), "--threads is 0", "--threads"),
        (("--grid", "stop=1|2", "--heat", "stop"), "--heat 'stop' is not two axes", "--heat"),
        (("--grid", "stop=1|2", "--heat", "stop,tke"), "'tke', which is no axis", "known: stop"),
        (("--grid", "stop=1|2", "--name", "last"), "cannot name a run", "my-first"),
        (("--grid", "costs.spread=0|1"), "costs.spread needs half spreads", "wick data fetch"),
        (("--grid", "costs.intrabar=0|2"), "no timeframe of finer candles", "--detail 1s"),
        (("--grid", "costs.intrabar=worst|detail"), "no timeframe of finer", "--detail 1s"),
        (
            ("--grid", "stop=2", "--where", "stop > 9"),
            "leaves out every one of 1 combination",
            "widen",
        ),
        (("--resume", "nothing"), "there is no unfinished sweep 'nothing'", "wick sweep"),
    ],
)
def test_a_mistake_is_one_sentence_with_a_hint(
    small: Path, refused: Callable[..., Said], given: tuple[str, ...], said: str, hint: str
) -> None:
    answer = refused("sweep", "breakout_donchian", *given)
    assert said in answer.err.splitlines()[0]
    assert hint in answer.err.splitlines()[1]


def test_without_a_strategy_there_is_a_hint(small: Path, refused: Callable[..., Said]) -> None:
    assert "no strategy is named" in refused("sweep").err


def test_a_run_that_is_no_sweep_has_no_places(small: Path, command: Command) -> None:
    name = command("backtest", "breakout_donchian").run
    said = command("backtest", "breakout_donchian", "--params", f"{name}#3")
    is_refusal(said)
    assert "is no sweep, so it has no #3" in said.err
    name = command(*SMALL).run
    for place in ("0", "13", "x", ""):
        said = command("backtest", "breakout_donchian", "--params", f"{name}#{place}")
        is_refusal(said)
        assert "expected a place from #1 to #12" in said.err


def test_a_sweep_in_which_nothing_has_a_result_is_refused(small: Path, command: Command) -> None:
    given = ("--set", "risk.max_leverage=20", "--set", "risk.leverage=20")
    ruin = ("--set", "risk.per_trade=0.5", "--grid", "costs.fee_rate=0.08|0.09")
    said = command("sweep", "breakout_donchian", *given, *ruin)
    assert said.code == 1
    assert "none of 2 combinations has a result" in said.err
    assert "the balance was used up" in said.err


def test_the_report_of_a_sweep_is_its_maps(small: Path, command: Command) -> None:
    name = command(*SMALL).run
    folder = small / "var" / "runs" / name
    first = (folder / "report.html").read_bytes()
    said = command("report", name)
    assert said.out == f"{Path('var') / 'runs' / name / 'report.html'}\n"
    assert (folder / "report.html").read_bytes() == first
    assert b"Best by Sharpe" in first


def test_figures_of_the_kept_run_are_those_of_the_best_combination(
    small: Path, command: Command
) -> None:
    name = command(*SMALL).run
    run: Run = run_folders.load(small / "var" / "runs", name)
    assert run.trades.num_rows == run.record.figure("trades").value
    assert (run.folder / "strategy.py").is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--grid", "stop=2|3", "--balance", "0"), "balance is 0.0, expected from 1 to below 1e10"),
        (("--grid", "stop=2|3", "--where", "take/0 < 3"), "'take/0 < 3' divides by zero"),
        (("--grid", "stop=2|3", "--seed", "4"), "--seed is of --random"),
        (("--grid", "stop=2|3", "--set", "stop=4"), "stop is an axis of --grid and is given by"),
        (("--grid", "costs.fee_rate=0|0.01", "--fee-bps", "7"), "is given by --fee-bps too"),
        (
            ("--grid", "stop=2|3", "--set", "costs.limit_through=1"),
            "costs.limit_through is 1, but no entry rests",
        ),
        (("--grid", "risk.trail_after=1|2"), "risk.trail_after is 1"),
        (("--grid", "risk.leverage=1|2"), "risk.leverage is 1.0, less than risk.max_leverage"),
    ],
)
def test_what_is_wrong_for_every_combination_is_refused_before_the_start(
    small: Path, command: Command, given: tuple[str, ...], said: str
) -> None:
    answer = command("sweep", "breakout_donchian", *given)
    assert answer.code != 0
    assert said in answer.err
    assert "hint: " in answer.err
    assert "combination 0" not in answer.err


def test_the_next_command_names_the_strategy_as_it_was_named(small: Path, command: Command) -> None:
    (small / "mine").mkdir()
    strategy(small / "mine", "own.py")
    said = command("sweep", "mine/own.py", "--grid", "stop=2|3")
    assert f"next: wick backtest mine/own.py --params {said.run}#1" in said.out
