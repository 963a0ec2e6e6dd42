"""A study goes on where it stopped, is shared by processes, and survives what happens to it."""

import dataclasses
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from backtest.inputs import Asked
from live.redis_server import start_embedded, url_of
from research.tuning import study as studies
from research.tuning.asked import TuneAsked, pinned
from research.tuning.storage import redacted
from research.tuning.study import StorageGone, Study
from research.tuning.tune import tune
from strategy.errors import WickError
from strategy.load import load_source
from tests.research.tuning.test_tune import SPLIT, inputs

ASKED = TuneAsked(60, ("total_return",), split_ms=SPLIT)
ROOT = Path(__file__).resolve().parents[3]


def journal(folder: Path) -> Path:
    (found,) = folder.glob("*.journal")
    return found


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "qmc", "random"])
@pytest.mark.parametrize("first", [40, 55])
def test_a_study_that_was_stopped_ends_as_if_it_had_not_been(
    tmp_path: Path, sampler: str, first: int
) -> None:
    asked = dataclasses.replace(ASKED, sampler=sampler, trials=90)
    tune(inputs(), dataclasses.replace(asked, trials=first), tmp_path)
    went_on = tune(inputs(), asked, tmp_path)
    at_once = tune(inputs(), asked)
    assert len(went_on.trials) == 90
    if sampler != "nsga2" or first == 40:  # it looks at all trials, also those of a half batch
        assert went_on.trials.values.tolist() == at_once.trials.values.tolist()
        assert went_on.row == at_once.row


def test_processes_tell_themselves_apart_by_the_database_wherever_their_runs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "else").mkdir()
    whole = f"sqlite:///{tmp_path / 'tune.db'}"
    with (
        Study("w", "sqlite:///tune.db", tmp_path / "a", 1) as first,
        Study("w", whole, tmp_path / "b", 1) as second,
    ):
        monkeypatch.chdir(tmp_path / "else")
        with Study("w", "sqlite:///tune.db", tmp_path / "a", 1) as another:
            assert first.stream == another.stream != second.stream


def test_a_grid_is_tried_once_whatever_happens(tmp_path: Path) -> None:
    given = inputs(space={"rsi": (5, 20, 3), "take": [3.0, 6.0, 9.0]})
    asked = dataclasses.replace(ASKED, sampler="grid", trials=7)
    tune(given, asked, tmp_path)
    whole = tune(given, dataclasses.replace(asked, trials=500), tmp_path)
    rows = [tuple(row) for row in whole.trials.values.tolist()]
    assert len(rows) == len(set(rows)) == 18


def test_pruned_trials_end_early_and_count(tmp_path: Path) -> None:
    asked = dataclasses.replace(ASKED, folds=2, trials=80, sampler="random")
    space = {"rsi": (5, 20), "stop": (2.0, 10.0), "take": (3.0, 9.0)}
    found = tune(inputs(space=space, oversold=45.0, overbought=55.0), asked, tmp_path)
    assert found.trials.states.count("pruned") > 10
    assert len(found.trials) == 80
    assert found.trials.states[found.row] == "complete"


def test_constraints_keep_the_winner_inside_them() -> None:
    free = tune(inputs(), ASKED)
    depth = abs(float(free.table.figures["max_drawdown"][free.row]))
    bound = depth * 0.9
    found = tune(inputs(), dataclasses.replace(ASKED, constraints=(f"max_drawdown<{bound}",)))
    assert abs(float(found.table.figures["max_drawdown"][found.row])) < bound
    broken = [at for at, state in enumerate(found.trials.states) if state == "infeasible"]
    assert broken
    assert all(abs(found.table.figures["max_drawdown"][at]) >= bound for at in broken)
    assert all("not max_drawdown<" in found.trials.notes[at] for at in broken)


def test_several_objectives_give_a_front() -> None:
    two = ("total_return", "max_drawdown")
    for sampler in ("tpe", "nsga2"):
        found = tune(inputs(), dataclasses.replace(ASKED, objectives=two, sampler=sampler))
        front, scores = found.trials.front(), found.trials.scores
        assert found.row in front
        assert scores[found.row, 0] == max(scores[at, 0] for at in front)
        for at in front:
            better = (scores >= scores[at]).all(axis=1) & (scores > scores[at]).any(axis=1)
            assert not better.any()


