"""A session is checked as far as possible before any process starts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dates import parse_time
from data.rest.listings import Listing, Lot
from data.rules.history import with_answer
from data.rules.store import MarketRules, change_rules
from data.settings import load_settings
from data.synthetic import synthetic_market
from data.writer import save
from live.folders import Hold, earlier, find, keep, listed, supervisor_of
from live.session import read_session
from live.start import Asked, Draft, draft, first_open_time, speed_of
from strategy import rsi_macd_atr
from strategy.errors import WickError
from strategy.timeframes import DAY_MS, timeframe_ms
from tests.backtest.test_real_funding import add_funding

MAY = parse_time("2025-05-01", "--from")
NOW = parse_time("2026-01-02T03:04:05", "--from")
MINUTE = 60_000
WARM_UP = 750  # of the blueprint: 50 candles of 15m


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give three days of BTCUSDT and two of ETHUSDT."""
    folder = tmp_path_factory.mktemp("store")
    save(folder, synthetic_market(7, 3 * 1440, MAY, "1m", "BTCUSDT"), "synthetic")
    save(folder, synthetic_market(8, 2 * 1440, MAY + DAY_MS, "1m", "ETHUSDT"), "synthetic")
    return folder


Drafting = Callable[..., Draft]


@pytest.fixture
def drafted(store: Path, tmp_path: Path) -> Drafting:
    """Give `draft` over that store."""
    settings = load_settings(store=store, runs=tmp_path / "runs", sessions=tmp_path / "sessions")

    def make(**asked: Any) -> Draft:
        known: dict[str, Any] = {"strategy": "rsi_macd_atr", "on": "paper", "symbols": ("BTCUSDT",)}
        command = asked.pop("command", ["live"])
        return draft(Asked(**(known | asked)), settings, NOW, command)

    return make


def refusal(make: Drafting, **asked: Any) -> WickError:
    with pytest.raises(WickError) as refused:
        make(**asked)
    return refused.value


def test_without_a_span_the_last_day_is_replayed(drafted: Drafting) -> None:
    made = drafted()
    session = made.session
    assert (session.trade_from, made.end_ms) == (MAY + 2 * DAY_MS, MAY + 3 * DAY_MS)
    assert made.warm_up == WARM_UP
    assert session.first_open_time == MAY + DAY_MS
    assert session.id == "20260102-030405-paper-rsi_macd_atr-BTCUSDT"
    assert (session.balance, session.fee_rate, session.slippage) == (10_000.0, 0.0005, 0.0001)
    assert [its.tick_size for its in session.rules] == ["0.1"]


def test_the_last_day_begins_when_the_indicators_are_warm(drafted: Drafting) -> None:
    made = drafted(end_ms=MAY + DAY_MS)
    assert made.session.trade_from == MAY + WARM_UP * MINUTE
    assert made.session.first_open_time == MAY


def test_what_was_asked_for_is_what_the_session_says(drafted: Drafting) -> None:
    made = drafted(
        symbols=("ETHUSDT", "BTCUSDT"),
        changes=("rsi=21", "risk.per_trade=0.02"),
        balance=500.0,
        fee_bps=4.0,
        slippage_bps=0.0,
        start_ms=MAY + 2 * DAY_MS,
        end_ms=MAY + 2 * DAY_MS + 60 * MINUTE,
        speed="lockstep",
        name="mine",
    )
    session = made.session
    assert session.symbols == ("ETHUSDT", "BTCUSDT")
    assert (session.params["rsi"], session.risk["per_trade"]) == (21, 0.02)
    assert (session.balance, session.fee_rate, session.slippage) == (500.0, 0.0004, 0.0)
    assert (session.id, made.speed) == ("mine", 0.0)
    assert made.end_ms == MAY + 2 * DAY_MS + 60 * MINUTE


def test_the_tag_tells_sessions_and_params_apart(drafted: Drafting) -> None:
    tags = {
        drafted(name=name, changes=changes).session.tag
        for name in ("a", "b")
        for changes in ((), ("rsi=21",))
    }
    assert len(tags) == 4
    assert all(len(tag) == 6 and set(tag) <= set("0123456789abcdef") for tag in tags)
    assert drafted(name="a").session.tag == drafted(name="a").session.tag


def test_too_little_history_names_the_first_day_with_enough(drafted: Drafting) -> None:
    error = refusal(drafted, start_ms=MAY)
    assert error.message == (
        "BTCUSDT has 0 1m candles before 2025-05-01 00:00, the indicators of rsi_macd_atr need 750"
        " before the first decision"
    )
    assert error.hint.startswith("--from 2025-05-02 or later, or wick data fetch BTCUSDT")
    assert drafted(start_ms=MAY + DAY_MS).session.first_open_time == MAY


def test_every_symbol_needs_its_history(drafted: Drafting) -> None:
    error = refusal(drafted, symbols=("BTCUSDT", "ETHUSDT"), start_ms=MAY + DAY_MS)
    assert error.message.startswith("ETHUSDT has 0 1m candles before 2025-05-02 00:00")


