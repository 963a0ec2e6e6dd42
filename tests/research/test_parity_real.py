"""Real candles through both worlds: three days as the README shows them, six weeks with funding."""

import re
from pathlib import Path

import numpy as np

from backtest.inputs import Asked, gather
from data.dates import now_ms, parse_time
from data.files.importer import Labels, import_file
from tests.backtest.test_real_funding import add_funding, candles_of, file, funding_rows
from tests.parity import STRETCHES
from tests.research.stretches import compared

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_three_days_of_btcusdt_futures_have_no_difference(
    shared_data: Path, tmp_path: Path
) -> None:
    strategy, symbols, start, end, changes = STRETCHES[0]
    path = shared_data / "klines" / "BTCUSDT-um-1m-202505-202506-ohlcv.parquet"
    import_file(tmp_path / "store", path, Labels(), now_ms())
    span = (parse_time(start, "--from"), parse_time(end, "--to"))
    asked = Asked(strategy, symbols, "um", start_ms=span[0], end_ms=span[1], changes=changes)
    found = compared(gather(asked, tmp_path / "store", tmp_path / "runs"), tmp_path)
    assert found.comparison.first is None
    assert found.comparison.total == 0
    assert found.trades > 30
    shown = dict(re.findall(r"(?m)^(\w+) +([\d,]+|not simulated) +(?:0|-)$", README))
    counts = {kind: f"{n:,}" for kind, n in found.comparison.compared.items()}
    assert not found.funding_instants
    counts["funding"] = "not simulated"
    assert {kind: said for kind, said in shown.items() if kind in counts} == counts


def test_six_weeks_with_the_real_funding_of_two_symbols_have_no_difference(
    shared_data: Path, tmp_path: Path
) -> None:
    symbols, store = ("BTCUSDT", "ETHUSDT"), tmp_path / "store"
    for symbol in symbols:
        candles_of(shared_data, store, symbol, symbol)
        rows = funding_rows(file(shared_data, f"funding/{symbol}-um-funding.parquet"))
        add_funding(store, symbol, rows)
    hours = tmp_path / "hours.py"  # turns round at each signal: nearly always in the market
    text = Path("strategy/stoch_roc.py").read_text()
    hours.write_text(text.replace('"1m"', '"1h"').replace('"15m"', '"4h"'))
    span = (parse_time("2024-02-20", "--from"), parse_time("2024-04-02", "--to"))
    changes = ("length=4", "edge=45", "roc=3")
    asked = Asked(str(hours), symbols, "um", start_ms=span[0], end_ms=span[1], changes=changes)
    inputs = gather(asked, store, tmp_path / "runs")
    found = compared(inputs, tmp_path)
    assert found.comparison.first is None
    assert found.comparison.total == 0
    # Three a day and symbol, most of them with a position.
    assert found.funding_instants == 2 * 42 * 3 == sum(len(one.time) for one in inputs.funding)
    assert all(np.isnan(one.price).all() for one in inputs.funding)
    assert found.comparison.compared["funding"] > 150
