"""wick data symbols, as a user types it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.conftest import run as typed
from tests.data.exchange_server import ExchangeServer, serving, spot_symbol, symbol


@pytest.fixture(autouse=True)
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Work in an empty folder, with an exchange on loopback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WICK_STORE", raising=False)
    with serving() as server:
        monkeypatch.setenv("WICK_REST_URL", server.url)
        monkeypatch.setenv("WICK_SPOT_REST_URL", server.url)
        server.symbols = {"um": [symbol("BTCUSDT", "0.00002")], "spot": [spot_symbol("BTCUSDT")]}
        yield server


def run(*arguments: str) -> int:
    return typed("data", "symbols", *arguments)


def test_without_a_store_the_packaged_symbols_are_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run() == 0
    said = capsys.readouterr().out
    (line,) = [one.split() for one in said.splitlines() if one.startswith("ADAUSDT ")]
    assert line == ("ADAUSDT 2025-11-26 2026-03-31 0.0001 1 5 75× 2019-09-25 TRADING".split())
    assert run("--market", "spot", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["symbol"] for one in listed] == [
        "BNBUSDT",
        "BTCUSDT",
        "ETHUSDT",
        "SOLUSDT",
        "XRPUSDT",
    ]
    assert listed[0]["versions"][0]["last_seen"] is None


def test_a_symbol_is_shown_with_its_changes_and_brackets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("btcusdt", "--market", "um") == 0
    said = capsys.readouterr().out
    assert said.startswith("BTCUSDT um: PERPETUAL, TRADING, listed 2019-09-25\n")
    assert "step 0.001 → 0.0001, least quantity 0.001 → 0.0001" in said
    assert "brackets, seen 2026-09-25" in said
    assert "300,000" in said


def test_an_update_is_told_stored_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--update") == 0
    said = capsys.readouterr().out
    assert "um: exchange rules of 1 symbol, seen " in said
    assert "spot: exchange rules of 1 symbol, seen " in said
    assert "changed: BTCUSDT: step 0.0001 → 0.00002" in said
    assert run("BTCUSDT", "--json", "--market", "um") == 0
    (btc,) = json.loads(capsys.readouterr().out)
    assert [one["listing"]["lot"][0] for one in btc["versions"]] == ["0.001", "0.0001", "0.00002"]
    assert run("--update", "--json", "--market", "um") == 0
    (update,) = json.loads(capsys.readouterr().out)
    assert (update["market"], update["changed"], update["new"]) == ("um", [], [])


def test_an_update_of_named_symbols_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--update", "BTCUSDT", "--market", "um") == 0
    said = capsys.readouterr().out
    assert "um: exchange rules of 1 symbol" in said
    assert "BTCUSDT um: PERPETUAL, TRADING" in said


def test_a_saved_answer_is_told_with_what_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "saved.json"
    path.write_text(json.dumps({"symbols": [symbol("NEWUSDT", onboardDate=1700000000000)]}))
    assert run("--import", str(path), "--seen", "2024-01-01") == 0
    assert "um: exchange rules of 1 symbol, seen 2024-01-01; 1 new" in capsys.readouterr().out
    assert run("NEWUSDT") == 0
    said = capsys.readouterr().out
    assert "NEWUSDT um: PERPETUAL, TRADING, listed 2023-11-14" in said
    assert "brackets" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (["BTCUSD"], "no exchange rules of 'BTCUSD' are known in um and spot", "mean BTCUSDT"),
        (["XYZ"], "no exchange rules of 'XYZ' are known", "--update asks the exchange"),
        (["--market", "cm"], "unknown market 'cm'", "um"),
        (["--update", "--import", "x"], "both given", "one after the other"),
        (["--seen", "2024-01-01"], "--seen is for a saved answer", "--import FILE"),
        (["--import", "no.json"], "no.json cannot be used: No such file", "name a file"),
        (["--import", "no.json", "--seen", "soon"], "--seen soon is not a date", "--seen"),
    ],
)
def test_wrong_use_is_one_sentence_and_a_hint(
    arguments: list[str], sentence: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr()
    message, _, after = said.err.partition("\nhint: ")
    assert sentence in message
    assert hint in after
    assert said.out == ""


def test_an_exchange_that_refuses_is_a_refused_run(
    exchange: ExchangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange.faults = [(429, {"Retry-After": "7"})]
    assert run("--update") == 1
    said = capsys.readouterr()
    assert "answered 429 Too Many Requests and asks for a pause of 7 s" in said.err
    assert not Path("var").exists()


def test_what_is_stored_is_told_before_the_next_market_fails(
    exchange: ExchangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange.faults = [None, "html"]
    assert run("--update") == 1
    said = capsys.readouterr()
    assert "um: exchange rules of 1 symbol, seen " in said.out
    assert "something else than the data asked for" in said.err
    assert [path.name for path in Path("var/store/rules").glob("*.json")] == ["um.json"]
