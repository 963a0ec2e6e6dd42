"""Real answers of the exchange are read whole, and tell what happened between them."""

import json
from pathlib import Path

import pytest

from data.dates import parse_time, show_day
from data.rules.store import stored_rules
from data.rules.updates import Update, import_rules
from data.symbols import RuleBook

NOW = parse_time("2026-11-28", "")
SEPTEMBER = parse_time("2026-09-25", "")
OLD = "raw/AlphaDogsResearch__Coinbase-Python/futures_exchange_info.json.gz"
NEW = "raw/lbwnblb__eth_usdc/data/exchange_info.json.gz"
BRACKETS = "raw/pypi__freqtrade-2026.9/binance_leverage_tiers.json.gz"


@pytest.fixture(scope="module")
def imported(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RuleBook, list[Update]]:
    """Give what two answers and a file of brackets say."""
    store = tmp_path_factory.mktemp("store")
    updates = [
        import_rules(store, shared_data / OLD, None, None, NOW),
        import_rules(store, shared_data / NEW, None, None, NOW),
        import_rules(store, shared_data / BRACKETS, None, SEPTEMBER, NOW),
    ]
    return RuleBook(store, "um"), updates


def test_every_symbol_of_the_answers_is_understood(
    imported: tuple[RuleBook, list[Update]],
) -> None:
    old, new, brackets = imported[1]
    assert (old.seen, old.symbols, old.notes) == (
        "2025-11-26",
        646,
        ("OPENUSDT: no tick or step yet, left out",),
    )
    assert (new.seen, new.symbols, len(new.new), len(new.changed)) == ("2026-03-31", 704, 58, 24)
    assert (brackets.seen, brackets.symbols) == ("2026-09-25", 907)
    assert (
        "BTCUSDT: step 0.001 → 0.0001, least quantity 0.001 → 0.0001,"
        " largest market order 1000 → 120" in new.changed
    )


@pytest.mark.parametrize(("moment", "step"), [("2025-12-24", "0.001"), ("2026-04-01", "0.0001")])
def test_btcusdt_has_its_step_of_the_day(
    imported: tuple[RuleBook, list[Update]], moment: str, step: str
) -> None:
    rules = imported[0].rules("BTCUSDT", parse_time(moment, ""))
    assert rules is not None
    assert rules.step_size == step


@pytest.mark.parametrize(
    ("symbol", "status", "listed", "ended"),
    [
        ("BTCUSDT", "TRADING", "2019-09-25", None),
        ("EOSUSDT", "SETTLING", "2019-09-25", "2025-05-21"),
        ("ALPHAUSDT", "SETTLING", "2019-09-25", "2025-12-05"),  # between the two answers
        ("BTCUSDT_251226", "DELIVERING", "2025-06-25", "2025-12-26"),
        ("BTCUSDT_260626", "TRADING", "2025-12-23", "2026-06-26"),  # its delivery was to come
        ("AIAUSDT", "TRADING", "2025-09-18", None),  # delisted and listed again in between
    ],
)
def test_listing_and_delisting_are_known(
    imported: tuple[RuleBook, list[Update]],
    symbol: str,
    status: str,
    listed: str,
    ended: str | None,
) -> None:
    life = imported[0].life(symbol)
    assert (life.status, show_day(life.listed_ms)) == (status, listed)
    assert (show_day(life.ended_ms) if life.ended_ms else None) == ended


def test_contracts_on_shares_and_metals_are_told_apart(
    imported: tuple[RuleBook, list[Update]],
) -> None:
    book = imported[0]
    newest = {name: book.listings(name)[-1].what for name in book.symbols()}
    contracts = [its.contract for its in newest.values() if its is not None]
    assert contracts.count("TRADIFI_PERPETUAL") == 20
    assert newest["XAUUSDT"] is not None
    assert newest["XAUUSDT"].contract == "TRADIFI_PERPETUAL"


def test_a_symbol_that_the_newer_answer_leaves_out_is_gone(
    imported: tuple[RuleBook, list[Update]], shared_data: Path, tmp_path: Path
) -> None:
    import gzip

    raw = json.loads(gzip.decompress((shared_data / NEW).read_bytes()))
    raw["symbols"] = [one for one in raw["symbols"] if one["symbol"] != "ETHUSDT"]
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(raw))
    for name in (shared_data / OLD, path):
        import_rules(tmp_path, name, None, None, NOW)
    # The package has an answer of that very instant with it, so only the store itself can say so.
    history = stored_rules(tmp_path, "um").listings.lines["ETHUSDT"].said
    assert [show_day(one.at_ms) for one in history] == ["2025-11-26", "2026-03-31"]
    assert history[-1].what is None


def test_the_package_says_of_its_symbols_what_the_answers_say(
    imported: tuple[RuleBook, list[Update]],
) -> None:
    packaged = RuleBook(None, "um")
    for name in packaged.symbols():
        for at_ms in (parse_time("2025-11-26", ""), parse_time("2026-03-31", "")):
            assert packaged.rules(name, at_ms) == imported[0].rules(name, at_ms)
        assert packaged.brackets_on(name) == imported[0].brackets_on(name)
        assert packaged.life(name) == imported[0].life(name)


def test_the_order_of_the_files_does_not_change_the_store(
    shared_data: Path, tmp_path: Path
) -> None:
    names = [(OLD, None), (NEW, None), (BRACKETS, SEPTEMBER)]
    for folder, order in (("a", names), ("b", names[::-1]), ("c", [*names, *names])):
        for name, seen_ms in order:
            import_rules(tmp_path / folder, shared_data / name, None, seen_ms, NOW)
    one, other, twice = ((tmp_path / its / "rules/um.json").read_bytes() for its in "abc")
    assert one == other == twice
    assert len(one) < 600_000