@pytest.mark.parametrize(
    ("asked", "sentence", "hint"),
    [
        ({"on": "live"}, "--on live is not open yet", "--on paper"),
        ({"on": "moon"}, "--on moon is unknown", "--on paper"),
        ({"speed": "fast"}, "--speed is 'fast'", "--speed 60"),
        ({"speed": "0"}, "--speed is '0'", "lockstep"),
        ({"speed": "nan"}, "--speed is 'nan'", "lockstep"),
        ({"name": "last"}, "--name 'last' cannot name a session", "not last"),
        ({"name": "../x"}, "--name '../x' cannot name a session", "letters"),
        ({"strategy": "rsi_macd"}, "there is no strategy 'rsi_macd'", "did you mean rsi_macd_atr"),
        ({"symbols": ("BTCUSD",)}, "BTCUSD um 1m is not in the store", "did you mean BTCUSDT"),
        ({"symbols": None}, "2 symbols are stored", "--symbols BTCUSDT"),
        ({"symbols": ("BTCUSDT", "BTCUSDT")}, "--symbols names BTCUSDT twice", "--symbols BTCUSDT"),
        ({"market": "cm"}, "unknown market 'cm'", "um"),
        ({"balance": 0.5}, "balance is 0.5", "--balance 10000"),
        ({"fee_bps": -1.0}, "--fee-bps is -1", "--fee-bps 5"),
        ({"changes": ("rsii=3",)}, "has no parameter 'rsii'", "did you mean rsi?"),
        ({"changes": ("risk.leverage=900",)}, "leverage", ""),
        ({"changes": ("trend=90000",)}, "have no value after 131,072 candles", "--set"),
        ({"start_ms": MAY + 3 * DAY_MS}, "where the candles end", "wick data show"),
        ({"start_ms": MAY + 2 * DAY_MS, "end_ms": MAY + DAY_MS}, "is not before --to", ""),
        ({"params": "last"}, "there is no run in", "wick backtest"),
        ({"on": "testnet", "symbols": None}, "needs to know what to trade", "--symbols BTCUSDT"),
        ({"on": "testnet", "start_ms": MAY}, "--from is for a replay", "leave it out"),
        ({"on": "testnet", "market": "spot"}, "--market spot cannot be traded", "--market um"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    drafted: Drafting, asked: dict[str, Any], sentence: str, hint: str
) -> None:
    error = refusal(drafted, **asked)
    assert sentence in error.message
    assert hint in error.hint
    assert "\n" not in error.message + error.hint


def test_a_testnet_session_starts_now_with_history_before_it(drafted: Drafting) -> None:
    session = drafted(on="testnet").session
    assert session.trade_from == NOW
    assert session.first_open_time == NOW - NOW % DAY_MS - DAY_MS
    assert session.rules == ()


def test_a_replay_takes_the_rules_of_the_day_it_starts_on(drafted: Drafting, store: Path) -> None:
    path = store / "rules" / "um.json"
    shown = [("2025-05-02", "0.01"), ("2025-05-03", "0.05")]
    lots = Lot("0.002", "0.002", "9")
    for day, tick in shown:
        at_ms, said = parse_time(day, "") + 1, {"BTCUSDT": Listing(tick, "7", lots, "TRADING")}

        def change(
            rules: MarketRules, at_ms: int = at_ms, said: dict[str, Listing] = said
        ) -> MarketRules:
            return MarketRules(with_answer(rules.listings, at_ms, said, whole=False))

        change_rules(store, "um", change)
    try:
        for day, tick in shown:
            (rules,) = drafted(start_ms=parse_time(f"{day}T13:00", "")).session.rules
            assert (rules.seen, rules.tick_size, rules.step_size) == (day, tick, "0.002")
    finally:
        path.unlink()
    (rules,) = drafted(start_ms=MAY + DAY_MS).session.rules
    assert (rules.seen, rules.step_size) == ("2025-11-26", "0.001")


@given(
    st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d", "1w"]),
    st.integers(1_600_000_000_000, 1_900_000_000_000),
    st.integers(0, 5_000),
)
def test_history_begins_early_enough_on_the_grid_and_alike_all_day(
    timeframe: str, start_ms: int, warm_up: int
) -> None:
    length = timeframe_ms(timeframe)
    first = first_open_time(timeframe, start_ms, warm_up)
    longest = max(7 * DAY_MS, length)
    assert start_ms - warm_up * length - longest < first
    assert first - first_open_time(timeframe, first, 0) in (0, first % DAY_MS)
    if length <= DAY_MS:
        assert first <= start_ms - warm_up * length
        assert first % DAY_MS == 0


@pytest.mark.parametrize(("text", "speed"), [("lockstep", 0.0), ("1", 1.0), ("2.5", 2.5)])
def test_a_speed_is_a_number_or_lockstep(text: str, speed: float) -> None:
    assert speed_of(text) == speed


def test_a_folder_is_held_by_one_supervisor(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    hold = Hold(folder)
    assert supervisor_of(folder) != 0
    with pytest.raises(WickError, match="the session mine is running already"):
        Hold(folder)
    hold.close()
    assert supervisor_of(folder) == 0
    hold.undo()
    assert not folder.exists()
    assert supervisor_of(folder) == 0


def test_a_kept_session_is_read_back_and_found(drafted: Drafting, tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    for name in ("one", "two", "twofold"):
        made = drafted(name=name)
        hold = Hold(sessions / name)
        keep(made, made.session, sessions / name)
        hold.close()
        assert read_session(sessions / name) == made.session
        strategy, _, risk = made.session.loaded(sessions / name)
        assert (strategy.name, risk.per_trade) == ("rsi_macd_atr", 0.01)
    assert [folder.name for folder in listed(sessions)] == ["one", "two", "twofold"]
    assert find(sessions, "last").name == "twofold"
    assert find(sessions, "two").name == "two"
    assert find(sessions, "fold").name == "twofold"
    with pytest.raises(WickError, match="2 sessions in"):
        find(sessions, "tw")
    with pytest.raises(WickError, match="there is no session 'three'"):
        find(sessions, "three")


def test_a_session_is_on_the_disk_before_its_name_is(
    drafted: Drafting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = drafted(name="mine"), tmp_path / "var" / "sessions" / "mine"
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename

    def synced(file: int) -> None:
        sync(file)
        its = os.fstat(file)
        known = [tmp_path, *tmp_path.rglob("*")]
        path = next(one for one in known if os.path.samestat(one.stat(), its))
        assert path.is_dir() or its.st_size > 0
        steps.append(f"sync {path.relative_to(tmp_path)}")

    def renamed(path: Path, target: Path) -> Path:
        steps.append(f"rename {path.name} {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    hold = Hold(folder)
    assert {one.split()[1] for one in steps} == {"var/sessions", "var", "."}
    steps.clear()
    keep(made, made.session, folder)
    hold.close()
    assert steps == [
        "sync var/sessions/mine/strategy/rsi_macd_atr.py",
        "sync var/sessions/mine/strategy",
        "sync var/sessions/mine/.session.json",
        "rename .session.json session.json",
        "sync var/sessions/mine",
    ]


def test_a_session_that_never_began_leaves_nothing_and_an_older_one_stays(
    drafted: Drafting, tmp_path: Path
) -> None:
    made = drafted(name="mine")
    folder = tmp_path / "sessions" / "mine"
    hold = Hold(folder)
    keep(made, made.session, folder)
    hold.undo()
    hold.close()
    assert not folder.exists()
    hold = Hold(folder)
    keep(made, made.session, folder)
    hold.close()
    hold = Hold(folder)
    hold.undo()
    hold.close()
    assert read_session(folder) == made.session


def test_a_testnet_session_goes_on_only_as_it_was(drafted: Drafting, tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / "mine"
    made = drafted(on="testnet", name="mine")
    assert earlier(made, folder) is None
    folder.mkdir(parents=True)
    keep(made, made.session, folder)
    assert earlier(drafted(on="testnet", name="mine"), folder) == made.session
    with pytest.raises(WickError, match="was started with other params"):
        earlier(drafted(on="testnet", name="mine", changes=("rsi=9",)), folder)
    with pytest.raises(WickError, match="one on paper cannot go on"):
        earlier(drafted(name="mine"), folder)


def test_the_command_is_kept_without_the_password_of_redis(drafted: Drafting) -> None:
    url = "redis://:hunter2@127.0.0.1:6399/0"
    kept = drafted(command=("live", "--redis", url, f"--redis={url}")).session.command
    assert kept == (
        "live",
        "--redis",
        "redis://127.0.0.1:6399/0",
        "--redis=redis://127.0.0.1:6399/0",
    )


def test_a_rule_for_the_trailing_distance_counts_as_a_trailing_stop(
    drafted: Drafting, tmp_path: Path
) -> None:
    path = tmp_path / "trails.py"
    rule = "\n\n@rule\ndef trail_distance(x: Row, p: Params) -> float:\n    return p.stop * x.atr\n"
    path.write_text(Path(rsi_macd_atr.__file__).read_text() + rule)
    session = drafted(strategy=str(path), changes=("risk.trail_after=1",)).session
    assert session.risk["trail_after"] == 1.0
    said = refusal(drafted, strategy=str(path), changes=("risk.trail=1",)).message
    assert said == "risk.trail is 1.0, but the strategy has a rule trail_distance"
    said = refusal(drafted, changes=("risk.trail_after=1",)).message
    assert said == "risk.trail_after is 1.0, but no stop trails"


def test_a_replay_says_what_funding_is_missing(drafted: Drafting, store: Path) -> None:
    (note,) = drafted().notes
    assert note.startswith("no funding is stored for BTCUSDT, none is booked")
    rows = [(MAY + hour * 3_600_000, 0.0001) for hour in range(0, 96, 8)]
    add_funding(store, "ETHUSDT", rows)
    (note,) = drafted(symbols=("ETHUSDT",)).notes
    assert note.startswith("ETHUSDT: 3 of 3 funding instants have no mark price")
    marks, none = drafted(symbols=("ETHUSDT", "BTCUSDT")).notes
    assert marks == note
    assert none.startswith("no funding is stored for BTCUSDT, none is booked")
    assert drafted(on="testnet").notes == ()
