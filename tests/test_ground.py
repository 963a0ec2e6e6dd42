"""The lock, the wheel and the make targets."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text()


def test_every_locked_package_has_one_version_and_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[a-z])", re.sub(r"(?m)^ *#.*\n", "", lock))
    bare = [
        entry.split()[0]
        for entry in entries
        if not re.match(r"[a-z0-9-]+==\S+.*\\\n +--hash=sha256:[0-9a-f]{64}", entry)
    ]
    assert len(entries) > 50
    assert bare == []


def test_the_lock_names_no_index_and_no_path(lock: str) -> None:
    assert re.findall(r"\S*://\S*|--(?!hash=)\S+|\s/\S+|\s@\s.*", lock) == []


def test_the_lock_holds_every_package_that_the_project_names(
    lock: str, project: dict[str, Any]
) -> None:
    named = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for group in project["dependency-groups"].values():
        named += group
    locked: dict[str, list[str]] = {}
    for name, number in re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", lock):
        locked.setdefault(name, []).append(number)
    unmet = [
        wanted
        for wanted in map(Requirement, named)
        if not any(map(wanted.specifier.contains, locked.get(canonicalize_name(wanted.name), [])))
    ]
    assert unmet == []


def test_the_installed_version_is_the_one_of_the_project(project: dict[str, Any]) -> None:
    assert version("candlewick") == project["project"]["version"]


def test_the_wheel_holds_the_packages_and_no_tests(project: dict[str, Any]) -> None:
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    tops = {path.split("/")[0] for path in files}
    assert tops == {"strategy", "data", "backtest", "research", "live", "dashboard", "wick.py"}
    assert not [path for path in files if Path(path).name.startswith("test_")]


@pytest.mark.parametrize("target", ["setup", "demo", "test", "lint", "bench", "lock", "clean"])
def test_a_make_target_exists_and_says_what_it_does(target: str) -> None:
    assert re.search(rf"(?m)^{target}:.*## \w+", (ROOT / "Makefile").read_text())
