"""Exchange rules come from the exchange and from saved files, and never half of an answer."""

import gzip
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.dates import parse_time
from data.rest.rows import Rest
from data.rules.store import stored_rules
from data.rules.updates import import_rules, refresh_rules, update_rules
from data.symbols import RuleBook
from strategy.errors import RunRefused, WickError
from tests.data.exchange_server import ExchangeServer, serving, spot_symbol, symbol

NOW = parse_time("2026-11-28T10:00", "")
DAY_MS = 86_400_000
FAULTS: list[tuple[Any, str]] = [
    ((429, {"Retry-After": "31"}), r"429 Too Many Requests and asks for a pause of 31 s"),
    (429, r"answered 429 Too Many Requests"),
    ((418, {"Retry-After": "3600"}), r"has banned this address for another 3600 s"),
    (403, r"closed to this address \(status 403"),
    (451, r"closed to this address \(status 451"),
    (404, r"refused the question \(status 404"),
    (503, r"answered 503 Service Unavailable"),
    (500, r"answered 500 Internal Server Error"),
    ("html", r"something else than the data asked for: '<html>"),
    ("torn", r"something else than the data asked for"),
    ("list", r"something else than the data asked for"),
    ("cut", r"did not answer \(ChunkedEncodingError\)"),
]


def once(exchange: ExchangeServer, timeout_s: float = 10.0) -> Rest:
    return Rest(exchange.url, exchange.url, attempts=1, timeout_s=timeout_s)


@pytest.fixture
def exchange() -> Iterator[ExchangeServer]:
    with serving() as server:
        server.symbols = {
            "um": [symbol(f"S{i}USDT") for i in range(150)] + [symbol("BTCUSDT", "0.0001")],
            "spot": [spot_symbol("BTCUSDT")],
        }
        yield server


def test_the_exchange_is_asked_and_dated_by_our_clock(
    exchange: ExchangeServer, tmp_path: Path
) -> None:
    update = update_rules(tmp_path, once(exchange), "um", NOW)
    assert (update.seen, update.symbols, len(update.new)) == ("2026-11-28", 151, 150)
    # Symbols of the package that a whole answer does not name are not listed any more.
    assert "ETHUSDT" in update.gone
    assert update.changed == ("BTCUSDT: least notional 100 → 5, liquidation fee 0.02 → 0.0125",)
    rules = RuleBook(tmp_path, "um").rules("BTCUSDT", NOW)
    assert rules is not None
    assert (rules.step_size, rules.max_qty, rules.seen) == ("0.0001", "120", "2026-11-28")


def test_spot_has_its_own_filters_and_a_small_answer_takes_nobody_away(
    exchange: ExchangeServer, tmp_path: Path
) -> None:
    update = update_rules(tmp_path, once(exchange), "spot", NOW)
    assert update.gone == ()
    assert "fewer than 100 symbols" in update.notes[0]
    book = RuleBook(tmp_path, "spot")
    rules = book.rules("BTCUSDT")
    assert rules is not None
    assert (rules.tick_size, rules.step_size, rules.min_qty) == ("0.01", "0.0001", "0.0001")
    assert (rules.max_qty, rules.min_notional) == ("117.5", "5")
    assert book.life("ETHUSDT").status == "TRADING"
    earlier = book.rules("BTCUSDT", NOW - DAY_MS)
    assert earlier is not None
    assert earlier.seen is None


@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_what_is_no_answer_is_said_and_changes_nothing(
    exchange: ExchangeServer, tmp_path: Path, fault: Any, sentence: str
) -> None:
    exchange.faults = [fault]
    with pytest.raises(RunRefused, match=sentence) as refused:
        update_rules(tmp_path, once(exchange), "um", NOW)
    assert exchange.url in refused.value.message
    assert not (tmp_path / "rules").exists()
    assert update_rules(tmp_path, once(exchange), "um", NOW).symbols == 151


