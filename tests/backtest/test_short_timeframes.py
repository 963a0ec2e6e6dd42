"""Candles below a minute: on their grid, as higher ones, through the backtester and its command."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wick
from backtest.engine import backtest
from data.synthetic import synthetic_market
from data.writer import save
from strategy.candles import FIELDS, OPTIONAL_FIELDS, Candles
from strategy.errors import WickError
from strategy.load import load
from strategy.tape import Tape
from strategy.timeframes import DAY_MS, timeframe_ms
from tests.backtest.random_markets import assert_equal, draw_world, run_fast, run_slow
from tests.strategy import naive
from tests.strategy.market import IDENTITY, MONDAY, market, same_bits

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["100ms", "250ms", "1s", "5s"]


def tumbled(candles: Candles, timeframe: str) -> Candles:
    """Make candles of the windows, all checked again."""
    higher = candles.resample(timeframe)
    fields = {
        name: getattr(higher, name).values
        for name in (*FIELDS, *OPTIONAL_FIELDS)
        if name in candles.arrays
    }
    return Candles.from_arrays(
        symbol=candles.symbol,
        market=candles.market,
        timeframe=timeframe,
        open_time=higher.open_time,
        **fields,
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    pair=st.sampled_from([("100ms", "1s"), ("250ms", "1s"), ("1s", "5s"), ("5s", "1m")]),
    gap_rate=st.sampled_from([0.0, 0.05, 0.5]),
    shift=st.integers(0, 1000),
)
def test_short_windows_equal_the_obvious_twin(
    seed: int, pair: tuple[str, str], gap_rate: float, shift: int
) -> None:
    base, higher = pair
    length = timeframe_ms(base)
    arrays = dict(market(seed, 150, gap_rate=gap_rate).arrays)
    arrays["open_time"] = MONDAY + ((arrays["open_time"] - MONDAY) // 60_000 + shift) * length
    candles = Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe=base, **arrays)
    windows = candles.resample(higher)
    fields = {name: candles.arrays[name].tolist() for name in FIELDS}
    opens, values, known = naive.resample(
        candles.open_time.tolist(), fields, length, naive.window_of(higher)
    )
    assert windows.open_time.tolist() == opens
    assert windows._windows[3].tolist() == known
    assert {name: getattr(windows, name).values.tolist() for name in FIELDS} == values


def test_tenths_of_a_second_become_seconds_and_minutes_by_either_way() -> None:
    tenths = synthetic_market(5, 30, MONDAY, "100ms")
    seconds, minutes = tumbled(tenths, "1s"), tumbled(tenths, "1m")
    assert (len(tenths), len(seconds), len(minutes)) == (18_000, 1_800, 30)
    again = tumbled(seconds, "1m")
    for name in ("open_time", "open", "high", "low", "close", "trades"):
        assert same_bits(again.arrays[name], minutes.arrays[name])
    for name in ("volume", "quote_volume", "taker_buy"):
        np.testing.assert_allclose(again.arrays[name], minutes.arrays[name], rtol=1e-12)


def test_a_day_of_tenths_of_a_second_tumbles_the_same_in_chunks() -> None:
    tenths = synthetic_market(6, 1440, MONDAY, "100ms")
    assert len(tenths) == 864_000
    whole = tumbled(tenths, "5s")
    tape, closes = Tape(IDENTITY), []
    for start in range(0, 864_000, 54_321):
        chunk = tenths.slice(start, min(start + 54_321, 864_000))
        with tape.reading(chunk.open_time):
            closes.append(chunk.resample("5s").close.values)
    assert same_bits(np.concatenate(closes), whole.arrays["close"])
    assert len(whole) == 17_280


@pytest.mark.parametrize("timeframe", SHORT)
def test_a_candle_off_a_short_grid_is_refused(timeframe: str) -> None:
    arrays = {name: values.copy() for name, values in market(1, 9).arrays.items()}
    arrays["open_time"] = MONDAY + timeframe_ms(timeframe) * np.arange(9)
    Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe=timeframe, **arrays)
    arrays["open_time"][4] += timeframe_ms(timeframe) // 2
    with pytest.raises(WickError, match=f"BTCUSDT {timeframe} candle 4 .* off the grid"):
        Candles.from_arrays(symbol="BTCUSDT", market="um", timeframe=timeframe, **arrays)


@pytest.mark.parametrize("timeframe", SHORT)
@pytest.mark.parametrize("seed", range(3))
def test_both_engines_agree_on_short_candles_across_midnight(timeframe: str, seed: int) -> None:
    world = dataclasses.replace(
        draw_world(seed, 120, 2), timeframe=timeframe, start=MONDAY - 60 * timeframe_ms(timeframe)
    )
    assert_equal(run_fast(world), run_slow(world))


def write_strategy(folder: Path, timeframe: str, middle: str, long: str) -> Path:
    """Write the shipped strategy for other lengths, made to trade often."""
    text = (ROOT / "strategy" / "rsi_macd_atr.py").read_text()
    for old, new in (("1m", timeframe), ("5m", middle), ("15m", long)):
        assert f'"{old}"' in text
        text = text.replace(f'"{old}"', f'"{new}"')
    path = folder / "quick.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("timeframe", "middle", "long"), [("1s", "5s", "1m"), ("100ms", "1s", "5s")]
)
def test_a_strategy_decides_on_candles_below_a_minute(
    tmp_path: Path, timeframe: str, middle: str, long: str
) -> None:
    strategy = load(str(write_strategy(tmp_path, timeframe, middle, long)))
    params = strategy.with_params({"oversold": 45, "overbought": 55, "trend": 10})
    # The last hour of a day and the first one of the next.
    candles = synthetic_market(8, 120, MONDAY + DAY_MS - 60 * 60_000, timeframe)
    result = backtest(strategy, candles, params=params)
    assert len(result.trades) >= 20
    assert (result.trades.entry_time % timeframe_ms(timeframe) == 0).all()
    assert (result.trades.entry_time % 60_000 != 0).any()
    assert (result.trades.exit_time >= result.trades.entry_time).all()
    keep = np.ones(len(candles), bool)
    keep[3_000:3_100] = False
    gap = Candles(
        candles.symbol,
        candles.market,
        timeframe,
        {name: values[keep] for name, values in candles.arrays.items()},
    )
    holed = backtest(strategy, gap, params=params)
    early = result.trades.exit_time < candles.open_time[3_000]
    assert 0 < early.sum() < len(result.trades)
    assert holed.trades[: early.sum()].tobytes() == result.trades[early].tobytes()


@pytest.mark.parametrize("timeframe", ["1s", "100ms"])
def test_a_short_run_by_command_counts_its_holes_and_writes_a_report(
    tmp_path: Path,
    timeframe: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_strategy(tmp_path, timeframe, "5s", "1m")
    candles = synthetic_market(8, 60, MONDAY, timeframe)
    keep = np.ones(len(candles), bool)
    keep[100:107] = False
    arrays = {name: values[keep] for name, values in candles.arrays.items()}
    save(tmp_path / "var" / "store", Candles("SYNTHUSDT", "um", timeframe, arrays), "a test")
    for command in (
        ["backtest", str(path), "--set", "oversold=45", "--set", "overbought=55"],
        ["report", "last"],
        ["data", "check"],
    ):
        with pytest.raises(SystemExit) as stopped:
            wick.main(command)
        said = capsys.readouterr().out
        assert stopped.value.code == 0, said
        if command[0] == "backtest":
            assert "7 candles are missing" in said
    assert list((tmp_path / "var" / "runs").glob("*/report.html"))


def test_a_name_of_equal_length_is_hinted_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "var" / "store", synthetic_market(8, 60, MONDAY), "a test")
    for timeframe, hint in (
        ("60s", "60s is as long as 1m, which has candles"),
        ("1M", "one minute is 1m"),
        ("1min", "did you mean 1m?"),
    ):
        with pytest.raises(SystemExit) as stopped:
            wick.main(["backtest", "rsi_macd_atr", "--timeframe", timeframe])
        assert stopped.value.code == 2
        assert hint in " ".join(capsys.readouterr().err.split())
