"""A run as a vectorbt Portfolio: the same orders, trades and equity, on drawn worlds and real data.

vectorbt simulates nothing here, it adds up. So what agrees is what follows from our orders under
its own bookkeeping: positions, cash, fees, profit and loss, the value at every close. What it makes
of signals by its own rules is held against ours in test_vectorbt_referee.py.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtest import Run, backtest
from backtest.engine import Result
from backtest.portfolio import portfolio_of
from backtest.record import record_of
from data import runs
from data.files.importer import Labels, import_file
from data.run_tables import part_table, trade_table
from data.symbols import fine_rules
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs
from strategy.grid import grid
from strategy.load import available
from strategy.records import EXIT_REASONS
from tests.backtest.capped_markets import draw_capped
from tests.backtest.random_markets import World, draw_funded, draw_world, run_fast
from tests.backtest.script import MINUTE, MONDAY, WIDE, Bar, bar, pays
from tests.backtest.script import run as run_bars

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")

WORLDS, FUNDED, CAPPED = (
    st.builds(
        draw, seed=st.integers(0, 2**32), length=st.integers(1, 90), symbols=st.integers(1, 3)
    )
    for draw in (draw_world, draw_funded, draw_capped)
)


def run_of(result: Result) -> runs.Run:
    """Make the run of a result, with the rules of no symbol in particular."""
    record = record_of(
        result,
        kind="backtest",
        created_ms=0,
        command=[],
        rules=[fine_rules(one.market, one.symbol, 1.0) for one in result.candles],
    )
    trades = trade_table(result.trades, result.symbols)
    parts = part_table(result.parts, result.trades, result.symbols)
    return runs.Run(Path("none"), record, trades, result.time, result.equity, parts)


def check(run: runs.Run, candles: Sequence[Candles], *, funded: bool = False) -> Any:
    """Hold a Portfolio against its run, to 1e-9 of the money that moves and to our roundings.

    A booking of ours is rounded to 1e-8, vectorbt's is not; and what vectorbt adds up is cash with
    the whole worth of a position in it, beside which equity may be small. A trade's funding is in
    its last fee, so where there is any, values are compared while nothing is open.
    """
    portfolio = portfolio_of(run, candles)
    trades = run.trades.to_pandas()
    # vectorbt's come by symbol, each symbol's in order.
    names = [one.symbol for one in candles]
    order = np.argsort([names.index(name) for name in trades["symbol"]], kind="stable")
    trades = trades.iloc[order].reset_index(drop=True)
    theirs = portfolio.trades.records
    assert len(theirs) == len(trades)
    assert (theirs["status"] == 1).all()
    assert (theirs["direction"] == np.where(trades["side"] == "long", 0, 1)).all()
    assert [names[at] for at in theirs["col"]] == trades["symbol"].tolist()
    opens = portfolio.wrapper.index[theirs["entry_idx"]]
    assert opens.tolist() == trades["entry_time"].dt.tz_localize(None).tolist()
    for name, column in (
        ("size", "qty"), ("entry_price", "entry_price"), ("exit_price", "exit_price"),
    ):  # fmt: skip
        np.testing.assert_allclose(theirs[name], trades[column], rtol=1e-9)
    fees = theirs["entry_fees"] + theirs["exit_fees"]
    np.testing.assert_allclose(fees, trades["fees"] + trades["funding"], rtol=1e-9, atol=1e-8)
    worth = (trades["qty"] * trades["entry_price"]).to_numpy()
    parts = 0 if run.parts is None else run.parts.num_rows
    # An entry's fee, and fee and profit of three exits, or of more where volumes bound them.
    exits = np.full(len(trades), 3)
    if run.parts is not None:
        exits = np.maximum(exits, np.bincount(run.parts["trade"], minlength=len(trades))[order])
    assert (np.abs(theirs["pnl"] - trades["net"]) <= 1e-9 * worth + 1e-8 * (1 + 2 * exits)).all()
    value = portfolio.value()
    assert value.index.to_numpy("datetime64[ms]").astype(np.int64).tolist() == run.time.tolist()
    held = np.abs(np.nan_to_num(np.asarray(portfolio.asset_value()).ravel()))
    most = np.maximum.accumulate(np.maximum(held, run.equity))
    if len(worth):
        most = np.maximum(most, worth.max())
    off = np.abs(np.asarray(value) - run.equity)
    flat = np.ones(len(run.time), bool)
    for entered, left in zip(theirs["entry_idx"], theirs["exit_idx"], strict=True):
        flat[entered:left] = not funded
    assert (off <= 1e-9 * most + 1e-8 * (2 * len(trades) + parts))[flat].all()
    count = len(trades) if run.parts is None else len(trades) + parts - parted(run)
    assert len(portfolio.exit_trades.records) == count
    assert len(portfolio.orders.records) == len(trades) + count
    return portfolio


def parted(run: runs.Run) -> int:
    assert run.parts is not None
    return len(set(run.parts["trade"].to_pylist()))


@settings(max_examples=80, deadline=None)
@given(WORLDS | FUNDED | CAPPED)
def test_any_run_is_a_portfolio_of_the_same_trades_and_equity(world: World) -> None:
    try:
        result = run_fast(world)
    except RunRefused:
        assume(False)
        raise
    assume((result.trades["exit_price"] > 0.0).all() and (result.parts["price"] > 0.0).all())
    check(run_of(result), result.candles, funded=any(world.instants))


def test_funding_is_in_the_last_fee_and_in_the_value_from_then_on() -> None:
    calm: Bar = bar("100 100 100 100")
    first, second = (MONDAY + k * MINUTE for k in (2, 3))
    result = run_bars(
        [bar("100 100 100 100", "long", stop=2.0), calm, calm, bar("100 102 100 101"), calm, calm],
        grids=grid("0.1", "0.001"),
        risk=WIDE,
        funding=pays((first, 0.0001), (second, 0.0002)),
    )
    portfolio = check(run_of(result), result.candles, funded=True)
    # 50 coins at 100: 0.5, then 1.
    assert result.equity.tolist() == [10_000.0, 10_000.0, 9_999.5, 10_048.5, 9_998.5, 9_998.5]
    assert (portfolio.value() - result.equity).tolist() == [0.0, 0.0, 0.5, 1.5, 1.5, 0.0]
    assert portfolio.orders.records["fees"].tolist() == [0.0, 1.5]


def test_a_fill_at_a_price_of_zero_is_refused() -> None:
    bars = [bar("10 10 10 10", "long", stop=5.0), bar("5 5 5 5")]
    result = run_bars(bars, grids=grid("5", "1"), costs=Costs(0.0, 0.02), risk=WIDE)
    with pytest.raises(WickError, match=r"^an order of run .* filled at a price of 0"):
        portfolio_of(run_of(result), result.candles)


def test_the_worlds_have_every_case_in_them() -> None:
    seen: set[str] = set()
    for seed in range(150):
        try:
            result = run_fast(draw_world(seed, 60, 1 + seed % 3))
        except RunRefused:
            continue
        trades = result.trades
        seen |= {EXIT_REASONS[why] for why in trades["exit_reason"]}
        seen |= {"parts"} if len(result.parts) else set()
        seen |= {"long"} if (trades["side"] > 0).any() else set()
        seen |= {"short"} if (trades["side"] < 0).any() else set()
        gaps = any(len(one.open_time) < len(result.time) for one in result.candles)
        seen |= {"gaps"} if gaps and len(trades) else set()
        inside = (trades["entry_candle"] == trades["exit_candle"]).any()
        seen |= {"in the entry candle"} if inside else set()
    assert seen >= {*EXIT_REASONS[1:], "parts", "long", "short", "gaps", "in the entry candle"} - {
        "flatten",
        "liquidation",
    }


def test_several_orders_of_one_candle_are_several_orders_in_one_row() -> None:
    flat: Bar = bar("100 100 100 100")
    result = run_bars(
        [
            bar("100 101 99 100", "long", stop=20.0),
            bar("100 101 99 100", "short", stop=10.0),  # turns to short at the next open …
            bar("104 115 103 110"),  # … and is stopped in that candle
            flat,
        ],
        risk=WIDE,
    )
    portfolio = check(run_of(result), result.candles)
    orders = portfolio.orders.records
    assert orders["idx"].tolist() == [1, 2, 2, 2]
    assert orders["side"].tolist() == [0, 1, 1, 0]
    assert orders["price"].tolist() == [100.0, 104.0, 104.0, 114.0]


def test_a_symbol_without_a_candle_keeps_its_last_close() -> None:
    result = run_bars(
        [bar("100 101 99 100", "long", stop=20.0), bar("100 111 99 110"), None, bar("90 90 90 90")],
        [None, None, bar("5 5 5 5"), bar("5 5 5 5")],
        risk=WIDE,
    )
    portfolio = check(run_of(result), result.candles)
    assert np.isnan(portfolio.close["AAA"].iloc[2])
    assert portfolio.value().iloc[2] == portfolio.value().iloc[1] == result.equity[2] > 10_000


def test_a_run_without_trades_is_a_flat_portfolio() -> None:
    portfolio = check(*of(backtest("rsi_macd_atr", synthetic_market(1, 3_000, 1_672_531_200_000))))
    assert (portfolio.value() == 10_000.0).all()


def of(run: Run) -> tuple[runs.Run, tuple[Candles, ...]]:
    return run._made, run.candles


@pytest.fixture(scope="module")
def store(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of 2023 of BTCUSDT spot, with the outage of 24 March."""
    file = shared_data / "klines" / "BTCUSDT-spot-1m-20220101-20231231.parquet"
    if not file.is_file():
        pytest.skip(f"{file.name} is absent")
    folder = tmp_path_factory.mktemp("store")
    labels = Labels(start_ms=1_675_209_600_000, end_ms=1_680_307_200_000)
    import_file(folder, file, labels, 1_704_067_200_000)
    return folder


