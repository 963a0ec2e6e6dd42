"""What a run folder keeps of a backtest beside trades and equity."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from backtest.engine import backtest
from data.run_record import figures_of, hold_value
from data.runs import read_record
from data.show import figures_table, shown, shown_range
from strategy.metrics import DEFINITIONS, leverage
from tests.backtest.report_runs import market, report_run
from tests.backtest.script import MINUTE, MONDAY, WIDE, pays, scripted


@pytest.mark.parametrize("changes", [{}, {"part_1": 0.5, "part_1_share": 0.4}])
def test_equity_moves_by_the_net_leverage_while_nothing_is_bought_or_sold(
    changes: dict[str, float],
) -> None:
    candles = market(8_000, 70)
    result = backtest(scripted(), candles, risk=WIDE._replace(**changes))  # type: ignore[arg-type]
    assert bool(changes) == bool(len(result.parts))
    close = candles.arrays["close"]
    prices = [(result.time, close)]
    found = leverage(result.time, result.equity, result.trades, result.parts, prices)
    moved = np.diff(result.equity) / result.equity[:-1]
    told = found.net[:-1] * np.diff(close) / close[:-1]
    quiet = np.ones(len(moved), bool)
    for name in ("entry_candle", "exit_candle"):
        quiet[np.clip(result.trades[name] - 1, 0, len(moved) - 1)] = False
    quiet[np.clip(result.parts["candle"] - 1, 0, len(moved) - 1)] = False
    assert 0 < np.count_nonzero(~quiet) < len(moved) / 10
    assert np.count_nonzero(found.net) > 1_000
    assert moved[quiet] == pytest.approx(told[quiet], abs=1e-12)


def test_a_record_has_every_figure_and_a_search_all_but_leverage(tmp_path: Path) -> None:
    candles = [market(30_000, 90), market(30_000, 70, seed=2, symbol="OTHERUSDT")]
    record = report_run(tmp_path, candles).record
    assert [figure.key for figure in record.figures] == list(DEFINITIONS)
    assert (record.figure("gross_leverage").value or 0.0) > 0.0
    quick = {figure.key: figure for figure in figures_of(backtest(scripted(), candles, risk=WIDE))}
    assert quick["gross_leverage"].note == "positions were not followed"
    assert list(quick) == list(DEFINITIONS)
    held = [one.arrays["close"][-1] / one.arrays["open"][0] - 1.0 for one in candles]
    assert record.figure("hold_return").value == pytest.approx(np.mean(held), rel=1e-12)


def test_a_record_names_the_exact_funding_within_its_candles(tmp_path: Path) -> None:
    candles = [market(300, 90)]
    assert report_run(tmp_path, candles).record.data[0].funding is None
    paid = report_run(tmp_path, candles, funded=True).record.data[0].funding
    assert paid is not None
    # Five hours; the last close has none.
    assert (paid.instants, paid.marked) == (5, 0)
    assert (paid.first_ms, paid.last_ms) == (MONDAY, MONDAY + 240 * MINUTE)
    hours = [(MONDAY + k * 60 * MINUTE, 0.0001) for k in range(5)]
    assert paid.fingerprint == pays(*hours).fingerprint
    for other in (
        hours[1:],
        [*hours[:-1], (hours[-1][0], 0.0001 + 1e-19)],
        [(*hours[0], 1.0), *hours[1:]],
    ):
        assert pays(*other).fingerprint != paid.fingerprint


def test_a_live_session_holds_from_its_first_decision_on() -> None:
    candles = market(3_000)
    arrays, moments = candles.arrays, MONDAY + MINUTE * np.arange(1_000, 3_001)
    found = hold_value([candles], MONDAY + MINUTE * 1_000, moments)
    assert found[0] == 1.0
    assert (found[1:] == arrays["close"][1_000:] / arrays["open"][1_000]).all()


def test_breakdowns_and_months_agree_with_the_figures(tmp_path: Path) -> None:
    candles = [market(60_000, 90), market(60_000, 70, seed=2, symbol="OTHERUSDT")]
    run = report_run(tmp_path, candles)
    record = read_record(run.folder)
    assert list(record.breakdowns) == ["side", "exit_reason", "symbol", "hour"]
    net = float(np.sum(run.trades["net"].to_numpy()))
    for groups in record.breakdowns.values():
        assert sum(its.n for its in groups) == record.figure("trades").value
        assert sum(its.net for its in groups) == pytest.approx(net)
        assert all((its.win_rate is None) == (its.n < 10) for its in groups)
    assert record.breakdowns["side"][0].n == record.figure("longs").value
    exits = {its.name: its.n for its in record.breakdowns["exit_reason"]}
    assert exits == {name: n for name, n in record.exits.items() if n}
    assert list(record.months) == ["2023-01", "2023-02"]
    total = np.prod([1.0 + value for value in record.months.values()]) - 1.0
    assert total == pytest.approx(record.figure("total_return").value, rel=1e-9)
    assert max(record.months.values()) == record.figure("best_month").value


def test_the_terminal_shows_a_selection_and_goes_without_what_an_old_run_lacks(
    tmp_path: Path,
) -> None:
    record = report_run(tmp_path, [market(30_000, 90)]).record
    found = {figure.key: figure for figure in record.figures}
    between = f"{shown(found['sharpe_low'])} to {shown(found['sharpe_high'])}"
    assert shown_range("sharpe", found) == between
    assert shown_range("sortino", found) == ""
    table = figures_table(record)
    assert 10 < table.row_count < 20
    assert between in [*table.columns[1].cells]
    few = [found[key] for key in ("total_return", "sharpe", "trades")]
    old = msgspec.structs.replace(record, figures=few, breakdowns={}, months={})
    table = figures_table(old)
    labels = [str(cell) for column in table.columns[::2] for cell in column.cells if cell]
    assert labels == ["total return", "Sharpe", "trades"]
    assert shown_range("sharpe", {"sharpe": found["sharpe"]}) == ""