def test_silence_and_closed_doors_are_told_apart(exchange: ExchangeServer, tmp_path: Path) -> None:
    exchange.faults = ["slow"]
    with pytest.raises(RunRefused, match=r"did not answer \(ReadTimeout\)"):
        update_rules(tmp_path, once(exchange, timeout_s=0.2), "um", NOW)
    nowhere = Rest("http://127.0.0.1:9", "http://127.0.0.1:9", attempts=1)
    with pytest.raises(RunRefused, match=r"did not answer \(ConnectionError\)"):
        update_rules(tmp_path, nowhere, "um", NOW)
    assert refresh_rules(tmp_path, nowhere, "spot", NOW) is not None


def test_the_other_market_under_an_address_is_refused(
    exchange: ExchangeServer, tmp_path: Path
) -> None:
    exchange.symbols["um"] = [spot_symbol("BTCUSDT")]
    with pytest.raises(WickError, match="it lists spot, not um"):
        update_rules(tmp_path, once(exchange), "um", NOW)
    exchange.symbols["um"] = []
    with pytest.raises(WickError, match="it names no symbol"):
        update_rules(tmp_path, once(exchange), "um", NOW)


@pytest.mark.parametrize("seed", range(5))
def test_rules_come_along_once_a_day_and_their_failure_is_a_note(
    exchange: ExchangeServer, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    for day in range(3):
        exchange.faults = [dice.choice(FAULTS)[0] for _ in range(dice.randrange(4))]
        failures = len(exchange.faults)
        for _ in range(failures):
            note = refresh_rules(tmp_path, once(exchange), "um", NOW + day * DAY_MS)
            assert note is not None
            assert note.startswith(f"the exchange rules of 2026-11-{28 + day} could not be had: ")
        asked = exchange.asked
        for hours in (0, 1, 13):
            assert refresh_rules(tmp_path, once(exchange), "um", NOW + day * DAY_MS + hours) is None
        assert exchange.asked == asked + 1
    assert len(stored_rules(tmp_path, "um").listings.whole) == 3


def test_a_damaged_store_does_not_fail_a_fetch(exchange: ExchangeServer, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "um.json").write_text("{")
    note = refresh_rules(tmp_path, once(exchange), "um", NOW)
    assert note is not None
    assert "um.json is damaged" in note


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def add(i: int) -> None:
        path = tmp_path / f"{i}.json"
        answer = {"serverTime": NOW - i * DAY_MS, "symbols": [symbol(f"S{i}USDT")]}
        path.write_text(json.dumps(answer))
        import_rules(tmp_path / "store", path, None, None, NOW)

    threads = [threading.Thread(target=add, args=(i,)) for i in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    lines = stored_rules(tmp_path / "store", "um").listings.lines
    assert set(lines) == {f"S{i}USDT" for i in range(12)}


@pytest.mark.parametrize("fee", [None, "", 0.0125, "1.25 %", {}])
def test_a_fee_in_a_form_that_is_new_does_not_cost_the_rules(tmp_path: Path, fee: object) -> None:
    path = tmp_path / "saved.json"
    answer = {"serverTime": NOW, "symbols": [symbol("BTCUSDT", liquidationFee=fee)]}
    path.write_text(json.dumps(answer))
    import_rules(tmp_path, path, None, None, NOW)
    listing = RuleBook(tmp_path, "um").listings("BTCUSDT")[-1].what
    assert listing is not None
    assert (listing.liquidation_fee, listing.trigger_protect) == ("", "0.05")
    assert listing.lot.step == "0.001"


BRACKETS: list[dict[str, Any]] = [
    {"bracket": 1, "initialLeverage": 50, "notionalCap": 5000, "notionalFloor": 0,
     "maintMarginRatio": 0.0065, "cum": 0.0},
    {"bracket": 2, "initialLeverage": 20, "notionalCap": 25000, "notionalFloor": 5000,
     "maintMarginRatio": "0.01", "cum": 17.5},
]  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        [{"symbol": "BTCUSDT", "notionalCoef": 1.5, "brackets": BRACKETS}],
        {"symbol": "BTCUSDT", "brackets": BRACKETS},
        {"BTC/USDT:USDT": [{"tier": one["bracket"], "info": one} for one in BRACKETS]},
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_brackets_are_read_in_the_exchanges_form_and_in_ccxts(
    tmp_path: Path, answer: Any, packed: bool
) -> None:
    path = tmp_path / "saved"
    raw = json.dumps(answer).encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    update = import_rules(tmp_path, path, None, parse_time("2026-10-01", ""), NOW)
    assert (update.what, update.symbols) == ("leverage brackets", 1)
    assert update.changed == ("BTCUSDT: other brackets",)
    span = RuleBook(tmp_path, "um").brackets("BTCUSDT")[-1]
    assert span.what is not None
    first, second = span.what
    assert (first.leverage, first.maintenance, second.floor, second.cum) == (
        50, "0.0065", "5000", "17.5",
    )  # fmt: skip


def _named(**more: Any) -> dict[str, Any]:
    return {"serverTime": NOW, "symbols": [symbol("BTCUSDT", **more)]}


WRONG: list[tuple[Any, str]] = [
    ({"serverTime": NOW, "symbols": []}, "it names no symbol"),
    ({"a": 1}, "JSON of another kind"),
    ([1], "JSON of another kind"),
    ({}, "it names no symbol"),
    ("text", "JSON of another kind"),
    (_named(contractSize=100), "coin-margined"),
    (_named(step="much"), "'much' of BTCUSDT is no decimal number"),
    (_named(step="1e99999999"), "is no decimal number"),
    (_named(step="-1"), "is no decimal number"),
    (_named() | {"serverTime": 0}, "does not carry the time"),
    (_named() | {"serverTime": NOW + DAY_MS}, "its day would be 2026-11-29 10:00, which is still"),
    (_named() | {"serverTime": 10**17}, "its day would be 1000"),
    (_named() | {"serverTime": "now"}, "JSON of another kind"),
    (_named() | {"serverTime": 1}, "it cannot be of 1970-01-01: BTCUSDT is traded in it"),
    ({"serverTime": NOW, "symbols": [symbol("../x")]}, r"it names a symbol '\.\./x'"),
    ([{"symbol": "BTCUSDT", "brackets": BRACKETS[1:]}], "do not follow on one another"),
    ([{"symbol": "BTCUSDT", "brackets": []}], "do not follow on one another"),
]


@pytest.mark.parametrize(("answer", "sentence"), WRONG)
def test_what_cannot_be_placed_is_refused_with_the_files_name(
    tmp_path: Path, answer: Any, sentence: str
) -> None:
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(answer))
    seen = parse_time("2026-10-01", "") if isinstance(answer, list) else None
    with pytest.raises(WickError, match=sentence) as refused:
        import_rules(tmp_path / "store", path, None, seen, NOW)
    assert str(path) in refused.value.message
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "not whole JSON"),
        (b'{"symbols": [', "not whole JSON"),
        (b"\xff\xfe", "not whole JSON"),
        (gzip.compress(b"{}" * 999, mtime=0)[:-9], "gzip is damaged"),
        (b"\x1f\x8bnonsense", "gzip is damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, raw: bytes, sentence: str) -> None:
    path = tmp_path / "saved.json"
    path.write_bytes(raw)
    with pytest.raises(WickError, match=sentence):
        import_rules(tmp_path, path, None, None, NOW)


def test_a_store_that_cannot_be_written_is_a_refused_run(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(_named()))
    with pytest.raises(RunRefused, match=r"cannot be written to .*saved"):
        import_rules(path, path, None, None, NOW)


def test_an_answer_that_contradicts_another_of_its_day_says_so(tmp_path: Path) -> None:
    day = parse_time("2026-11-20", "")

    def told(step: str, at_ms: int) -> list[str]:
        path = tmp_path / "info.json"
        info = {"serverTime": at_ms, "symbols": [symbol("BTCUSDT", step)], "timezone": "UTC"}
        path.write_text(json.dumps(info))
        notes = import_rules(tmp_path / "store", path, None, at_ms, NOW).notes
        return [note for note in notes if "told otherwise" in note]

    assert told("0.001", day) == []
    assert told("0.001", day + 3_600_000) == []
    (note,) = told("0.01", day + 7_200_000)
    assert note.startswith("of that day 1 symbols had been told otherwise, first BTCUSDT: step")
    assert told("0.002", day + DAY_MS) == []
