"""Runs on candles of recorded trades beside what those trades did, one after the other."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backtest.engine import Result, backtest
from data.dates import now_ms
from data.files.importer import Labels, import_file
from data.manifest import Series
from data.store import load_arrays
from strategy.candles import Candles
from strategy.fills import BEST, DETAIL, WORST
from strategy.grid import grid
from strategy.records import BY_STOP, BY_TAKE
from tests.backtest.script import FREE, WIDE, scripted

APE = "futures-APEUSDT-aggTrades-2024-10-18.zip"
BTC = "raw/nkaz001__hftbacktest/examples/usdm/btcusdt_20240808.gz"
SLOT = 100  # ms, the shortest candles there are


@dataclass(frozen=True, slots=True)
class Tape:
    """Trades of a symbol in their order, and the tick of its prices."""

    time: NDArray[np.int64]
    price: NDArray[np.float64]
    tick: str


@pytest.fixture(scope="module")
def ape(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """A day of APEUSDT."""
    store = tmp_path_factory.mktemp("ape")
    (path,) = shared_data.rglob(APE)
    import_file(store, path, Labels(), now_ms())
    arrays = load_arrays(store, Series("um", "APEUSDT", "", "aggTrades"))
    return Tape(arrays["time"], arrays["price"], "0.0001")


@pytest.fixture(scope="module")
def btc(shared_data: Path) -> Tape:
    """Five minutes of BTCUSDT."""
    with gzip.open(shared_data / BTC, "rt") as lines:
        said = [json.loads(line.split(" ", 1)[1]) for line in lines if '"e":"trade"' in line]
    rows = [(one["data"]["T"], float(one["data"]["p"])) for one in said if "data" in one]
    rows = sorted((row for row in rows if row[1] > 0.0), key=lambda row: row[0])
    return Tape(np.array([t for t, _ in rows]), np.array([p for _, p in rows]), "0.1")


def candles(tape: Tape, timeframe: str, length: int, **says: float) -> Candles:
    """Make candles of trades; a window without one is missing, or silent if nothing is said."""
    window = tape.time // length
    every = np.arange(window[0], window[-1] + 1)
    rows: list[tuple[float, ...]] = []
    times = []
    last = tape.price[0]
    starts, stops = np.searchsorted(window, every), np.searchsorted(window, every, "right")
    for at, start, stop in zip(every, starts, stops, strict=True):
        prices = tape.price[start:stop]
        if len(prices):
            rows.append((prices[0], prices.max(), prices.min(), prices[-1], stop - start))
            last = prices[-1]
        elif says:
            continue
        else:
            rows.append((last, last, last, last, 0))
        times.append(at * length)
    o, h, l, c, v = np.array(rows).T  # noqa: E741
    words: dict[str, Any] = {}
    if says:
        v = np.full(len(rows), says["says"])
        words["trades"] = np.zeros(len(rows))
        words["quote_volume"] = np.full(len(rows), says["stop"])
        words["taker_buy"] = np.full(len(rows), says["take"])
    its = {"symbol": "AAA", "market": "um", "timeframe": timeframe}
    prices_of = {"open": o, "high": h, "low": l, "close": c, "volume": v}
    return Candles.from_arrays(**its, open_time=np.array(times), **prices_of, **words)  # type: ignore[arg-type]


def one_a_trade(tape: Tape, length: int) -> Tape:
    """Give every trade a slot of its own, in its order inside its window."""
    window = tape.time // length
    first = np.searchsorted(window, window)
    order = np.arange(len(window)) - first
    assert order.max() * SLOT < length
    return Tape(window * length + order * SLOT, tape.price, tape.tick)


def run(base: Candles, detail: Candles, tape: Tape, intrabar: int) -> Result:
    return backtest(
        scripted(base.timeframe),
        base,
        risk=WIDE._replace(per_trade=1.0),
        costs=FREE._replace(intrabar=intrabar),
        balance=1e9,
        grids=grid(tape.tick, "1", "0", "1").view(np.recarray),
        detail=[detail],
    )


def truth(tape: Tape, trade: Any) -> tuple[int, float, int]:
    """Walk over the trades from an entry on; give the exit's reason, price and time."""
    side, stop, take = int(trade["side"]), trade["stop"], trade["take"]
    begin = int(np.searchsorted(tape.time, trade["entry_time"]))
    for price, time in zip(tape.price[begin:], tape.time[begin:], strict=True):
        if side * price <= side * stop:
            return BY_STOP, float(price), int(time)
        if side * price >= side * take:
            return BY_TAKE, float(price), int(time)
    raise AssertionError("neither was reached")


