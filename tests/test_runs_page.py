"""What docs/runs.md shows is what Python and DuckDB answer."""

import doctest
import math
import re
import shutil
from pathlib import Path

import duckdb
import pytest

from backtest import backtest
from data.runs import records
from data.synthetic import synthetic_market

PAGE = Path(__file__).parents[1] / "docs" / "runs.md"


def test_the_examples_of_the_runs_page_give_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    market = synthetic_market(7, 20_000, 1_672_531_200_000)
    for name, channel in (("slow", 48), ("fast", 24)):
        backtest("breakout_donchian", market, params={"channel": channel}, name=name, save=True)
    runs = Path("var/runs")
    shutil.copytree(runs / "slow", runs / ".unfinished-1")
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```pycon\n(.*?)```", text, re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 4
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test).failed == 0, capsys.readouterr().out

    (query,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    with duckdb.connect() as connection:
        rows = {row[0]: row for row in connection.sql(query).fetchall()}
    assert list(rows) == sorted(rows, key=lambda name: -rows[name][2])
    assert len(rows) == 2
    for record in records(runs).records:
        _, strategy, sharpe, trades, net, fees = rows[record.id]
        assert strategy == record.strategy.name
        assert sharpe == record.figure("sharpe").value
        assert trades == record.figure("trades").value
        assert math.isclose(fees, record.figure("fees").value or 0.0)
        total = record.figure("total_return").value or 0.0
        assert math.isclose(net, total * record.balance, rel_tol=1e-6)
