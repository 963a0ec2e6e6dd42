"""A real cluster on this machine: the rows of threads to the byte, whatever dies meanwhile."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest.sweeps.engine import evaluate
from backtest.sweeps.figures import SweepTable
from data.writer import save
from research.cluster.joining import _end_helpers, joined
from research.cluster.pool import Block, Job, Pool
from research.tuning.asked import TuneAsked
from research.tuning.sampling import BATCH
from research.tuning.tune import tune
from research.validation.walkforward import walk
from strategy.errors import WickError
from tests.cli.conftest import finished, market, process, signalled
from tests.cli.sweeps import WRITE, contents
from tests.research.cluster.conftest import Machines, words_of
from tests.research.cluster.plans import bytes_of, plan_of, values_of
from tests.research.tuning.test_tune import inputs
from tests.research.validation.test_walkforward import ASKED, ROLLING

# Tabulated without a part of the take, walked with one.
GRID = "channel=24:48:8,stop=1:4:0.5,take=3:8:1,risk.part_1=0|1,risk.part_1_share=0|0.5"
SWEEP = ("sweep", "mine.py", "--grid", GRID, "--where", "(risk.part_1 > 0) | (take > stop)")
BLUEPRINT = Path(__file__).parents[3] / "strategy" / "breakout_donchian.py"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a store, a strategy of the user's, and the results of threads."""
    folder = tmp_path_factory.mktemp("home")
    save(folder / "var" / "store", market(10 * 1440), "synthetic")
    (folder / "mine.py").write_text(BLUEPRINT.read_text())
    done = finished(*SWEEP, "--name", "threads", cwd=folder)
    assert done.code == 0, done
    return folder


def test_a_machine_that_is_not_one_of_them_gets_the_same_rows(
    home: Path, machines: Machines
) -> None:
    done = finished(*SWEEP, "--cluster", machines.client, "--name", "client", cwd=home)
    assert done.code == 0, done
    assert results(home, "client") == results(home, "threads")


def results(home: Path, name: str) -> dict[str, bytes]:
    return contents(home / "var" / "runs" / name / "results")


def test_a_cluster_of_ones_own_leaves_nothing(home: Path) -> None:
    pytest.importorskip("ray", reason="no cluster: Ray is not installed")
    given = (*SWEEP, "--cluster", "auto", "--threads", "2", "--name", "auto")
    with process(*given, cwd=home) as running:
        out, err = running.communicate(timeout=300)
    assert running.returncode == 0, (out, err)
    assert out.startswith("mine on SYNTHUSDT")
    assert len(err.splitlines()) == 1, err  # how many combinations there are
    its = f"wick-ray-{running.pid}-"
    assert not list(Path("/tmp").glob(f"{its}*"))
    assert not [path for path in Path("/proc").glob("[0-9]*") if its.encode() in words_of(path)]
    assert results(home, "auto") == results(home, "threads")
    assert len(results(home, "auto")) > 5


def test_ctrl_c_stops_at_once_and_threads_go_on(home: Path, machines: Machines) -> None:
    given = (*SWEEP, "--cluster", machines.address, "--name", "left")
    said = signalled(signal.SIGINT, (*WRITE, "3"), given, home)
    assert said.code == 130, said
    assert said.err.splitlines()[-1] == "hint: wick sweep --resume left goes on with it"
    again = finished("sweep", "--resume", "left", cwd=home)
    assert again.code == 0, again
    assert "2 of " in again.err
    assert results(home, "left") == results(home, "threads")


@pytest.fixture(scope="module")
def pool(machines: Machines) -> Iterator[Pool]:
    with joined(machines.address) as its:
        yield its


def test_tabulated_and_walked_rows_are_those_of_threads(pool: Pool) -> None:
    plan, values = plan_of(5), values_of(300)
    want = bytes_of(evaluate(plan, values, days=True))
    for workers in (1, 2):
        its = Pool(pool._ray, workers)
        assert bytes_of(its.evaluate(plan, values, days=True)) == want