def ended(result: Result) -> Any:
    return result.trades[result.trades["exit_reason"] <= BY_TAKE]


@pytest.mark.parametrize("says", [1.0, 2.0])
def test_finer_candles_of_one_trade_each_give_what_the_trades_did(ape: Tape, says: float) -> None:
    length = 300_000
    base = candles(ape, "5m", length, says=says, stop=0.0006, take=0.0008)
    spread_out = one_a_trade(ape, length)
    detail = candles(spread_out, "100ms", SLOT)
    worst, best, told = (ended(run(base, detail, ape, case)) for case in (WORST, BEST, DETAIL))
    assert len(told) == len(worst) == len(best) > 100
    assert worst["ambiguous"].sum() > 10
    assert told["ambiguous"].sum() == 0
    level_total = 0.0
    for low, high, one in zip(worst, best, told, strict=True):
        reason, price, time = truth(spread_out, one)
        assert (one["exit_reason"], one["exit_price"]) == (reason, price)
        # Known at the end of the slot, or at the candle's open for its first trade.
        assert one["exit_time"] in (time, time + SLOT)
        at_level = one["stop"] if reason == BY_STOP else one["take"]
        gained = one["side"] * (at_level - one["entry_price"])
        side, entry = low["side"], low["entry_price"]
        ends = [side * (its["exit_price"] - entry) for its in (low, high)]
        opened = low["exit_time"] % length == 0 and low["exit_price"] not in (
            low["stop"],
            low["take"],
        )
        assert opened or ends[0] <= gained <= ends[1]
        level_total += gained
    # Between its worst and its best, and neither.
    net = [float((each["pnl"] / 1e8).sum()) for each in (worst, told, best)]
    assert net[0] < net[1] < net[2]


@pytest.mark.parametrize(("timeframe", "length"), [("1s", 1000), ("100ms", SLOT)])
def test_finer_candles_of_real_seconds_tell_what_the_trades_did(
    ape: Tape, timeframe: str, length: int
) -> None:
    base = candles(ape, "5m", 300_000, says=1.0, stop=0.0006, take=0.0008)
    result = run(base, candles(ape, timeframe, length), ape, DETAIL)
    told, resolved = ended(result), int(result.finer[0, 2])
    assert resolved > 10
    for one in told[told["ambiguous"] == 0]:
        reason, price, time = truth(ape, one)
        assert one["exit_reason"] == reason
        # Filled at the level where the price jumped over it inside the finer candle.
        assert abs(one["exit_price"] - price) <= 0.0003
        assert 0 <= one["exit_time"] - time <= length or one["exit_time"] <= time


def test_recorded_minutes_of_btcusdt_lie_between_worst_and_best(btc: Tape) -> None:
    base = candles(btc, "10s", 10_000, says=1.0, stop=4.0, take=4.0)
    detail = candles(btc, "100ms", SLOT)
    runs = [run(base, detail, btc, case) for case in (WORST, DETAIL, BEST)]
    worst, told, best = map(ended, runs)
    assert worst["ambiguous"].sum() >= 3
    assert runs[1].finer[0, 2] >= 3
    for one in told[told["ambiguous"] == 0]:
        assert one["exit_reason"] == truth(btc, one)[0]
    took = [int((each["exit_reason"] == BY_TAKE).sum()) for each in (worst, told, best)]
    assert took[0] <= took[1] <= took[2]
