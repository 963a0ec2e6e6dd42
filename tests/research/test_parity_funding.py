"""Funding in both worlds: every payment to the unit, and a wrong one found where it is."""

import dataclasses
import random
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import research.parity
from backtest.inputs import Inputs
from live import journal
from live.journal_records import Intent
from live.simulator.faults import Drop, Faults
from live.simulator.server import Simulator
from research.differences import Difference
from research.parity import Parity
from research.parity_commands import print_parity
from strategy.funding import Funding
from tests.research.stretches import MINUTE, START, compared, killer, made_up
from tests.research.test_parity import HOURS, ROLES, assert_same, the_backtest

PLANTED = Path(__file__).parent / "planted"


def drawn(seed: int, minutes: int) -> Funding:
    """Draw funding at intervals that change: many instants fall on every position."""
    draw = random.Random(seed)
    times, rates, prices, minute = [], [], [], 0
    step = draw.choice((8, 4, 1))
    while minute <= minutes:
        times.append(START + minute * MINUTE)
        rates.append(draw.choice((0.0, 0.0001, 0.0001, -0.0003, 0.00372, -0.01)))
        prices.append(np.nan if draw.random() < 0.5 else round(draw.uniform(20_000, 40_000), 2))
        step = draw.choice((8, 4, 1)) if draw.random() < 0.1 else step
        minute += step
    return Funding(np.array(times), np.array(rates), np.array(prices))


def with_funding(inputs: Inputs, minutes: int) -> Inputs:
    each = tuple(drawn(seed, minutes) for seed in range(len(inputs.candles)))
    return dataclasses.replace(inputs, funding=each)


def assert_same_funding(inputs: Inputs, found: Parity) -> None:
    """Look whether what the session kept of its trades is what the backtest says."""
    table = pq.read_table(found.run / "trades.parquet")
    result = the_backtest(inputs)
    assert table["funding"].to_numpy().tolist() == (result.trades.funding / 1e8).tolist()
    assert np.count_nonzero(result.trades.funding) > 0
    assert found.comparison.compared["funding"] > np.count_nonzero(result.trades.funding)


def test_payments_of_two_symbols_are_equal_to_the_unit(tmp_path: Path) -> None:
    names = ("BTCUSDT", "ETHUSDT")
    inputs = made_up(tmp_path, 4 * HOURS, names, "risk.cooldown=3", "risk.max_positions=1")
    inputs = with_funding(inputs, 4 * HOURS)
    found = compared(inputs, tmp_path)
    assert_same(found, 8)
    assert_same_funding(inputs, found)
    assert found.funding_instants > 100


def test_partial_takes_and_moved_stops_pay_for_what_is_left(tmp_path: Path) -> None:
    more = ("risk.part_1=0.3", "risk.part_1_share=0.4", "risk.trail=0.8")
    inputs = with_funding(made_up(tmp_path, 3 * HOURS, ("BTCUSDT",), *more), 3 * HOURS)
    found = compared(inputs, tmp_path)
    assert_same(found, 5)
    assert_same_funding(inputs, found)


def test_instants_inside_candles_come_after_orders_and_before_stops(tmp_path: Path) -> None:
    # A stop closer than the slippage has to be closed at once: the candle's funding comes first.
    text = Path("strategy/trend_ema.py").read_text()
    quarters = tmp_path / "quarters.py"
    quarters.write_text(text.replace('TIMEFRAME = "1m"', 'TIMEFRAME = "15m"'))
    inputs = made_up(
        tmp_path, 2_400, ("BTCUSDT", "ETHUSDT"), "fast=2", "slow=4", "filter=3", "atr=3",
        "stop=0.02", "risk.daily_loss_limit=0", "risk.per_trade=0.001", timeframe="15m",
        strategy=str(quarters),
    )  # fmt: skip
    found = compared(with_funding(inputs, 2_400), tmp_path)
    assert_same(found, 5)
    legs = [one.leg for one in journal.read(found.folder) if isinstance(one, Intent)]
    assert legs.count("q") > 0
    assert found.comparison.compared["funding"] > 20


def test_kills_and_lost_events_change_no_payment(tmp_path: Path) -> None:
    inputs = with_funding(made_up(tmp_path, 3 * HOURS), 3 * HOURS)
    result = the_backtest(inputs)
    entries = [int(one) for one in result.trades.entry_time]
    drops = [Drop(time + MINUTE, "private", "open") for time in entries[:6]]
    meddle = killer(5, (*ROLES, "trader"), START + MINUTE, START + 2 * HOURS * MINUTE)
    found = compared(inputs, tmp_path, faults=Faults(drops), meddle=meddle)
    assert found.restarts == 5
    assert_same(found, 5)
    assert_same_funding(inputs, found)


def payments(inputs: Inputs) -> list[int]:
    """Give the instants of a single symbol at which somebody paid or received, in order."""
    (funding,), result = inputs.funding, the_backtest(inputs)
    found = []
    for one in result.trades:
        until = one.exit_time if one.ordered else one.exit_time - 1
        held = (funding.time > one.entry_time) & (funding.time <= until) & (funding.rate != 0.0)
        found += funding.time[held].tolist()
    return found


def test_a_lost_payment_is_found_where_it_was_due(tmp_path: Path) -> None:
    inputs = with_funding(made_up(tmp_path, 2 * HOURS), 2 * HOURS)
    command = (sys.executable, str(PLANTED / "lost_payment.py"), "role", "trader")
    comparison = compared(inputs, tmp_path, programs={"trader": command}).comparison
    first = comparison.first
    assert first is not None
    assert (first.kind, first.what, first.live) == ("funding", "payment", None)
    assert first.time == payments(inputs)[2]
    different = {kind: count for kind, count in comparison.different.items() if count}
    assert different == {"funding": 2}, "the payment, and the sum of its trade"


def test_a_payment_at_a_wrong_rate_is_found_where_it_was_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = with_funding(made_up(tmp_path, 2 * HOURS), 2 * HOURS)
    time = payments(inputs)[4]

    class Wrong(Simulator):
        def __init__(self, *given: object, funding: tuple[Funding, ...], **more: object) -> None:
            (right,) = funding
            rate = np.where(right.time == time, np.nextafter(right.rate * 1.01, 1.0), right.rate)
            super().__init__(*given, funding=[right._replace(rate=rate)], **more)  # type: ignore[arg-type]

    monkeypatch.setattr(research.parity, "Simulator", Wrong)
    first = compared(inputs, tmp_path).comparison.first
    assert isinstance(first, Difference)
    assert (first.time, first.kind, first.what) == (time, "funding", "payment")
    assert first.backtest is not None
    assert first.live is not None
    (ours,), (theirs,) = first.backtest, first.live
    assert theirs == pytest.approx(float(ours) * 1.01, rel=1e-6)


def test_what_is_not_stored_is_said_to_be_not_simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(made_up(tmp_path, 40), tmp_path)
    assert (found.funding_instants, found.comparison.compared["funding"]) == (0, 0)
    print_parity(found)
    said = capsys.readouterr().out
    assert "not simulated" in said
    print_parity(dataclasses.replace(found, funding_instants=3))
    said = capsys.readouterr().out
    assert "not simulated" not in said
