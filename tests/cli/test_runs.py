"""wick runs, as a user types it."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from pyarrow import csv

from data.run_index import summaries
from data.runs import load, records
from research.runs import listing
from tests.cli.conftest import WICK, Command, Said, finished, is_refusal, tree
from tests.cli.kept_runs import first_run, like

Refused = Callable[..., Said]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep three runs: first, dearer (another fee) and tuned (other params), to be copied."""
    runs = tmp_path_factory.mktemp("kept") / "runs"
    first = first_run(runs)
    like(first, "dearer", fee_rate=0.0006)
    like(first, "tuned", later_ms=2000, params={"made_up": 3}, kind="tune")
    return runs


@pytest.fixture
def runs(folder: Path, kept: Path) -> Path:
    shutil.copytree(kept, folder / "var" / "runs")
    return folder / "var" / "runs"


def test_runs_are_listed_newest_last_with_their_figures(runs: Path, command: Command) -> None:
    lines = command("runs", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "first", "dearer", "tuned"]
    record = records(runs).records[0]
    value = record.figure("total_return").value
    assert f"{value:+.2%}" in lines[1]
    assert f"{record.figure('trades').value:,.0f}" in lines[1].split()
    assert command("runs", "list", "--limit", "1").out.splitlines()[1].startswith("tuned")
    assert "2 older runs are left out" in command("runs", "list", "--limit", "1").out


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("--kind tune", ["tuned"]),
        ("--strategy scripted", ["first", "dearer", "tuned"]),
        ("--symbol synthusdt --kind backtest", ["first", "dearer"]),
        ("--tag good", ["dearer"]),
        ("--tag good --kind tune", []),
    ],
)
def test_runs_are_filtered(runs: Path, command: Command, flags: str, names: list[str]) -> None:
    command("runs", "tag", "dearer", "good")
    said = json.loads(command("runs", "list", *flags.split(), "--json").out)
    assert [one["run"] for one in said["runs"]] == names
    assert said["damaged"] == {}


def test_nothing_to_list_is_no_error(folder: Path, command: Command) -> None:
    said = command("runs", "list")
    assert said.code == 0
    assert "there is no run in var/runs; wick backtest" in said.out
    assert json.loads(command("runs", "list", "--json").out) == {"runs": [], "damaged": {}}


def test_damaged_runs_and_unfinished_sweeps_are_told(runs: Path, command: Command) -> None:
    (runs / "dearer" / "run.json").write_text("{")
    (runs / ".sweep-mine").mkdir()
    (runs / ".sweep-mine" / "sweep.json").write_text("{}")
    said = command("runs", "list")
    assert said.code == 0
    assert "first" in said.out and "tuned" in said.out
    assert "damaged: dearer: run.json is damaged" in said.err
    assert "wick runs delete dearer" in said.err
    assert "wick sweep --resume mine" in said.err
    assert "dearer" in json.loads(command("runs", "list", "--json").out)["damaged"]
    assert command("runs", "delete", "dearer", "--yes").code == 0
    assert command("runs", "list").err == "unfinished: wick sweep --resume mine goes on\n"


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_list_fits_the_terminal(runs: Path, width: int) -> None:
    found = summaries(runs).runs
    lines = listing.table_lines(found, width)
    assert all(len(line) <= width for line in lines)
    for one in found:
        assert any(one.run in line.split() for line in lines)
        assert any(f"{one.figures['total_return']:+.2%}" in line for line in lines)


def test_a_run_is_shown(runs: Path, command: Command) -> None:
    command("runs", "tag", "first", "good")
    said = command("runs", "show", "first")
    assert said.code == 0
    record = load(runs, "first").record
    for words in ("scripted", "tags      good", record.result_hash[:12], "Sharpe", "SYNTHUSDT"):
        assert words in said.out
    whole = json.loads(command("runs", "show", "first", "--json").out)
    assert whole["tags"] == ["good"]
    assert whole["result_hash"] == record.result_hash


