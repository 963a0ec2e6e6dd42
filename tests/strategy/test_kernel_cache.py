"""Files of compiled kernels: read where nothing can be written, and whole whatever happens."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strategy import kernel as kernels

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534
PROGRAM = """
import numpy as np
from strategy import kernel
from strategy.indicators.averages import _ema, _wma
state = np.zeros(40)
print(_ema(np.arange(9.0), 3, state)[-1], _wma(np.arange(9.0), 3, np.zeros(40))[-1])
stats = [one.stats for one in (_ema, _wma)]
print(*(sum(sum(one[at].values()) for one in stats) for at in (1, 2)), kernel.CACHE_DIR is not None)
"""
# Root may write anywhere, and its Python may lie where nobody else can read: so everything is
# imported first, and the project once more when root's rights are gone.
AS_NOBODY = f"""
import os, sys
import numba, numpy as np
import strategy.indicators.averages
numba.njit(lambda x: x[::2].sum() + np.empty(3)[0])(np.ones(3))
for name in [name for name in sys.modules if name.partition(".")[0] == "strategy"]:
    del sys.modules[name]
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
"""
VALUES = "7.0 7.333333333333333"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that every user may enter, unlike those of pytest."""
    made = Path(tempfile.mkdtemp(prefix="wick-test-"))
    made.chmod(0o755)
    yield made
    for path in (made, *made.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(made)


def start(cache: Path, program: str = PROGRAM, **options: Any) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": "0"}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment | {"NUMBA_CACHE_DIR": str(cache)} | options.pop("env", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def end(process: "subprocess.Popen[str]") -> tuple[str, int, int, str]:
    """Return values, hits, misses and what was said."""
    out, said = process.communicate()
    assert process.returncode == 0, said
    values, counts = out.splitlines()
    hits, misses, _ = counts.split()
    return values, int(hits), int(misses), said


def as_reader(cache: Path, program: str = PROGRAM) -> tuple[str, int, int, str]:
    """Run as somebody who cannot write into the folder."""
    for path in (cache, *cache.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return end(start(cache, (AS_NOBODY if os.geteuid() == 0 else "") + program))


def test_a_filled_cache_that_cannot_be_written_is_used(folder: Path) -> None:
    assert end(start(folder)) == (VALUES, 0, 2, "")
    assert as_reader(folder) == (VALUES, 2, 0, "")


def test_what_is_not_in_a_cache_that_cannot_be_written_is_compiled_with_a_word(
    folder: Path,
) -> None:
    assert end(start(folder)) == (VALUES, 0, 2, "")
    for path in folder.rglob("*_wma*"):
        path.unlink()
    values, hits, misses, said = as_reader(folder)
    assert (values, hits, misses) == (VALUES, 1, 1)
    assert said.startswith("compile_cache=not_written reason=")
    assert len(said.splitlines()) == 1


def test_an_empty_folder_that_cannot_be_written_turns_the_cache_off_with_a_hint(
    folder: Path,
) -> None:
    values, hits, misses, said = as_reader(folder)
    assert (values, hits) == (VALUES, 0)
    assert said.startswith("compile_cache=off reason=")
    assert "hint=every start compiles: set NUMBA_CACHE_DIR" in said
    assert misses == 2


def test_without_a_home_the_cache_is_off_with_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)

    def nobody(_: object = None) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert kernels._open_cache("key") is None
    assert "reason=Could not determine home directory." in caplog.text


def test_a_filled_cache_stays_warm_in_another_place(folder: Path) -> None:
    assert end(start(folder / "here")) == (VALUES, 0, 2, "")
    (folder / "here").rename(folder / "there")
    assert end(start(folder / "there")) == (VALUES, 2, 0, "")


@pytest.mark.parametrize("pattern", ["*_wma*.nbi", "*_wma*.nbc"])
@pytest.mark.parametrize("broken", [b"", b"\x80\x04broken", None])
def test_a_broken_file_is_compiled_again_and_mended(
    folder: Path, pattern: str, broken: bytes | None
) -> None:
    assert end(start(folder)) == (VALUES, 0, 2, "")
    for path in folder.rglob(pattern):
        path.write_bytes(path.read_bytes()[:200] if broken is None else broken)
    values, hits, misses, said = end(start(folder))
    assert (values, hits, misses) == (VALUES, 1, 1)
    assert said.startswith("compile_cache=broken kernel=")
    assert end(start(folder)) == (VALUES, 2, 0, "")


def test_two_processes_at_once_and_one_killed_leave_a_usable_cache(folder: Path) -> None:
    # Forms for other arguments of the same kernel, at once.
    other = PROGRAM.replace("np.arange(9.0)", "np.arange(18.0)[::2] / 2")
    processes = [start(folder, program) for program in (PROGRAM, other, PROGRAM, other)]
    until_s = time.monotonic() + 60.0
    while not any(folder.rglob("*.nbc")) and time.monotonic() < until_s:
        time.sleep(0.001)
    processes[0].send_signal(signal.SIGKILL)
    processes[0].communicate()
    for process in processes[1:]:
        values, hits, misses, said = end(process)
        assert (values, hits + misses, said) == (VALUES, 2, "")
    for program in (PROGRAM, other):
        assert end(start(folder, program))[0] == VALUES
    for program in (PROGRAM, other):
        assert end(start(folder, program)) == (VALUES, 2, 0, "")