def test_a_killed_worker_and_a_lost_machine_change_nothing(
    machines: Machines, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, values = plan_of(20), values_of(160, walked=1.0)
    jobs = [Job(at, plan, some) for at, some in enumerate(np.array_split(values, 10))]
    tried, fetch = [], pool._fetch

    def fetched(ref: Any, block: Block) -> SweepTable | None:
        tried.append(block.tried)
        return fetch(ref, block)

    monkeypatch.setattr(pool, "_fetch", fetched)
    found, killed = {}, False
    for key, table in pool.stream(jobs, len(jobs)):
        found[key] = bytes_of(table)
        if not killed:
            os.kill(_first_at_work(machines), signal.SIGKILL)
            killed = True
        elif len(found) == 4:
            machines.lose()
    machines.add(1)
    assert max(tried) > 1
    assert [found[at] for at in range(10)] == [bytes_of(evaluate(plan, one.values)) for one in jobs]


def test_a_search_and_windows_at_once_are_those_of_threads(machines: Machines, pool: Pool) -> None:
    alone = tune(inputs(), TuneAsked(60)).trials
    found = tune(inputs(), TuneAsked(60), evaluate=pool.evaluate).trials
    assert np.array_equal(found.values, alone.values)
    assert found.scores.tobytes() == alone.scores.tobytes()
    asked, at_once, killed = dataclasses.replace(ASKED, trials=50), pool.at_once(BATCH), []

    def kill() -> None:
        killed.append(_first_at_work(machines))
        os.kill(killed[0], signal.SIGKILL)

    murder = threading.Thread(target=kill)
    murder.start()
    there = walk(inputs(), ROLLING, asked, evaluate=pool.evaluate, at_once=at_once)
    murder.join()
    here = walk(inputs(), ROLLING, asked)
    assert at_once > 1
    assert killed
    assert there.windows == here.windows
    assert there.result.equity.tobytes() == here.result.equity.tobytes()


def _first_at_work(machines: Machines) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if pids := machines.at_work():
            return pids[0]
        time.sleep(0.01)
    raise AssertionError("no worker computes")


def test_params_that_end_every_worker_are_named_and_not_tried_for_ever(
    tmp_path: Path, pool: Pool
) -> None:
    path = tmp_path / "ends.py"
    text = BLUEPRINT.read_text().replace(
        "def indicators(c: Candles, p: Params) -> Row:\n",
        f"def indicators(c: Candles, p: Params) -> Row:\n    end_elsewhere({os.getpid()})\n",
    )
    ends = (
        "import os\n\n\ndef end_elsewhere(pid):\n    if os.getpid() != pid:\n        os._exit(3)\n"
    )
    path.write_text(text + "\n\n" + ends)
    plan = plan_of(2, str(path))
    died = "4 workers died over the same 8 combinations"
    with pytest.raises(WickError, match=died) as said:
        pool.evaluate(plan, values_of(8))
    assert "\n" not in said.value.message


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nowhere", "'nowhere' is neither auto nor an address"),
        ("10.0.0.1:99999", "'10.0.0.1:99999' is neither auto nor an address"),
        ("127.0.0.1:1", "no cluster answers at --cluster 127.0.0.1:1: Connection refused"),
        ("ray://127.0.0.1:1", "no cluster answers at --cluster ray://127.0.0.1:1: Connection"),
    ],
)
def test_an_address_without_a_cluster_is_one_sentence(address: str, says: str) -> None:
    pytest.importorskip("ray", reason="no cluster: Ray is not installed")
    with pytest.raises(WickError, match=re.escape(says)), joined(address):
        pass


def test_a_sweep_that_finds_no_cluster_leaves_nothing(home: Path) -> None:
    said = finished(*SWEEP, "--cluster", "nowhere", "--name", "never", cwd=home)
    assert said.code == 2
    assert said.err.splitlines()[1:] == [
        "wick: --cluster 'nowhere' is neither auto nor an address",
        "hint: --cluster auto, --cluster 10.0.0.1:6379 or --cluster ray://10.0.0.1:10001",
    ]
    assert not list((home / "var" / "runs").glob("*never*"))


@pytest.fixture
def silent() -> Iterator[tuple[str, list[bytes]]]:
    """Give the address of a server that answers with given bytes, or with none and waits."""
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.recv(64)
                    line.sendall(answers[0])

        answers.append(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", answers
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_what_is_not_ray_is_not_waited_for(silent: tuple[str, list[bytes]]) -> None:
    pytest.importorskip("ray", reason="no cluster: Ray is not installed")
    address, answers = silent
    for answer in (answers[0], b""):
        answers[0] = answer
        with pytest.raises(WickError, match="what answers is not Ray"), joined(address):
            pass


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (RuntimeError("no token.\nand more"), "cannot be joined: no token"),
        (ImportError("grpc"), "needs Ray's client, which is not installed"),
    ],
)
def test_what_ray_refuses_is_one_sentence(
    wrong: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="no cluster: Ray is not installed")

    def init(**_: object) -> None:
        raise wrong

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(WickError) as said, joined("auto"):
        pass
    assert said.value.message == f"--cluster auto {says}"
    assert not list(Path("/tmp").glob(f"wick-ray-{os.getpid()}-*"))


def test_helpers_of_a_cluster_of_ones_own_end_with_it(tmp_path: Path) -> None:
    code = "import sys, time; log = open(sys.argv[1], 'w'); print(flush=True); time.sleep(60)"
    (tmp_path / "wick-ray-1").mkdir()
    own, other = (
        subprocess.Popen([sys.executable, "-c", code, str(log)], stdout=subprocess.PIPE)
        for log in (tmp_path / "wick-ray-1" / "its.log", tmp_path / "its.log")
    )
    for one in (own, other):
        assert one.stdout is not None
        assert one.stdout.readline() == b"\n"  # the log is open
    _end_helpers(str(tmp_path / "wick-ray-1"))
    assert own.wait(10) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    for one in (own, other):
        one.communicate()


def test_without_ray_the_hint_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(WickError) as said, joined("auto"):
        pass
    assert said.value.hint == "pip install 'candlewick[cluster]'"
