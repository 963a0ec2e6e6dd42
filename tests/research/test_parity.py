"""The backtester and the live stack decide the same, whatever happens on the way."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from backtest.engine import Result, backtest
from backtest.inputs import Inputs
from live import journal
from live.journal_records import Answered, Dropped, Filled, Intent
from live.journal_records import Record as JournalRecord
from live.session import read_session
from live.simulator import lockstep
from live.simulator.faults import Drop, Faults, Lose, Refuse
from live.simulator.server import Simulator
from research.differences import Difference, compare, live_facts
from research.parity import Parity
from strategy.errors import RunRefused
from strategy.records import EXIT_REASONS
from tests.research.stretches import MINUTE, START, compared, forgetter, killer, made_up

HOURS = 60
ROLES = ("market-data", "signal-generator", "trader", "performance-tracker")


def the_backtest(inputs: Inputs) -> Result:
    return backtest(
        inputs.strategy, inputs.candles, params=inputs.params, risk=inputs.risk,
        costs=inputs.costs, balance=inputs.balance, grids=inputs.grids, funding=inputs.funding,
    )  # fmt: skip


def assert_same(found: Parity, trades: int) -> None:
    comparison = found.comparison
    assert comparison.first is None, comparison.first
    assert comparison.total == 0
    assert comparison.compared["rows"] == found.candles
    assert comparison.compared["equity"] == found.instants - 1
    assert found.trades >= trades
    assert comparison.compared["fills"] >= 2 * found.trades
    assert comparison.compared["fees"] >= found.trades  # and those of trades that are still open


def test_two_symbols_under_a_limit_of_one_position(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 5 * HOURS, ("BTCUSDT", "ETHUSDT"), "risk.max_positions=1")
    found = compared(inputs, tmp_path)
    assert_same(found, 10)
    assert found.comparison.compared["refusals"] > 0
    assert (found.run / "run.json").exists()
    assert found.restarts == 0


def test_every_process_killed_once_changes_nothing(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 5 * HOURS)
    meddle = killer(3, (*ROLES, "trader", "redis"), START + MINUTE, START + 4 * HOURS * MINUTE)
    found = compared(inputs, tmp_path, meddle=meddle)
    assert found.restarts == 6
    assert_same(found, 10)


def test_what_redis_loses_with_the_last_candle_changes_nothing(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 2 * HOURS)
    lost = {"candles:BTCUSDT:1m": 3, "signals": 3}
    found = compared(inputs, tmp_path, meddle=forgetter((START + 2 * HOURS * MINUTE, lost)))
    assert_same(found, 3)


def test_what_redis_loses_of_one_symbol_is_waited_for(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 2 * HOURS, ("BTCUSDT", "ETHUSDT"))
    eth = {"candles:ETHUSDT:1m": 3, "signals": 2}
    losses = [(START + at * MINUTE, eth | {"candles:BTCUSDT:1m": at % 2}) for at in (20, 41, 60)]
    found = compared(inputs, tmp_path, meddle=forgetter(*losses))
    assert_same(found, 3)


def test_fills_inside_a_candle_are_told_before_its_decision(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 4 * HOURS)
    trades = the_backtest(inputs).trades
    inside = [EXIT_REASONS.index(reason) for reason in ("stop", "take")]
    times = [int(one["exit_time"]) for one in trades if one["exit_reason"] in inside]
    drops = [Drop(time, "all") for time in times if time % MINUTE == 0]
    assert len(drops) >= 5
    faults = Faults(drops[:8])
    found = compared(inputs, tmp_path, faults=faults)
    assert len(faults.done) == len(faults.faults)
    assert_same(found, 8)


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("market-data", "it waits for market-data, which has not brought the one of BTCUSDT"),
        ("signal-generator", "it waits for signal-generator, which has said nothing of them"),
    ],
)
def test_who_does_not_get_on_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, words: str
) -> None:
    monkeypatch.setattr(lockstep, "PATIENCE_S", 6.0)
    with pytest.raises(RunRefused, match=words) as error:
        planted(made_up(tmp_path, 5), tmp_path, "asleep.py", role)
    assert str(tmp_path / "sessions" / "parity" / "logs") in error.value.hint


def test_dropped_sockets_and_lost_answers_change_nothing(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 4 * HOURS)
    order, algo = "POST /fapi/v1/order", "POST /fapi/v1/algoOrder"
    faults = Faults(
        [
            Drop(START + 50 * MINUTE, "market"),
            Drop(START + 90 * MINUTE, "private"),
            Drop(START + 91 * MINUTE, "all"),
            Drop(START + 120 * MINUTE, "all", "open"),
            Lose(2, request=order, executed=True),
            Lose(5, request=order, executed=False),
            Lose(3, request=algo, executed=True),
            Lose(7, request=algo, executed=False),
            Lose(2, request="DELETE /fapi/v1/algoOrder", executed=True),
            Refuse(-1008, 8, 503, "Request throttled by system-level protection.", order),
            Refuse(-1008, 12, 503, "Request throttled by system-level protection.", algo),
        ]
    )
    found = compared(inputs, tmp_path, faults=faults)
    assert len(faults.done) == len(faults.faults), "every fault must have happened"
    assert_same(found, 8)


def test_triggered_orders_under_strange_ids_are_known_for_ours(tmp_path: Path) -> None:
    async def own(simulator: Simulator) -> None:
        simulator.venue.own_child_ids = True

    inputs = made_up(tmp_path, 3 * HOURS)
    found = compared(
        inputs, tmp_path, meddle=lambda _, exchange: asyncio.create_task(own(exchange))
    )
    assert_same(found, 6)
    fills = [one for one in journal.read(found.folder) if isinstance(one, Filled)]
    assert {one.leg for one in fills} >= {"e", "s", "t"}


def test_a_stop_closer_than_the_slippage_closes_at_once_in_both_worlds(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 90, ("BTCUSDT",), "stop=0.05", "risk.daily_loss_limit=0")
    found = compared(inputs, tmp_path)
    assert_same(found, 5)
    sent = [one.leg for one in journal.read(found.folder) if isinstance(one, Intent)]
    assert sent.count("q") > 0


def test_orders_that_protect_are_compared_to_the_last_one(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 2 * HOURS)
    found = compared(inputs, tmp_path)
    session, records = read_session(found.folder), journal.read(found.folder)
    end = START + 2 * HOURS * MINUTE

    def differences(*more: JournalRecord, without: JournalRecord | None = None) -> set[str]:
        kept = [one for one in records if one is not without]
        facts = (live_facts(session, [], its, end) for its in (records, [*kept, *more]))
        comparison = compare(*facts)
        return {kind for kind, count in comparison.different.items() if count}

    def sent(leg: str) -> Intent:
        return next(r for r in records if isinstance(r, Intent) and r.leg == leg)

    def again(intent: Intent, state: Any, **changes: Any) -> list[JournalRecord]:
        intent = msgspec.structs.replace(intent, id="again", **changes)
        place: dict[str, Any] = {"id": intent.id, "symbol": intent.symbol, "time": intent.time}
        answer = Answered(n=0, state=state, exchange_id=1, code=0, text="", **place)
        return [intent, answer]

    stop, take = sent("s"), sent("t")
    assert differences() == differences(*again(stop, "accepted")) == set()
    assert differences(*again(stop, "rejected", level=1.0)) == set()
    assert differences(*again(stop, "accepted", level=1.0)) == {"orders"}
    assert differences(*again(stop, "accepted", steps=1)) == {"orders"}
    assert differences(*again(take, "accepted")) == set()
    assert differences(*again(take, "accepted", steps=take.steps + 1)) == {"orders"}
    accepted = next(r for r in records if isinstance(r, Answered) and r.id == stop.id)
    refused = msgspec.structs.replace(accepted, state="rejected")
    last = next(r for r in reversed(records) if isinstance(r, Answered) and r.id == stop.id)
    assert differences(msgspec.structs.replace(refused, n=last.n + 1)) == {"orders"}

    # A trade that is still open at the end has paid its first fee.
    entry = next(r for r in records if isinstance(r, Filled))
    exit_ = next(r for r in records if isinstance(r, Filled) and r.reason)
    upto = records[: records.index(exit_)]
    other = [
        msgspec.structs.replace(entry, fee=entry.fee + 1) if one is entry else one for one in upto
    ]
    comparison = compare(*(live_facts(session, [], its, end) for its in (upto, other)))
    assert (comparison.compared["fees"], comparison.different["fees"]) == (1, 1)


def test_a_refused_entry_is_found_as_the_first_difference(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 2 * HOURS)
    faults = Faults([Refuse(-2019, message="Margin is insufficient.")])
    found = compared(inputs, tmp_path, faults=faults)
    assert found.comparison.different["orders"] > 0
    assert found.comparison.different["rows"] == found.comparison.different["decisions"] == 0
    first = found.comparison.first
    assert first is not None
    assert first.kind == "orders"
    assert first.live is None
    dropped = [r for r in journal.read(found.folder) if isinstance(r, Dropped)]
    assert [one.reason for one in dropped] == ["Margin is insufficient."]


PLANTED = Path(__file__).parent / "planted"


def planted(inputs: Inputs, folder: Path, program: str, role: str) -> Difference:
    """Compare with a role replaced by a faulty one, and return the first difference."""
    command = (sys.executable, str(PLANTED / program), "role", role)
    first = compared(inputs, folder, programs={role: command}).comparison.first
    assert first is not None
    return first


def test_rows_shifted_by_one_candle_are_found_where_the_first_value_is(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 2 * HOURS)
    first = planted(inputs, tmp_path, "shifted_rows.py", "signal-generator")
    columns = inputs.strategy.columns(inputs.candles[0], inputs.params)
    warm = min(int((~np.isnan(column)).argmax()) for column in columns)
    assert (first.kind, first.time) == ("rows", START + (warm + 1) * MINUTE)
    assert first.live is not None
    assert np.isnan(first.live).all()


def test_a_look_into_an_unfinished_15m_candle_is_found_at_once(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 2 * HOURS)
    first = planted(inputs, tmp_path, "unfinished_15m.py", "signal-generator")
    assert (first.kind, first.time) == ("rows", START + MINUTE)
    at = inputs.strategy.rules.fields.index("close_15m")
    assert first.backtest is not None
    assert first.live is not None
    assert np.isnan(first.backtest[at])
    assert first.live[at] == inputs.candles[0].arrays["close"][0]


def test_a_lost_fill_is_found_as_the_entry_that_is_missing(tmp_path: Path) -> None:
    inputs = made_up(tmp_path, 3 * HOURS)
    first = planted(inputs, tmp_path, "lost_fill.py", "trader")
    second = the_backtest(inputs).trades[1]
    assert (first.kind, first.what, first.live) == ("orders", "entry", None)
    assert first.time == second["entry_time"]
    assert first.backtest == (int(second["side"]), int(second["steps"]), bool(second["reversal"]))
