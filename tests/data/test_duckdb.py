"""The query in docs/data.md, as it stands there, over a store of a hundred symbols."""

import re
from pathlib import Path

import duckdb
import pytest

from data.synthetic import synthetic_market
from data.writer import save
from strategy.candles import Candles
from tests.data.conftest import DAY_MS, JAN_2023

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def test_one_query_reads_a_hundred_symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    markets = [
        synthetic_market(seed, 300, JAN_2023 + 31 * DAY_MS - 150 * 60_000, "1m")
        for seed in range(4)
    ]
    names = [f"S{number:02}USDT" for number in range(100)]
    for number, name in enumerate(names):
        arrays = markets[number % 4].arrays
        save(Path("var/store"), Candles(name, "um", "1m", dict(arrays)), "test")
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with duckdb.connect() as connection:
        rows = connection.sql(query).fetchall()
    assert sorted(row[0] for row in rows) == names
    by_name = {row[0]: row for row in rows}
    for number in range(4):
        arrays = markets[number].arrays
        _, count, lowest, highest, volatility, silent = by_name[names[number]]
        assert (count, lowest, highest) == (300, arrays["low"].min(), arrays["high"].max())
        deviation = (arrays["close"] / arrays["open"] - 1).std(ddof=1)
        assert volatility == pytest.approx(deviation)
        assert silent == (arrays["volume"] == 0).sum()