PROCESS = """
import sys
from pathlib import Path
from research.tuning.tune import tune
from tests.research.tuning.test_study import ASKED
from tests.research.tuning.test_tune import inputs
import dataclasses
asked = dataclasses.replace(ASKED, trials=120, storage=sys.argv[2] or None)
tune(inputs(), asked, Path(sys.argv[1]))
"""


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give a URL of each kind of storage; Redis is a real server of our own."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = start_embedded(folder)
    yield {"journal": "", "sqlite": f"sqlite:///{tmp_path}/tune.db", "redis": url_of(folder)}
    server.kill()
    server.wait()


@pytest.mark.parametrize("kind", ["journal", "sqlite", "redis"])
def test_two_processes_share_a_study_and_try_different_params(
    tmp_path: Path, urls: dict[str, str], kind: str
) -> None:
    url = urls[kind]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path), url], env=environment)
        for _ in range(2)
    ]
    assert [one.wait(120) for one in running] == [0, 0]
    both = tune(inputs(), dataclasses.replace(ASKED, trials=120, storage=url or None), tmp_path)
    assert 120 <= len(both.trials) <= 160  # at most a batch too many
    assert len({tuple(row) for row in both.trials.values.tolist()}) == len(both.trials)


def test_a_study_of_another_version_is_refused_and_stays(tmp_path: Path) -> None:
    given = inputs()
    tune(given, ASKED, tmp_path)
    before = journal(tmp_path).read_bytes()
    source = given.strategy.source.replace(b"x.rsi < p.oversold", b"x.rsi <= p.oversold")
    edited = dataclasses.replace(load_source(given.strategy.path, source), tune=given.strategy.tune)
    with pytest.raises(
        WickError, match="was begun with something else; changed since: the strategy's source"
    ):
        tune(dataclasses.replace(given, strategy=edited), ASKED, tmp_path)
    assert journal(tmp_path).read_bytes() == before
    other = dataclasses.replace(ASKED, study="other", trials=40)
    assert len(tune(dataclasses.replace(given, strategy=edited), other, tmp_path).trials) == 40


def test_a_torn_last_line_is_cut_off_and_the_rest_is_kept(tmp_path: Path) -> None:
    tune(inputs(), dataclasses.replace(ASKED, trials=40), tmp_path)
    path = journal(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    found = tune(inputs(), ASKED, tmp_path)
    assert len(found.trials) == 60
    assert found.trials.values.tolist() == tune(inputs(), ASKED).trials.values.tolist()


def test_a_damaged_or_deleted_study_is_one_sentence(tmp_path: Path) -> None:
    tune(inputs(), dataclasses.replace(ASKED, trials=40), tmp_path)
    path = journal(tmp_path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{nonsense\n", *lines[4:]]))
    with pytest.raises(StorageGone, match="is damaged"):
        tune(inputs(), ASKED, tmp_path)
    path.write_bytes(whole)

    def delete(_: object) -> None:
        path.unlink(missing_ok=True)

    with pytest.raises(StorageGone, match="it was deleted meanwhile"):
        tune(inputs(), ASKED, tmp_path, tell=delete)


def test_a_full_disk_leaves_whole_trials(tmp_path: Path) -> None:
    tune(inputs(), dataclasses.replace(ASKED, trials=40), tmp_path)
    size = journal(tmp_path).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5_000, hard))
    try:
        with pytest.raises(StorageGone, match="cannot be kept: File too large") as full:
            tune(inputs(), ASKED, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert "make room" in full.value.hint
    assert journal(tmp_path).read_bytes().endswith(b"\n")
    assert tune(inputs(), ASKED, tmp_path).trials.values.tolist() == (
        tune(inputs(), ASKED).trials.values.tolist()
    )


def test_a_server_that_is_away_is_one_sentence_without_its_password(tmp_path: Path) -> None:
    url = "redis://user:secret@127.0.0.1:1/0"
    with pytest.raises(StorageGone) as gone:
        tune(inputs(), dataclasses.replace(ASKED, storage=url), tmp_path)
    assert "secret" not in f"{gone.value.message} {gone.value.hint}"
    assert "redis://127.0.0.1" in gone.value.message
    command = ["tune", "idea", f"--storage={url}", "--storage", url]
    assert "secret" not in " ".join(redacted(command, url))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://there/x", "--storage ftp is of no known kind"),
        ("my.db", "--storage is no URL"),
        ("sqlite://", "--storage sqlite://… is no URL that can be read"),
        ("redis://:s3cr3t/pw@127.0.0.1:1/0", "redis://… is no URL that can be read"),
        ("redis://:s3cr3t#pw@127.0.0.1:1/0", "redis://… is no URL that can be read"),
        ("redis://:s3c[r3t@127.0.0.1:1/0", "redis://… is no URL that can be read"),
        ("redis://:s3cr3t@127.0.0.1:99999/0", "redis://… is no URL that can be read"),
        ("postgresql://u:s3cr3t@h:abc/x", "postgresql://… is no URL that can be read"),
    ],
)
def test_a_storage_that_is_no_url_is_refused_without_its_password(
    tmp_path: Path, url: str, message: str
) -> None:
    with pytest.raises(WickError, match=message) as refused:
        tune(inputs(), dataclasses.replace(ASKED, storage=url), tmp_path)
    said = f"{refused.value.message} {refused.value.hint}"
    assert "s3c" not in said
    assert "pw@" not in said


