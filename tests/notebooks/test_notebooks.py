"""The notebooks run from a fresh clone, show what they promise, and carry no outputs."""

import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
# What the outputs of a notebook say when all went well.
SAYS = {
    "01_first_backtest": ("made-up market", "Account and drawdown", "Win Rate [%]", "report.html"),
    "02_tune": ("deflated Sharpe", "a plateau or a peak?", "hold-out", "report.html"),
    "03_compare_runs": ("channel", "fast - slow", "Return since the start", "fee_rate"),
    "04_live_parity": ("'first difference': None", "decisions", "The account, counted twice"),
}


def cells_of(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return cells


def test_every_notebook_says_what_it_must_show() -> None:
    assert [path.stem for path in PATHS] == sorted(SAYS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_its_outputs_are_stripped(path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    cells = cells_of(path)
    assert 6 <= len(cells) <= 12
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs_where_nothing_is_stored(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = executed(path, tmp_path, monkeypatch)
    said = "\n".join(json.dumps(cell["outputs"]) for cell in ran.cells if "outputs" in cell)
    for words in SAYS[path.stem]:
        assert words in said
    # The last line of a code cell is there to be seen.
    assert all(cell["outputs"] for cell in ran.cells if cell["cell_type"] == "code")


def executed(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a notebook in a folder of its own with the interpreter that runs the tests."""
    for name in ("store", "runs", "sessions"):
        monkeypatch.delenv(f"WICK_{name.upper()}", raising=False)
    work = folder / "a" / "b"  # so that nothing lies beside it either
    work.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    # A kernel of that name that the user has might be of another interpreter.
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = folder / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": launch, "display_name": "tests", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
    client = NotebookClient(
        nbformat.read(path, as_version=4),
        kernel_name="python3",
        timeout=300,
        resources={"metadata": {"path": str(work)}},
    )
    return client.execute()
