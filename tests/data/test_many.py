"""Many symbols read into one array a field."""

from pathlib import Path

import numpy as np
import pytest

from backtest.joining import join
from data.many import JOINED, load_many
from data.store import load
from data.synthetic import synthetic_market
from data.writer import save
from strategy.candles import Candles
from strategy.errors import WickError

DAY = 86_400_000
START = 19_357 * DAY  # 2022-12-31
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for at, symbol in enumerate(SYMBOLS):
        made = synthetic_market(at, 5_000 + 100 * at, START + at * DAY // 2)
        save(folder, Candles(symbol, "um", "1m", made.arrays), f"seed {at}")
    return folder


@pytest.mark.parametrize(
    "span", [(None, None), (START + 2 * DAY, None), (START + DAY, START + 2 * DAY + 60_000)]
)
def test_they_are_those_read_one_by_one_and_lie_one_behind_the_other(
    store: Path, span: tuple[int | None, int | None]
) -> None:
    done: list[int] = []
    many = load_many(store, "um", SYMBOLS, "1m", *span, progress=lambda: done.append(1))
    assert len(done) == len(SYMBOLS)
    for symbol, one in zip(SYMBOLS, many, strict=True):
        alone = load(store, "um", symbol, "1m", *span)
        assert one.fingerprint == alone.fingerprint
        assert list(one.arrays) == list(alone.arrays)
    for name in JOINED:
        assert np.shares_memory(join([one.arrays[name] for one in many]), many[0].arrays[name])


def test_a_symbol_that_is_not_stored_is_named(store: Path) -> None:
    with pytest.raises(WickError, match="DDDUSDT um 1m"):
        load_many(store, "um", (*SYMBOLS, "DDDUSDT"), "1m")