def test_params_that_are_set_by_hand_are_not_searched() -> None:
    given = pinned(inputs(), Asked("rsi_macd_atr", changes=("rsi=9", "risk.per_trade=0.02")))
    assert set(given.strategy.tune) == {"oversold", "stop", "take"}
    every = Asked("rsi_macd_atr", changes=("rsi=9", "oversold=30", "stop=2", "take=3"))
    with pytest.raises(WickError, match="gives every param of TUNE a value"):
        pinned(inputs(), every)


def test_a_study_goes_on_with_its_own_sampler_and_seed_only(tmp_path: Path) -> None:
    named = dataclasses.replace(ASKED, study="mine", trials=40)
    tune(inputs(), named, tmp_path)
    for other in (
        dataclasses.replace(named, seed=1), dataclasses.replace(named, sampler="random")
    ):  # fmt: skip
        with pytest.raises(WickError, match="changed since: the"):
            tune(inputs(), other, tmp_path)


def test_a_study_has_trials_that_optuna_can_read(tmp_path: Path) -> None:
    found = tune(inputs(), dataclasses.replace(ASKED, trials=40), tmp_path)
    backend = optuna.storages.journal.JournalFileBackend(str(journal(tmp_path)))
    read = optuna.load_study(
        study_name=found.study, storage=optuna.storages.JournalStorage(backend)
    )
    assert len(read.trials) == 40
    assert read.best_value == found.trials.scores[found.row, 0]


def test_a_process_gets_a_stream_of_its_own_and_gives_it_back(tmp_path: Path) -> None:
    first = Study("one", None, tmp_path, 1)
    second = Study("one", None, tmp_path, 1)
    assert (first.stream, second.stream) == ("", "1")
    first.close()
    with Study("one", None, tmp_path, 1) as third:
        assert third.stream == ""
    second.close()
    assert studies.Study("two", None, tmp_path, 1).stream == ""


def test_a_database_without_its_driver_is_one_sentence(tmp_path: Path) -> None:
    url = "postgresql://user:secret@127.0.0.1:1/x"
    with pytest.raises(WickError, match="needs a driver that is not installed") as lacking:
        tune(inputs(), dataclasses.replace(ASKED, storage=url), tmp_path)
    assert "secret" not in f"{lacking.value.message} {lacking.value.hint}"


def test_a_study_without_a_value_goes_unless_another_process_is_at_work_on_it(
    tmp_path: Path,
) -> None:
    first = Study("one", None, tmp_path, 1)
    with Study("one", None, tmp_path, 1) as second:
        second.discard()
    assert journal(tmp_path).exists()
    first.discard()
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}/*"))