def test_comparing_refuses_other_costs_until_it_is_forced(runs: Path, command: Command) -> None:
    said = command("runs", "compare", "first", "dearer")
    assert said.code == 1
    is_refusal(said)
    assert "differ in costs.fee_rate (0.0005 / 0.0006)" in said.err
    forced = command("runs", "compare", "first", "dearer", "--force")
    assert forced.code == 0
    assert "not comparable: data or costs differ" in forced.out
    assert "costs.fee_rate" in forced.out


def test_runs_are_shown_side_by_side(runs: Path, command: Command) -> None:
    said = command("runs", "compare", "first", "tuned")
    assert said.code == 0
    assert "strategy: the same source" in said.out
    assert "made_up" in said.out
    assert "B - A" in said.out
    lines = said.out.splitlines()
    assert max(len(line) for line in lines if not line.startswith("N/A: ")) <= 80
    assert any(line.endswith("(A, B: needs 10 trades, has 9)") for line in lines)
    whole = json.loads(command("runs", "compare", "first", "tuned", "--json").out)
    figures = {one["key"]: one for one in whole["figures"]}
    value = load(runs, "first").record.figure("total_return").value
    assert figures["total_return"]["values"] == [value, value]
    assert figures["total_return"]["differences"] == [0.0]
    assert whole["runs"] == ["first", "tuned"]
    assert {"what": "made_up", "values": ["none", "3"]} in whole["settings"]


def test_many_runs_side_by_side_stand_in_blocks_that_fit(runs: Path, command: Command) -> None:
    first = load(runs, "first")
    names = [f"more-{at}" for at in range(27)]
    for name in names:
        like(first, name)
    said = command("runs", "compare", "first", *names[:5])
    tables = [line.split() for line in said.out.splitlines() if " - A" in line]
    assert len(tables) > 1
    seen = [word for words in tables for word in words if word in "BCDEF"]
    assert sorted(set(seen)) == list("BCDEF")
    assert max(len(line) for line in said.out.splitlines() if "%" in line) <= 80
    said = command("runs", "compare", *names)
    assert said.code == 2
    assert "27 runs to compare, expected at most 26" in said.err


def test_an_export_into_a_folder_that_is_not_there_is_refused(runs: Path, refused: Refused) -> None:
    assert "No such file" in refused("runs", "export", "first", "--to", "deep/out", code=1).err


def test_an_export_of_a_sweep_has_its_rows(runs: Path, command: Command) -> None:
    results = runs / "first" / "results"
    results.mkdir()
    shutil.copy(runs / "first" / "trades.parquet", results / "part-000000.parquet")
    assert command("runs", "export", "first", "--to", "out").code == 0
    rows = Path("out/results/part-000000.csv").read_bytes()
    assert rows == Path("out/trades.csv").read_bytes()


