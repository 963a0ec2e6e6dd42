"""Which package may import which, and what the pure packages must never call."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Package: those of ours it may import, itself understood.
MAY_IMPORT = {
    "strategy": set(),
    "data": {"strategy"},
    "backtest": {"strategy", "data"},
    "live": {"strategy", "data"},
    "research": {"strategy", "data", "backtest", "live"},
    "dashboard": {"strategy", "data", "backtest", "live", "research"},
}
OURS = {*MAY_IMPORT, "wick"}
# Rooms inside data: which of the other rooms each may import.
ROOMS: dict[str, set[str]] = {
    "files": set(),
    "rest": set(),
    "rules": {"rest"},
    "fetching": {"files", "rest", "rules"},
    "checking": set(),
    "repairing": {"files", "rest", "fetching", "checking"},
}
NO_NETWORK = {"asyncio", "http", "socket", "subprocess", "urllib"}
WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}

Finding = tuple[int, str]


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[Finding]:
    """Top-level names imported anywhere below a node; relative imports stay inside a package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def forbidden_imports(package: str, tree: ast.AST) -> list[Finding]:
    allowed = MAY_IMPORT[package] | {package}
    if package == "strategy":
        outside = (sys.stdlib_module_names - NO_NETWORK) | {"numpy", "numba"}
        return [(line, name) for line, name in imports(tree) if name not in allowed | outside]
    return [(line, name) for line, name in imports(tree) if name in OURS - allowed]


def wall_clock_uses(tree: ast.AST) -> list[Finding]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            names = [f"time.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [".".join(ast.unparse(node).split(".")[-2:])]
        else:
            continue
        found += [(node.lineno, name) for name in names if name in WALL_CLOCK]
    return found


def fastmath_uses(tree: ast.AST) -> list[Finding]:
    return [
        (node.value.lineno, "fastmath")
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "fastmath"
    ]


def imports_on_start(tree: ast.Module) -> list[Finding]:
    """Imports that run when the module is imported: those outside every function."""
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = {found for function in functions for found in imports(function)}
    return [found for found in imports(tree) if found not in inside]


def places(path: Path, findings: list[Finding]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in findings]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    wrong = []
    for path in files_of(package):
        wrong += places(path, forbidden_imports(package, ast.parse(path.read_bytes())))
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_the_data_package_imports_only_what_lies_below_it(room: str) -> None:
    wrong = []
    for path in files_of(f"data/{room}"):
        modules = [
            (node.lineno, node.module.split("."))
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.ImportFrom) and node.module
        ]
        found = [(at, parts[1]) for at, parts in modules if parts[0] == "data" and len(parts) > 1]
        others = ROOMS.keys() - {room} - ROOMS[room]
        wrong += places(path, [(at, name) for at, name in found if name in others])
    assert wrong == []
    assert {path.parent.name for path in (ROOT / "data").glob("*/__init__.py")} == ROOMS.keys()


@pytest.mark.parametrize("package", ["strategy", "backtest"])
def test_the_pure_packages_never_ask_for_the_time_of_day(package: str) -> None:
    wrong = []
    for path in files_of(package):
        wrong += places(path, wall_clock_uses(ast.parse(path.read_bytes())))
    assert wrong == []


def test_no_kernel_is_compiled_with_fastmath() -> None:
    wrong = []
    for path in [ROOT / "wick.py", *(path for name in MAY_IMPORT for path in files_of(name))]:
        wrong += places(path, fastmath_uses(ast.parse(path.read_bytes())))
    assert wrong == []


def test_the_command_line_imports_our_packages_only_inside_functions() -> None:
    path = ROOT / "wick.py"
    found = imports_on_start(ast.parse(path.read_bytes()))
    assert places(path, [(line, name) for line, name in found if name in OURS]) == []


def test_every_top_level_package_has_its_place_in_the_order() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("package", "source", "findings"),
    [
        ("strategy", "import numba, numpy as np, math", []),
        ("strategy", "import pandas", [(1, "pandas")]),
        ("strategy", "def f():\n    from data.store import read", [(2, "data")]),
        ("strategy", "import asyncio", [(1, "asyncio")]),
        ("backtest", "from .engine import run\nimport rich", []),
        ("backtest", "import live.bus", [(1, "live")]),
        ("research", "import dashboard.figures, wick", [(1, "dashboard"), (1, "wick")]),
    ],
)
def test_the_import_check_sees_what_it_should(
    package: str, source: str, findings: list[Finding]
) -> None:
    assert forbidden_imports(package, ast.parse(source)) == findings


@pytest.mark.parametrize(
    "source",
    [
        "time.time()",
        "from time import time_ns",
        "datetime.datetime.now(datetime.UTC)",
        "now = datetime.now",
        "date.today()",
    ],
)
def test_the_clock_check_sees_every_way_to_the_wall_clock(source: str) -> None:
    assert len(wall_clock_uses(ast.parse(source))) == 1


def test_the_start_check_tells_module_level_from_function_level() -> None:
    source = "import typer\nif True:\n    import data\ndef f():\n    import live\n"
    assert imports_on_start(ast.parse(source)) == [(1, "typer"), (3, "data")]


def test_folders_of_the_user_do_not_shadow_ours(tmp_path: Path) -> None:
    for name in MAY_IMPORT:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('shadowed')\n")
    wick = Path(sys.executable).parent / "wick"
    for arguments in (["--help"], ["data", "--help"]):
        done = subprocess.run(
            [wick, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