@pytest.mark.parametrize("name", available())
def test_every_shipped_strategy_on_real_candles_is_its_portfolio(
    name: str, store: Path, tmp_path: Path
) -> None:
    made = backtest(name, store=store, runs=tmp_path, save=True)
    assert len(made.trades) > 5
    portfolio = check(*of(Run.load(store=store, runs=tmp_path)))
    np.testing.assert_allclose(portfolio.value(), made.equity, rtol=1e-9)
    stats = portfolio.stats()
    assert stats["Total Trades"] == len(made.trades)
    assert stats["Win Rate [%]"] == pytest.approx((made.trades["net"] > 0).mean() * 100)
    assert stats["Total Fees Paid"] == pytest.approx(made.trades["fees"].sum())
    deepest = made.record.figure("max_drawdown").value
    assert deepest is not None
    assert stats["Max Drawdown [%]"] == pytest.approx(-100 * deepest)


def test_real_symbols_that_share_the_cash_are_one_group(shared_data: Path, tmp_path: Path) -> None:
    for name in ("FILUSDT-um-1m-20230801-20231130", "NEARUSDT-um-1m-20230801-20231031"):
        file = shared_data / "klines" / f"{name}.parquet"
        if not file.is_file():
            pytest.skip(f"{file.name} is absent")
        import_file(tmp_path, file, Labels(start_ms=1_696_118_400_000), 1_704_067_200_000)
    # NEAR ends a month before FIL.
    run = backtest("breakout_donchian", ["FILUSDT", "NEARUSDT"], store=tmp_path)
    assert len(run.parts) > 20
    portfolio = check(*of(run))
    np.testing.assert_allclose(portfolio.value(), run.equity, rtol=1e-9)
    assert portfolio.stats()["Total Trades"] == len(run.trades)


def test_a_session_is_refused() -> None:
    run, candles = of(backtest("rsi_macd_atr", synthetic_market(1, 3_000, 1_672_531_200_000)))
    session = runs.Run(
        run.folder,
        msgspec.structs.replace(run.record, kind="paper"),
        run.trades,
        run.time,
        run.equity,
    )
    with pytest.raises(WickError, match=r"^run .* is of a session \(paper\), only backtests"):
        portfolio_of(session, candles)


def test_without_vectorbt_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = backtest("rsi_macd_atr", synthetic_market(1, 3_000, 1_672_531_200_000))
    monkeypatch.setitem(sys.modules, "vectorbt", None)
    with pytest.raises(WickError, match=r"^vectorbt is not installed") as error:
        run.to_vectorbt()
    assert error.value.hint == "pip install 'vectorbt>=1.2'"
