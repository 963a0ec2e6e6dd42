"""Three days of real candles through both worlds, as the README shows it."""

import re
from pathlib import Path

from backtest.inputs import Asked, gather
from data.dates import now_ms, parse_time
from data.importer import Labels, import_file
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
