"""Where the candles of a first look come from."""

from pathlib import Path

import pytest

from backtest import backtest
from data import store
from data.synthetic import synthetic_market
from data.writer import save
from research.sample import sample

START = 1_672_531_200_000
DAY = 86_400_000


def kept(folder: Path, symbol: str) -> None:
    made = synthetic_market(3, 2 * 1_440, START, symbol=symbol)
    save(folder, made, "seeded")


def test_without_a_store_a_market_is_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    found = sample(days=1)
    assert repr(found) == (
        "SYNTHUSDT um 1m, 2023-01-01 00:00 to 2023-01-02 00:00 UTC (made-up market, no store has"
        " candles)"
    )
    assert [one.rows for one in store.series(found.store)] == [1_440]
    run = backtest("breakout_donchian", save=True, **found.arguments)
    assert run.folder is not None
    assert run.folder.parent == found.runs
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


@pytest.mark.parametrize("beside", ["a/var/store", "var/store"])
def test_stored_candles_are_taken_from_the_end_and_bitcoin_first(
    beside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    for symbol in ("AAVEUSDT", "BTCUSDT", "ETHUSDT"):
        kept(tmp_path / beside, symbol)
    monkeypatch.chdir(tmp_path / "a")
    found = sample(days=1)
    assert (found.symbol, found.made_up) == ("BTCUSDT", False)
    assert (found.start_ms, found.end_ms) == (START + DAY, START + 2 * DAY)
    assert sample(days=30).start_ms == START
