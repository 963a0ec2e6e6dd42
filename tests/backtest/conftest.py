"""Real candles that several witnesses look at."""

from pathlib import Path

import pytest

from data.files.importer import Labels, import_file
from data.store import load as load_candles
from strategy.candles import Candles

YEAR_2023_MS, YEAR_2024_MS = 1_672_531_200_000, 1_704_067_200_000


@pytest.fixture(scope="session")
def real_year(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Candles:
    """BTCUSDT spot 2023, with the exchange's outage of 24 March."""
    file = shared_data / "klines" / "BTCUSDT-spot-1m-20220101-20231231.parquet"
    if not file.is_file():
        pytest.skip(f"{file.name} is absent")
    store = tmp_path_factory.mktemp("store")
    import_file(store, file, Labels(start_ms=YEAR_2023_MS), YEAR_2024_MS)
    return load_candles(store, "spot", "BTCUSDT", "1m")