def test_a_question_that_is_broken_off_deletes_nothing(
    runs: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def abort(*_: object, **__: object) -> bool:
        raise typer.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", abort)
    assert command("runs", "delete", "first").code == 130
    assert (runs / "first" / "run.json").is_file()


def test_tags_are_added_and_taken_away_without_touching_the_run(
    runs: Path, command: Command
) -> None:
    before = (runs / "first" / "run.json").read_bytes()
    assert command("runs", "tag", "first", "b", "a", "b").out == "first: a b\n"
    assert command("runs", "tag", "first", "a", "--remove").out == "first: b\n"
    said = json.loads(command("runs", "tag", "first", "b", "--remove", "--json").out)
    assert said == {"run": "first", "tags": []}
    assert (runs / "first" / "run.json").read_bytes() == before
    assert load(runs, "first").record.id == "first"
    names = {path.name for path in (runs / "first").iterdir()}
    assert names == {"run.json", "strategy.py", "trades.parquet", "equity.parquet", "tags.json"}


def test_runs_are_deleted_after_a_yes(
    runs: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert command("runs", "delete", "first").code == 0
    assert (runs / "first").is_dir()
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert command("runs", "delete", "first", "tuned").out == "deleted first\ndeleted tuned\n"
    assert sorted(path.name for path in runs.iterdir()) == ["dearer"]


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ("list --kind tun", "has the kind 'tun'", "did you mean tune?"),
        ("list --strategy mine", "has the strategy 'mine'", "known: scripted"),
        ("list --tag x", "has the tag 'x'", "without --tag"),
        ("list --limit -1", "Invalid value for '--limit'", "--help"),
        ("show frist", "there is no run 'frist'", "did you mean first?"),
        ("compare first", "only 1 run to compare", "wick runs compare A B"),
        ("compare first first", "is run first once more", "name each run once"),
        ("tag first a/b", "'a/b' cannot be a tag", "such as for-review"),
        ("tag first a --remove", "run first has no tag 'a'", "it has none"),
        ("delete first", "not deleted without a yes: first", "--yes"),
        ("delete first nowhere --yes", "there is no run 'nowhere'", "known"),
        ("export frist --to x", "there is no run 'frist'", "did you mean first?"),
        ("export first --to var/runs", "var/runs exists already", "--to"),
        ("export first", "Missing option '--to'", "--help"),
        ("lst", "No such command 'lst'", "--help"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    runs: Path, refused: Refused, command: Command, words: str, said: str, hint: str
) -> None:
    command("runs", "list")  # whatever it writes is there before
    answer = refused("runs", *words.split())
    message, mend = answer.err.splitlines()
    assert said in message
    assert hint in mend


@pytest.mark.parametrize("to", ["out", "run.zip"])
def test_an_export_has_every_number_and_no_folder_of_the_machine(
    runs: Path, command: Command, to: str, tmp_path: Path
) -> None:
    path = runs / "first" / "run.json"
    record = json.loads(path.read_bytes())
    secret = [str(runs), "--storage=postgresql://me:secret@db.mine/x", "--store", "/home/my own/x"]
    record["command"] += secret
    path.write_text(json.dumps(record))
    assert command("runs", "export", "first", "--to", to).code == 0
    out = Path(to)
    if to.endswith(".zip"):
        with zipfile.ZipFile(to) as file:
            file.extractall("unpacked")
        out = Path("unpacked/first")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["equity.csv", "run.json", "strategy.py", "trades.csv"]
    for name in ("trades", "equity"):
        table = pq.read_table(runs / "first" / f"{name}.parquet")
        kinds = {field.name: field.type for field in table.schema}
        options = csv.ConvertOptions(column_types=kinds)
        assert csv.read_csv(out / f"{name}.csv", convert_options=options).equals(table)
    text = (out / "run.json").read_text()
    assert json.loads(text)["figures"] == record["figures"]
    for word in (str(tmp_path), "secret", "db.mine", "/home", "my own"):
        assert word not in text
    assert not [path for path in Path().rglob(".*") if path.name.startswith((".out", ".run"))]


@pytest.mark.parametrize(
    "verb", ["tag first good", "export first --to out", "export first --to o.zip"]
)
def test_a_full_disk_leaves_nothing_half_written(runs: Path, verb: str) -> None:
    before = tree(runs.parents[1])
    done = subprocess.run(
        [*WICK, "runs", *verb.split()],
        cwd=runs.parents[1],
        text=True,
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    said = Said(done.returncode, done.stdout, done.stderr)
    assert said.code == 1
    is_refusal(said)
    assert "File too large" in said.err
    assert tree(runs.parents[1]) == before


def test_a_list_on_a_full_disk_goes_without_its_index(runs: Path, kept: Path) -> None:
    done = subprocess.run(
        [*WICK, "runs", "list"],
        cwd=runs.parents[1],
        text=True,
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4
    assert tree(runs) == tree(kept)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory: a disk takes half a minute to delete ten thousand folders."""
    shared = Path("/dev/shm")
    where = shared if os.access(shared, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


def test_ten_thousand_runs_are_listed_in_under_a_second(
    folder: Path, memory: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(kept / "first" / "run.json", memory)
    many = memory / "many"
    for at in range(10_000):
        one = many / f"run-{at:05}"
        one.mkdir(parents=True)
        os.link(memory / "run.json", one / "run.json")
    later_ns = time.time_ns() + 3_600_000_000_000  # so old that the index takes them
    monkeypatch.setattr(time, "time_ns", lambda: later_ns)
    assert len(summaries(many).runs) == 10_000
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = finished("runs", "list", "--runs", str(many), cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert len(said.out.splitlines()) == 10_001
    # Processor time: how long it takes on the wall is a matter of what else the machine does.
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1.0
