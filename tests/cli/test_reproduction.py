"""A run gives its params back: the same command anywhere gives the same bits, or says why not."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from data.dates import show_time
from data.manifest import Series, Source
from data.run_json import RunRecord
from data.runs import read_record
from data.writer import save, writing
from tests.cli.conftest import OFTEN, START_MS, Command, Said, market, strategy

BLUEPRINT = "rsi_macd_atr"
TRIALS = ("--trials", "4", "--objective", "total_return")
Tuned = Callable[..., RunRecord]


@pytest.fixture
def record(command: Command) -> Tuned:
    """Give a command line that keeps a run, and the run's record."""

    def run(*arguments: str) -> RunRecord:
        said = command(*arguments, "--json")
        assert said.code == 0, said.err
        return read_record(Path("var") / "runs" / json.loads(said.out)["id"])

    return run


def minute(time_ms: int) -> str:
    return show_time(time_ms).replace(" ", "T")


CASES = {
    "one symbol": (),
    "two symbols": ("--symbols", "SYNTHUSDT,ABCUSDT"),
    "other costs and balance": ("--fee-bps", "0.37", "--slippage-bps", "2.9", "--balance", "777.7"),
    "5m candles": ("--timeframe", "5m"),
    "a span": ("--from", "2023-01-04T05:06", "--to", "2023-01-25T07:00"),
    "a split": ("--split", "2023-01-15T03:00"),
    "set by hand": ("--set", "trend=20", "--set", "risk.per_trade=0.003"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_tuned_run_is_reproduced_in_and_out_of_sample(
    stored: Path, record: Tuned, case: str
) -> None:
    store = stored / "var" / "store"
    if case == "two symbols":
        save(store, market(28 * 1440, seed=8, symbol="ABCUSDT"), "synthetic")
    if case == "5m candles":
        save(store, market(200 * 1440, timeframe="5m"), "synthetic")
    flags = CASES[case] if case == "two symbols" else ("--symbols", "SYNTHUSDT", *CASES[case])
    tuned = record("tune", BLUEPRINT, *flags, *TRIALS)
    assert tuned.tune is not None
    assert tuned.figure("trades").value

    again = record("backtest", BLUEPRINT, "--params", tuned.id)
    assert again.result_hash == tuned.result_hash
    opened = record("holdout", tuned.id)
    unseen = record("backtest", BLUEPRINT, "--params", opened.id)
    assert unseen.result_hash == opened.result_hash
    span = ("--from", minute(tuned.tune.split_ms), "--to", minute(tuned.tune.test_to_ms))
    warm = ("--warm-from", minute(tuned.data[0].first_ms))
    by_hand = record("backtest", BLUEPRINT, "--params", tuned.id, *span, *warm)
    assert by_hand.result_hash == opened.result_hash
    assert by_hand.figures == unseen.figures == opened.figures
    assert (again.params, again.risk) == (tuned.params, tuned.risk)
    assert (again.balance, again.fee_rate) == (tuned.balance, tuned.fee_rate)
    assert again.notes == tuned.notes


def test_a_sweep_from_a_hold_out_keeps_its_warm_indicators(
    stored: Path, record: Tuned, command: Command
) -> None:
    tuned = record("tune", BLUEPRINT, *TRIALS)
    opened = record("holdout", tuned.id)
    grid = ("--grid", "risk.per_trade=0.01|0.02", "--name", "swept")
    said = command("sweep", BLUEPRINT, "--params", opened.id, *grid)
    assert said.code == 0, said.err
    swept = read_record(Path("var") / "runs" / "swept")
    assert swept.data[0].warm_ms == tuned.data[0].first_ms
    assert record("backtest", BLUEPRINT, "--params", swept.id).result_hash == swept.result_hash


def test_params_from_a_file_and_by_hand_give_the_same(stored: Path, record: Tuned) -> None:
    by_hand = record("backtest", BLUEPRINT, *OFTEN, "--set", "risk.per_trade=0.02")
    values = [pair.split("=") for pair in OFTEN if "=" in pair]
    lines = ["[params]", *(f"{name} = {value}" for name, value in values)]
    (stored / "my.toml").write_text("\n".join([*lines, "[risk]", "per_trade = 0.02"]))
    from_file = record("backtest", BLUEPRINT, "--params", "my.toml")
    assert from_file.result_hash == by_hand.result_hash
    changed = record("backtest", BLUEPRINT, "--params", "my.toml", "--set", "stop=9")
    assert changed.params["stop"] == 9
    assert changed.result_hash != by_hand.result_hash


def test_the_terminal_says_whether_it_is_the_same(stored: Path, command: Command) -> None:
    first = command("backtest", BLUEPRINT, *OFTEN).run
    same = command("backtest", BLUEPRINT, "--params", first).out
    assert f"the same trades and equity as run {first}, to the last bit" in same
    other = command("backtest", BLUEPRINT, "--params", first, "--set", "stop=9").out
    assert f"another result than run {first}" in other


def notes(said: Said) -> str:
    assert said.code == 0, said.err
    return " ".join(json.loads(said.out)["notes"])


def test_a_changed_strategy_or_another_one_is_noted(stored: Path, command: Command) -> None:
    path = strategy(stored, "idea.py")
    first = command("backtest", path, *OFTEN).run
    flags = ("--params", first, "--json")
    assert "changed" not in notes(command("backtest", path, *flags))
    strategy(stored, "idea.py", ("return p.stop * x.atr", "return 1.5 * p.stop * x.atr"))
    assert f"idea has changed since run {first}" in notes(command("backtest", path, *flags))
    assert f"the params are of idea, run {first}" in notes(command("backtest", BLUEPRINT, *flags))


def test_changed_candles_are_noted(stored: Path, command: Command) -> None:
    store = stored / "var" / "store"
    first = command("backtest", BLUEPRINT, *OFTEN).run
    save(store, market(31 * 1440), "synthetic")  # more of the same changes nothing of the span
    flags = ("--params", first, "--json")
    assert "changed" not in notes(command("backtest", BLUEPRINT, *flags))
    save(store, market(1440, seed=8), "synthetic")  # another first day
    changed = f"SYNTHUSDT: the stored candles have changed since run {first}"
    assert changed in notes(command("backtest", BLUEPRINT, *flags))
    assert "changed" not in notes(command("backtest", BLUEPRINT, *flags, "--from", "2023-01-05"))


def store_funding(store: Path, rate: float) -> None:
    hours = [START_MS + k * 3_600_000 for k in range(30 * 24)]
    table = pa.table({"time": pa.array(hours), "rate": pa.array([rate] * len(hours))})
    with writing(store, Series("um", "SYNTHUSDT", "", "funding")) as writer:
        writer.add(table, Source(f"rate {rate}", "0" * 64))


def test_stored_funding_is_booked_named_and_reproduced(
    stored: Path, command: Command, record: Tuned
) -> None:
    store = stored / "var" / "store"
    command_of = "wick data fetch SYNTHUSDT --kind funding --from 2023-01-01"
    free = command("backtest", BLUEPRINT, *OFTEN)
    said = f"no funding is stored for SYNTHUSDT, none is booked: {command_of}"
    assert f"note: {said}\n" in free.out
    store_funding(store, 0.0001)
    paid = record("backtest", BLUEPRINT, *OFTEN)
    rules = "SYNTHUSDT: no exchange rules known, a fine grid is used"
    bare = (
        "SYNTHUSDT: 720 of 720 funding instants have no mark price, the last close stands in:"
        " wick data fetch SYNTHUSDT --kind mark --timeframe 1h --from 2023-01-01"
    )
    safe = "SYNTHUSDT: no leverage brackets are known, nothing is liquidated"
    assert paid.notes == [rules, safe, bare]
    its = paid.data[0].funding
    assert its is not None
    assert its.instants == 720
    assert paid.figure("funding").value != 0.0

    again = record("backtest", BLUEPRINT, "--params", paid.id)
    assert (again.result_hash, again.data, again.notes) == (
        paid.result_hash,
        paid.data,
        paid.notes,
    )
    flags = ("backtest", BLUEPRINT, "--json", "--params")
    changed = "SYNTHUSDT: the stored funding has changed since run"
    assert notes(command(*flags, free.run)) == f"{changed} {free.run} {rules} {safe} {bare}"
    store_funding(store, 0.0002)
    assert notes(command(*flags, paid.id)) == f"{changed} {paid.id} {rules} {safe} {bare}"
    other = record("backtest", BLUEPRINT, "--params", paid.id)
    assert other.result_hash != paid.result_hash
    assert "changed" not in notes(command(*flags, paid.id, "--from", "2023-01-05"))


def test_runs_of_one_second_and_one_name_are_kept_apart(stored: Path, record: Tuned) -> None:
    ids = [record("backtest", BLUEPRINT).id for _ in range(3)]
    named = [record("backtest", BLUEPRINT, "--name", "mine").id for _ in range(3)]
    assert len(set(ids)) == 3
    assert named == ["mine", "mine-2", "mine-3"]
    kept = {path.name for path in (stored / "var" / "runs").iterdir()}
    assert kept == {*ids, *named}
