"""Backtests from Python give what the command line gives, with the same errors."""

import datetime
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from backtest import Run, backtest, sweep
from backtest.commands import backtest_app
from data.manifest import Series, Source
from data.store import load as load_candles
from data.synthetic import synthetic_market
from data.writer import save, writing
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.load import load

START_MS = 1_672_531_200_000
MINUTES = 20_000
SYMBOLS = ("AUSDT", "BUSDT")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two symbols over two weeks."""
    folder = tmp_path_factory.mktemp("store")
    for seed, symbol in enumerate(SYMBOLS):
        save(folder, synthetic_market(seed, MINUTES, START_MS, symbol=symbol), "seeded")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def wick(store: Path, runs: Path, *flags: str) -> dict[str, Any]:
    """Call wick backtest and return its record."""
    words = [*flags, "--store", str(store), "--runs", str(runs), "--json"]
    done = CliRunner().invoke(backtest_app, words)
    assert done.exit_code == 0, done.output
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_the_command_line_and_python_give_the_same_bits(store: Path, runs: Path) -> None:
    told = wick(
        store, runs, "breakout_donchian", "--symbols", "AUSDT,BUSDT", "--from", "2023-01-02",
        "--to", "2023-01-12T12:30", "--set", "stop=2.1", "--set", "channel=40",
        "--set", "risk.per_trade=0.007", "--set", "risk.time_stop=200", "--balance", "5000",
        "--fee-bps", "4", "--slippage-bps", "1.5",
    )  # fmt: skip
    run = backtest(
        "breakout_donchian",
        SYMBOLS,
        start=datetime.date(2023, 1, 2),
        end=datetime.datetime(2023, 1, 12, 12, 30),  # noqa: DTZ001  naive means UTC
        params={"stop": 2.1, "channel": np.int64(40)},
        risk={"per_trade": 0.007, "time_stop": 200},
        balance=5_000,
        fee_bps=4,
        slippage_bps=1.5,
        store=store,
        runs=runs,
    )
    assert told["figures"] != []
    assert len(run.trades) > 10
    assert len(run.parts) > 10
    ours = json.loads(json.dumps(run.params | run.risk))
    assert ours == told["params"] | told["risk"]
    assert run.record.result_hash == told["result_hash"]
    assert [one.fingerprint for one in run.candles] == [one["fingerprint"] for one in told["data"]]


def test_costs_are_a_mapping_as_risk_is(store: Path, runs: Path) -> None:
    told = wick(
        store, runs, "breakout_donchian", "--symbols", "AUSDT",
        "--set", "costs.atr=0.05", "--set", "costs.intrabar=1",
    )  # fmt: skip
    costs = {"atr": 0.05, "intrabar": 1}
    run = backtest("breakout_donchian", "AUSDT", costs=costs, store=store, runs=runs)
    assert run.record.result_hash == told["result_hash"]
    assert (run.record.costs["atr"], run.record.costs["intrabar"]) == (0.05, 1.0)
    grid = {"channel": [24, 48], "stop": [2.0]}
    swept = sweep("breakout_donchian", "AUSDT", grid, costs={"atr": 0.05}, store=store, runs=runs)
    alone = backtest(
        "breakout_donchian", "AUSDT", params={"channel": 24, "stop": 2.0}, costs={"atr": 0.05},
        store=store, runs=runs,
    )  # fmt: skip
    found = swept.table["total_return"][0]
    assert found == alone.figures.loc["total_return", "value"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"costs": {"atrs": 0.05}}, "costs has no setting 'atrs'"),
        ({"costs": {"atr": "much"}}, "costs.atr is 'much', expected a number"),
        ({"costs": 0.05}, "costs is 0.05, expected a mapping such as {'atr': 0.05}"),
        ({"intrabar": 3}, "intrabar is 3, expected 'worst', 'best' or 'detail'"),
    ],
)
def test_costs_of_another_kind_are_refused(store: Path, given: Any, message: str) -> None:
    with pytest.raises(WickError) as refusal:
        backtest("breakout_donchian", "AUSDT", store=store, **given)
    assert refusal.value.message == message


@pytest.mark.parametrize("start", ["2023-01-03", datetime.date(2023, 1, 3), 1_672_704_000_000])
def test_a_time_may_be_given_in_any_of_its_forms(start: Any) -> None:
    market = synthetic_market(0, MINUTES, START_MS)
    run = backtest("breakout_donchian", market, start=start)
    assert run.equity.index[0] == pd.Timestamp("2023-01-03", tz="UTC")


def test_candles_in_memory_and_a_loaded_strategy_give_the_stored_result(
    store: Path, runs: Path
) -> None:
    stored = backtest(load("breakout_donchian"), "ausdt", store=store, runs=runs)
    given = backtest(
        Path("strategy/breakout_donchian.py"), load_candles(store, "um", "AUSDT", "1m")
    )
    assert stored.record.result_hash == given.record.result_hash


def test_stored_funding_is_booked_for_stored_candles_and_for_those_in_memory(
    store: Path, runs: Path, tmp_path: Path
) -> None:
    funded = Path(shutil.copytree(store, tmp_path / "funded"))
    hours = [START_MS + k * 3_600_000 for k in range(14 * 24)]
    table = pa.table({"time": pa.array(hours), "rate": pa.array([0.0003] * len(hours))})
    with writing(funded, Series("um", "AUSDT", "", "funding")) as writer:
        writer.add(table, Source("made", "0" * 64))
    told = wick(funded, runs, "breakout_donchian", "--symbols", "AUSDT")
    run = backtest("breakout_donchian", "AUSDT", store=funded, runs=runs)
    candles = load_candles(funded, "um", "AUSDT", "1m")
    given = backtest("breakout_donchian", candles, store=funded, runs=runs)
    assert (run.trades["funding"] != 0.0).any()
    net = run.trades["pnl"] - run.trades["fees"] - run.trades["funding"]
    assert run.trades["net"].tolist() == pytest.approx(net.tolist(), abs=1e-9)
    assert run.equity.iloc[-1] == pytest.approx(10_000.0 + net.sum(), abs=1e-7)
    assert run.figures.loc["funding", "value"] == pytest.approx(run.trades["funding"].sum())
    hashes = {told["result_hash"], run.record.result_hash, given.record.result_hash}
    assert len(hashes) == 1
    free = backtest("breakout_donchian", "AUSDT", store=store, runs=runs)
    assert free.record.result_hash not in hashes
    assert any("no funding is stored for AUSDT" in note for note in free.record.notes)
    # Spot candles never pay it, and nothing is said about it.
    spot = Candles("AUSDT", "spot", "1m", candles.arrays)
    run = backtest("breakout_donchian", spot, store=funded, runs=runs)
    assert not run.trades["funding"].any()
    assert not any("funding" in note for note in run.record.notes)


def test_a_run_read_back_is_the_run_that_was_saved(store: Path, runs: Path) -> None:
    made = backtest("breakout_donchian", "AUSDT", store=store, runs=runs)
    assert made.folder is None
    made.save().save()
    assert [path.name for path in runs.iterdir()] == [made.record.id]
    read = Run.load(store=store, runs=runs)
    assert read.folder == made.folder == runs / made.record.id
    assert repr(read) == repr(made)
    for name in ("trades", "parts", "figures"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(made, name))
    pd.testing.assert_series_equal(read.equity, made.equity)
    assert (read.params, read.risk, read.refused) == (made.params, made.risk, made.refused)
    assert read.candles[0].fingerprint == made.candles[0].fingerprint
    assert (read.report(), read.report(runs / "other.html").name) == (
        runs / made.record.id / "report.html",
        "other.html",
    )
    assert (runs / made.record.id / "report.html").stat().st_size > 10_000
    assert (runs / made.record.id / "strategy.py").read_bytes() == load("breakout_donchian").source


def test_a_run_gives_its_params_to_the_next_one(store: Path, runs: Path) -> None:
    first = backtest(
        "breakout_donchian", "BUSDT", end="2023-01-10", params={"stop": 3.0}, fee_bps=2,
        store=store, runs=runs, save=True, name="first",
    )  # fmt: skip
    ways: list[Any] = [first, "first", "last", str(first.folder)]
    for way in ways:
        again = backtest("breakout_donchian", params=way, store=store, runs=runs)
        assert again.record.result_hash == first.record.result_hash
    more = backtest("breakout_donchian", params=first, risk={"per_trade": 0.001}, store=store)
    assert more.params == first.params
    assert more.risk["per_trade"] == 0.001
    elsewhere = backtest(
        "breakout_donchian", synthetic_market(5, MINUTES, START_MS + 60 * 86_400_000), params=first
    )
    assert elsewhere.params == first.params


def test_parts_are_kept_only_where_there_are_any(store: Path, runs: Path) -> None:
    whole = backtest(
        "breakout_donchian", "AUSDT", risk={"part_1": 0, "part_1_share": 0}, store=store, runs=runs,
        save=True,
    )  # fmt: skip
    assert whole.parts.empty
    assert whole.folder is not None
    assert not (whole.folder / "parts.parquet").exists()
    parted = backtest("breakout_donchian", "AUSDT", store=store, runs=runs, save=True)
    assert parted.folder is not None
    table = pq.read_table(parted.folder / "parts.parquet").to_pandas()
    assert list(table) == list(whole.parts)
    assert table.dtypes.tolist() == whole.parts.dtypes.tolist()
    sums = table.groupby("trade")[["qty", "pnl"]].sum()
    pd.testing.assert_frame_equal(
        sums, parted.trades.loc[sums.index, ["qty", "pnl"]], check_names=False
    )
    (parted.folder / "parts.parquet").unlink()  # as a run of before parts were kept
    assert Run.load(parted.folder, store=store, runs=runs).parts.empty


def test_candles_that_have_changed_are_refused_and_the_report_does_without(
    tmp_path: Path, runs: Path
) -> None:
    folder = tmp_path / "store"
    save(folder, synthetic_market(1, MINUTES, START_MS, symbol="AUSDT"), "seeded")
    backtest("breakout_donchian", store=folder, runs=runs, save=True)
    save(folder, synthetic_market(2, 60, START_MS, symbol="AUSDT"), "seeded")
    read = Run.load(store=folder, runs=runs)
    with pytest.raises(WickError, match=r"^the AUSDT 1m candles of run .* have changed in "):
        read.to_vectorbt()
    with pytest.raises(WickError, match=r"^.*nowhere has not the AUSDT 1m candles of run "):
        _ = Run.load(store=tmp_path / "nowhere", runs=runs).candles
    assert read.report().is_file()


def test_figures_are_those_of_the_record(store: Path) -> None:
    run = backtest("breakout_donchian", "AUSDT", store=store)
    assert run.figures.loc["trades", "value"] == len(run.trades)
    assert run.figures.loc["total_return", "value"] == pytest.approx(run.equity.iloc[-1] / 1e4 - 1)
    assert [str(label) for label in run.figures["label"]] == [f.label for f in run.record.figures]


MARKET = synthetic_market(1, 3_000, START_MS)
WRONG: list[tuple[dict[str, Any], type[WickError], str]] = [
    ({"strategy": "rsi"}, WickError, "there is no strategy 'rsi'"),
    ({"params": {"rsy": 3}}, WickError, "rsi_macd_atr has no parameter 'rsy'"),
    ({"params": {"rsi": None}}, WickError, "parameter rsi is 'None', expected a number"),
    ({"params": {"rsi": 1.5}}, WickError, "parameter rsi is '1.5', expected a whole number"),
    ({"risk": {"per": 3}}, WickError, "risk has no setting 'per'"),
    ({"symbols": []}, WickError, r"symbols is \[\], expected names or candles"),
    ({"symbols": 3}, WickError, "symbols is 3, expected names or candles"),
    ({"symbols": ["AUSDT", MARKET]}, WickError, "symbols is .*, expected names or candles"),
    ({"symbols": [MARKET, MARKET]}, WickError, "--symbols names SYNTHUSDT twice"),
    ({"market": "spot"}, WickError, "market is 'spot', but candles in memory have their own"),
    ({"start": "soon"}, WickError, "start soon is not a date"),
    ({"start": 1.5}, WickError, "start 1.5 is not a date"),
    ({"start": 20, "end": 10}, WickError, "--from 1970.* is not before --to 1970"),
    ({"end": "2022-01-01"}, WickError, "none of the 3,000 candles of SYNTHUSDT lies in the span"),
    ({"balance": 0}, WickError, "balance is 0, expected from 1"),
    ({"fee_bps": -1}, WickError, "--fee-bps is -1, expected basis points"),
    ({"name": "a/b"}, WickError, "--name 'a/b' cannot name a run"),
    ({"timeframe": "5m"}, WickError, "rsi_macd_atr decides on 5m candles, given 1m"),
    ({"end": START_MS + 60_000}, WickError, "1 1m candles of SYNTHUSDT are too few"),
    ({"params": {"stop": 0}}, RunRefused, "every one of .* entries was refused"),
]


@pytest.mark.parametrize(("changes", "kind", "said"), WRONG)
def test_mistakes_are_errors_of_one_sentence(
    changes: dict[str, Any], kind: type[WickError], said: str
) -> None:
    given: dict[str, Any] = {"strategy": "rsi_macd_atr", "symbols": MARKET} | changes
    if changes.get("params") == {"stop": 0}:
        given["params"] = {"stop": 0, "oversold": 45, "overbought": 55}
    with pytest.raises(kind, match=f"^{said}") as error:
        backtest(**given)
    assert error.value.hint


def test_a_tier_of_fees_is_what_its_rates_are() -> None:
    tier = backtest("rsi_macd_atr", MARKET, fees="vip1")
    single = backtest("rsi_macd_atr", MARKET, fee_bps=4, maker_fee_bps=1.6)
    assert tier.record.result_hash == single.record.result_hash
    assert tier.record.all_costs == single.record.all_costs
    assert "fees vip1: maker 0.016 %, taker 0.04 % of each fill" in tier.record.notes
    again = backtest("rsi_macd_atr", MARKET, params=tier)
    assert again.record.all_costs == tier.record.all_costs


def test_a_report_needs_a_place(tmp_path: Path) -> None:
    run = backtest("rsi_macd_atr", MARKET)
    with pytest.raises(WickError, match=r"^the run is not kept, so its report has no place\n"):
        run.report()
    assert run.report(tmp_path / "a.html").is_file()


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from backtest import Run, backtest;"
        "print({'numpy', 'numba', 'pandas', 'pyarrow', 'vectorbt', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_candles_are_not_changed_by_a_run() -> None:
    before = {name: values.tobytes() for name, values in MARKET.arrays.items()}
    backtest("rsi_macd_atr", [MARKET], end=START_MS + 2_000 * 60_000)
    assert isinstance(MARKET, Candles)
    assert {name: values.tobytes() for name, values in MARKET.arrays.items()} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": None}, "strategy is None, expected a name, a path or a loaded strategy"),
        ({"fee_bps": "5"}, "fee_bps is '5', expected a number"),
        ({"maker_fee_bps": "2"}, "maker_fee_bps is '2', expected a number"),
        ({"fees": 0}, "fees is 0, expected a tier such as 'vip0'"),
        ({"balance": True}, "balance is True, expected a number"),
        ({"risk": [1]}, "risk is [1], expected a mapping"),
        ({"params": 5}, "params is 5, expected a mapping, a run or its name"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_a_sentence(
    changes: dict[str, Any], said: str
) -> None:
    asked: dict[str, Any] = {"strategy": "rsi_macd_atr", "symbols": "BTCUSDT"} | changes
    with pytest.raises(WickError, match=re.escape(said)):
        backtest(asked.pop("strategy"), asked.pop("symbols"), **asked)


def test_a_run_is_not_loaded_by_a_number() -> None:
    with pytest.raises(WickError, match="name is 5, expected a run's id or path"):
        Run.load(5)  # type: ignore[arg-type]
