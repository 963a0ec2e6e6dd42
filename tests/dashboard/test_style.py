"""Pages hold no logic: their functions are short, and what they call does not know Streamlit."""

import ast
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"
LONGEST = 20
WITHOUT_STREAMLIT = ["load", "view", "trades", "figures", "tables", "texts"]


@pytest.mark.parametrize("path", sorted((DASHBOARD / "pages").glob("*.py")), ids=lambda p: p.stem)
def test_a_function_of_a_page_has_at_most_20_lines(path: Path) -> None:
    functions = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
    ]
    long = [one.name for one in functions if (one.end_lineno or 0) - one.lineno + 1 > LONGEST]
    assert long == []


@pytest.mark.parametrize("name", WITHOUT_STREAMLIT)
def test_what_pages_call_does_not_know_streamlit(name: str) -> None:
    assert "streamlit" not in (DASHBOARD / f"{name}.py").read_text().replace("Streamlit", "")


def test_the_wheel_holds_what_the_pages_need_beside_their_code() -> None:
    files = {
        file.distribution_path
        for file in WheelBuilder(str(DASHBOARD.parent)).recurse_included_files()
    }
    assert {
        "dashboard/.streamlit/config.toml",
        "dashboard/page.css",
        "dashboard/icon.svg",
        "dashboard/pages/live.py",
    } <= files
