"""What a command compiles: `python -m tests.compilations FILE wick's words…` writes the kernels'
names to a file, one a line, none where all were compiled before."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def compiled_by(*words: str, cwd: Path, out: Path, **environment: str) -> list[str]:
    """Run wick in a process of its own and return the kernels that it compiled.

    Parameters
    ----------
    out : Path
        File for their names.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.compilations", str(out), *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": "0"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out.read_text().splitlines()


def main(out: Path, words: list[str]) -> None:
    """Run wick and write what was compiled."""
    from numba.core import event

    import wick

    code: Any = 0
    with event.install_recorder("numba:compile") as recorder:
        try:
            wick.main(words)
        except SystemExit as stop:
            code = stop.code
    names = [
        f"{one.data['dispatcher'].__module__}.{one.data['dispatcher'].__name__}"
        for _, one in recorder.buffer
        if one.is_start
    ]
    out.write_text("".join(f"{name}\n" for name in names))
    sys.exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
