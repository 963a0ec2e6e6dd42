"""Real funding rates and mark prices on real candles, against a plain loop over the instants."""

from bisect import bisect_right
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtest import backtest
from data.files.importer import Labels, import_file
from data.funding import funding_of_store
from data.manifest import Series, Source
from data.store import load as load_candles
from data.writer import writing

HOUR = 3_600_000
SOURCE = Source("shared data", "0" * 64)
ALWAYS_LONG = Path(__file__).parents[1] / "strategies" / "always_long.py"


def file(shared_data: Path, name: str) -> Path:
    path = shared_data / name
    if not path.is_file():
        pytest.skip(f"{name} is absent")
    return path


def funding_rows(path: Path) -> list[tuple[int, float]]:
    table = pq.read_table(path).to_pydict()
    return list(zip(table["funding_time"], table["funding_rate"], strict=True))


def add(store: Path, series: Series, columns: dict[str, Any]) -> None:
    with writing(store, series) as writer:
        writer.add(pa.table(columns), SOURCE)


def add_funding(store: Path, symbol: str, rows: list[tuple[int, float]]) -> None:
    times, rates = zip(*rows, strict=True)
    add(store, Series("um", symbol, "", "funding"), {"time": times, "rate": rates})


def candles_of(shared_data: Path, store: Path, name: str, symbol: str) -> None:
    path = file(shared_data, f"klines/{name}-um-1h-2019-202605-ohlcv.parquet")
    labels = Labels(symbol=symbol, market="um", timeframe="1h")
    import_file(store, path, labels, 1_800_000_000_000)


@pytest.fixture(scope="module")
def bitcoin(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BTCUSDT from its listing to May 2026: candles, funding, and mark prices from Christmas on."""
    store = tmp_path_factory.mktemp("store")
    candles_of(shared_data, store, "BTCUSDT", "BTCUSDT")
    add_funding(
        store, "BTCUSDT", funding_rows(file(shared_data, "funding/BTCUSDT-um-funding.parquet"))
    )
    marks = pq.read_table(
        file(shared_data, "klines/BTCUSDT-um-1h-mark-2019-202605-ohlcv.parquet")
    ).select(["open_time", "open", "high", "low", "close"])
    add(
        store,
        Series("um", "BTCUSDT", "1h", "mark"),
        dict(zip(marks.column_names, marks.columns, strict=True)),
    )
    return store


def always_long(store: Path, folder: Path, symbol: str, start: str, end: str) -> Any:
    run = backtest(ALWAYS_LONG, symbol, start=start, end=end, store=store, runs=folder)
    assert len(run.trades) == 1
    assert run.trades["exit_reason"][0] == "end"
    return run


def paid_in_a_loop(
    run: Any, rows: list[tuple[int, float]], marks: dict[int, float]
) -> tuple[int, int]:
    """Return what the one trade pays in units of 1e-8, and at how many instants."""
    trade, candles = run.trades.iloc[0], run.candles[0]
    closes = [time + HOUR for time in candles.open_time.tolist()]
    prices = candles.arrays["close"].tolist()
    entry, leave = (int(trade[name].timestamp() * 1000) for name in ("entry_time", "exit_time"))
    total, count = 0, 0
    for time, rate in rows:
        time = round(time / 60_000) * 60_000
        if entry < time < leave:
            price = marks.get(time, prices[bisect_right(closes, time) - 1])
            total += round(rate * (trade["qty"] * price) * 1e8)
            count += 1
    return total, count


@pytest.mark.parametrize(
    ("start", "end", "instants", "notes"),
    [
        ("2021-01-01", "2022-01-01", 1_094, []),  # the first close is after the first of 1,095
        (  # before Christmas 2019 the last closes stand in for mark prices
            "2019-09-08",
            "2026-05-17",
            7_322,
            [
                "BTCUSDT: funding is stored for 2019-09-10 08:00 to 2026-05-16 16:00 UTC",
                "BTCUSDT: 313 of 7,322 funding instants have no mark price",
            ],
        ),
    ],
)
def test_what_an_always_long_pays_is_what_a_plain_loop_says(
    bitcoin: Path,
    shared_data: Path,
    tmp_path: Path,
    start: str,
    end: str,
    instants: int,
    notes: list[str],
) -> None:
    run = always_long(bitcoin, tmp_path, "BTCUSDT", start, end)
    rows = funding_rows(file(shared_data, "funding/BTCUSDT-um-funding.parquet"))
    marks = pq.read_table(file(shared_data, "klines/BTCUSDT-um-1h-mark-2019-202605-ohlcv.parquet"))
    opens = dict(zip(marks["open_time"].to_pylist(), marks["open"].to_pylist(), strict=True))
    total, count = paid_in_a_loop(run, rows, opens)
    assert count == instants
    assert round(run.trades["funding"][0] * 1e8) == total > 0
    said = [note for note in run.record.notes if "funding" in note]
    assert [note.split(", ")[0] for note in said] == notes
    net = run.trades[["pnl", "fees", "funding"]].iloc[0]
    end_value = 10_000.0 + net["pnl"] - net["fees"] - net["funding"]
    assert run.equity.iloc[-1] == pytest.approx(end_value, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("XTZUSDT-um-funding", "2025-05-01", "2026-05-16"),
        ("LAYERUSDT-um-funding-4h-to-1h", "2025-03-17", "2025-06-03"),
    ],
)
def test_intervals_that_change_are_paid_at_each_instant(
    shared_data: Path, tmp_path: Path, name: str, start: str, end: str
) -> None:
    # There are no candles of these symbols; those of another one stand in.
    symbol, store = name.split("-")[0], tmp_path / "store"
    rows = funding_rows(file(shared_data, f"funding/{name}.parquet"))
    candles_of(shared_data, store, "ADAUSDT", symbol)
    add_funding(store, symbol, rows)
    run = always_long(store, tmp_path, symbol, start, end)
    total, count = paid_in_a_loop(run, rows, {})
    assert count > 200
    steps = {round((b - a) / HOUR) for (a, _), (b, _) in pairwise(rows)}
    assert len(steps) > 1
    assert round(run.trades["funding"][0] * 1e8) == total != 0


def test_the_exchanges_own_stamps_give_the_same_instants(
    bitcoin: Path, shared_data: Path, tmp_path: Path
) -> None:
    name = "funding/BTCUSDT-um-funding-msjitter-2023-2025.parquet"
    rows = funding_rows(file(shared_data, name))
    assert any(time % 60_000 for time, _ in rows)
    add_funding(tmp_path, "BTCUSDT", rows)
    candles = load_candles(bitcoin, "um", "BTCUSDT", "1h", rows[0][0], rows[-1][0] // HOUR * HOUR)
    stamped, known = (funding_of_store(store, candles) for store in (tmp_path, bitcoin))
    assert np.array_equal(stamped.time, known.time)
    assert len(stamped.time) == len(rows) - 1
    assert np.count_nonzero(stamped.rate != known.rate) == 0
