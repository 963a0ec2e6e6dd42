"""Settings come from wick.toml, then the environment, then flags."""

from pathlib import Path

import pytest

from data.settings import load_settings
from strategy.errors import WickError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("WICK_STORE", "WICK_RUNS", "WICK_SESSIONS", "WICK_REDIS", "WICK_ARCHIVE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings()
    assert (settings.store, settings.runs) == (Path("var/store"), Path("var/runs"))
    assert settings.archive_url == "https://data.binance.vision"


def test_flags_win_over_the_environment_over_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "wick.toml").write_text('store = "a"\nruns = "a"\narchive_url = "http://a"\n')
    monkeypatch.setenv("WICK_RUNS", "b")
    monkeypatch.setenv("WICK_ARCHIVE_URL", "http://b")
    settings = load_settings(archive_url="http://c", runs=None)
    assert (settings.store, settings.runs) == (Path("a"), Path("b"))
    assert settings.archive_url == "http://c"


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ('stroe = "x"', r"wick\.toml has an unknown key 'stroe'", "did you mean store?"),
        ("store = 5", "the setting store is 5", "WICK_STORE"),
        ("store =", r"wick\.toml is not TOML", "store = "),
    ],
)
def test_a_wrong_file_is_explained(folder: Path, text: str, sentence: str, hint: str) -> None:
    (folder / "wick.toml").write_text(text)
    with pytest.raises(WickError, match=sentence) as refused:
        load_settings()
    assert hint in refused.value.hint
