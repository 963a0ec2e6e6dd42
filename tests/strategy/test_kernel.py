"""The compile cache: used again, never stale, never in the way."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from strategy import kernel as kernels
from strategy.load import available
from tests.strategy import run_blueprint

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, folder: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "NUMBA_DISABLE_JIT": "0"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_second_process_compiles_nothing() -> None:
    run("-m", "tests.strategy.run_blueprint")
    digest, hits, misses, cache = run("-m", "tests.strategy.run_blueprint").split()
    assert (hits, misses, cache) == ("hits=4", "misses=0", "cache=on")
    assert digest == run_blueprint.digest().split()[0]


def test_with_the_compiler_off_the_values_are_the_same() -> None:
    digest, *_ = run(
        "-W", "error", "-m", "tests.strategy.run_blueprint", NUMBA_DISABLE_JIT="1"
    ).split()
    assert digest == run_blueprint.digest().split()[0]


def test_a_cache_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    # Under a file no folder can be made, not even by root. Everything is compiled: small kernels.
    program = """
import logging
logging.basicConfig(level=logging.WARNING)
from strategy import kernel
from strategy.indicators import previous
from strategy.rules import compile_rules
from tests.strategy.market import market
from tests.strategy.test_rules import functions
from pathlib import Path
import numpy as np, sys
assert kernel.CACHE_DIR is None
candles = market(1, 3)
assert previous(candles.close).values[1:].tolist() == candles.close.values[:2].tolist()
rules = functions(Path(sys.argv[1]), enter_long="return x.rsi > 1", stop_distance="return 2")
print(compile_rules(rules, ["rsi"], []).signals(np.array([1.0, 2.0]), np.empty(0)).tolist())
"""
    path = tmp_path / "mine.py"
    out = run("-c", program, str(path), NUMBA_CACHE_DIR="/dev/null/x")
    assert out.splitlines()[-1] == "[0, 1]"


@pytest.mark.skipif(kernels._config.DISABLE_JIT, reason="there are no compiled forms")
def test_what_other_kernels_call_is_compiled_for_them_once_and_for_python_when_it_calls() -> None:
    @kernels.kernel
    def twice(x: int) -> int:
        return 2 * x

    @kernels.kernel
    def doubled(x: int, times: int) -> int:
        done = 0
        while done < times:
            x, done = twice(x) + twice(0), done + twice(done) + 1
        return x

    assert doubled(3, 13) == 24  # done is 0, 1, 4, 13
    forms = twice.overloads  # type: ignore[attr-defined]
    (part,) = forms.values()  # none for the literal 0
    assert type(part.library).__name__ == "_Part"
    assert part.fndesc.llvm_cpython_wrapper_name not in part.library.get_llvm_str()
    assert twice(21) == 42
    (whole,) = forms.values()
    assert whole.library is not part.library
    assert twice(21) == 42
    assert doubled(3, 4) == 12
    assert doubled(3.5, 4) == 14.0
    assert twice(1.5) == 3.0


@pytest.mark.skipif(kernels._config.DISABLE_JIT, reason="there are no compiled forms")
def test_a_read_only_array_goes_through_the_form_of_others() -> None:
    @kernels.kernel
    def total(x: np.ndarray, more: np.ndarray) -> float:
        return float(x.sum() + more[0])

    shared, own = np.arange(4.0), np.ones(1)
    shared.flags.writeable = False
    assert [total(shared, own), total(own, own), total(own, shared), total(shared, shared)] == [
        7.0,
        2.0,
        1.0,
        6.0,
    ]
    assert len(total.overloads) == 1  # type: ignore[attr-defined]


class _Pair(NamedTuple):
    x: np.ndarray
    inner: tuple[float, float]
    y: np.ndarray


@pytest.mark.skipif(kernels._config.DISABLE_JIT, reason="there are no compiled forms")
def test_a_tuple_with_a_read_only_array_goes_through_the_form_of_others() -> None:
    @kernels.kernel
    def total(pair: _Pair) -> float:
        return float(pair.x.sum() + pair.inner[1] + pair.y[0])

    shared, own = np.arange(4.0), np.ones(1)
    shared.flags.writeable = False
    pairs = [(shared, own), (own, own), (own, shared), (shared, shared)]
    found = [total(_Pair(x, (0.0, 0.5), y)) for x, y in pairs]
    assert found == [7.5, 2.5, 1.5, 6.5]
    assert len(total.overloads) == 1  # type: ignore[attr-defined]


def test_two_threads_may_compile_and_call_the_same_kernels_at_once() -> None:
    @kernels.kernel
    def half(x: float) -> float:
        return 0.5 * x

    @kernels.kernel
    def quarter(x: float) -> float:
        return half(half(x))

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(one, value) for value in (8, 8.0) for one in (half, quarter) * 2]
        assert [job.result() for job in jobs] == [4.0, 2.0] * 4


@pytest.mark.parametrize("package", ["strategy", "backtest.kernels"])
def test_an_edited_callee_in_another_file_is_noticed(tmp_path: Path, package: str) -> None:
    # Numba itself would go on with the old machine code.
    for name in ("strategy", "backtest"):
        shutil.copytree(ROOT / name, tmp_path / name)
    caller = tmp_path / "strategy" / "caller.py"
    callee = tmp_path / package.replace(".", "/") / "callee.py"
    head = "from strategy.kernel import kernel\n"
    caller.write_text(
        f"{head}from {package}.callee import g\n\n\n@kernel\ndef f(x):\n    return g(x)\n"
    )
    answers = []
    for number in (1, 2):
        callee.write_text(f"{head}\n\n@kernel\ndef g(x):\n    return x + {number}\n")
        program = "from strategy.caller import f; print(f(10), sum(f.stats.cache_hits.values()))"
        cache = str(tmp_path / "cache")
        answers += [run("-c", program, folder=tmp_path, NUMBA_CACHE_DIR=cache) for _ in range(2)]
    assert [answer.split() for answer in answers] == [
        ["11", "0"],
        ["11", "1"],
        ["12", "0"],
        ["12", "1"],
    ]


def test_only_an_edit_that_can_change_a_kernel_opens_a_new_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "strategy"
    for package in ("strategy", "backtest"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    original = kernels._source_hash()
    monkeypatch.setattr(kernels, "__file__", str(folder / "kernel.py"))
    assert kernels._source_hash() == original

    def edit(name: str, more: str = "\n# more\n") -> bool:
        before = kernels._source_hash()
        path = folder / name
        path.write_text((path.read_text() if path.exists() else "") + more)
        return kernels._source_hash() != before

    for path in sorted(folder.rglob("*.py")):
        name = str(path.relative_to(folder))
        is_strategy = name.removesuffix(".py") in available()
        assert edit(name) != is_strategy, name
    assert edit("mine.py", (ROOT / "strategy" / "rsi_macd_atr.py").read_text()) is False
    assert edit("new_kernels.py") is True
    assert edit("../backtest/kernels/simulate.py") is True
    assert edit("../backtest/inputs.py") is False


def test_kernels_stand_only_where_an_edit_is_noticed() -> None:
    packages = ("strategy", "data", "backtest", "research", "live", "dashboard")
    paths = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    outside = [
        str(path.relative_to(ROOT))
        for path in paths
        if re.search(r"^@(kernel|borrowing|part)$", path.read_text(), re.MULTILINE)
        and not path.is_relative_to(ROOT / "strategy")
        and not path.is_relative_to(ROOT / "backtest" / "kernels")
    ]
    assert outside == []


def test_four_cache_folders_are_kept_the_newest_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    root = tmp_path / "candlewick"
    for age in range(6):
        folder = root / f"old{age}"
        folder.mkdir(parents=True)
        (folder / "kernel.nbi").write_bytes(b"x")
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    assert kernels._open_cache("fresh") == root / "fresh"
    assert {path.name for path in root.iterdir()} == {"fresh", "old0", "old1", "old2"}
    kernels._open_cache("fresh")
    assert len(list(root.iterdir())) == 4


def test_a_home_without_room_for_a_cache_turns_it_off_with_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/dev/null/x")
    assert kernels._open_cache("key") is None
    assert "compile_cache=off reason=" in caplog.text


def test_numbas_own_cache_setting_is_left_alone() -> None:
    before = kernels._config.CACHE_DIR
    kernels.kernel(lambda x: x)
    assert before == kernels._config.CACHE_DIR
