"""The exchange's rules that ship with the package are complete and make sense."""

from decimal import Decimal
from itertools import pairwise

import pytest

from data.dates import parse_time
from data.rules.notes import rule_notes
from data.symbols import DatedRules, RuleBook, SymbolRules, known_symbols, rules_for

UM = RuleBook(None, "um")


def day(text: str) -> int:
    return parse_time(text, "")


def test_the_grid_of_btcusdt_futures_is_known() -> None:
    rules = rules_for("um", "BTCUSDT")
    assert rules is not None
    assert (rules.tick_size, rules.step_size, rules.min_notional) == ("0.1", "0.0001", "100")
    assert (rules.max_qty, rules.seen) == ("120", "2026-03-31")


def test_an_unknown_symbol_has_no_rules() -> None:
    assert rules_for("um", "NOSUCHUSDT") is None
    assert rules_for("spot", "FILUSDT") is None


@pytest.mark.parametrize("market", ["um", "spot"])
def test_all_rules_are_positive_and_bounds_lie_on_the_grid(market: str) -> None:
    symbols = known_symbols(market)
    assert len(symbols) >= {"um": 30, "spot": 5}[market]
    for symbol in symbols:
        rules = rules_for(market, symbol)
        assert rules is not None
        step = Decimal(rules.step_size)
        assert min(step, Decimal(rules.tick_size), Decimal(rules.min_notional)) > 0
        assert Decimal(rules.min_qty) % step == 0 == Decimal(rules.max_qty) % step
        assert Decimal(rules.min_qty) < Decimal(rules.max_qty)


@pytest.mark.parametrize(
    ("moment", "seen", "step"),
    [
        ("2019-09-08", "2025-11-26", "0.001"),
        ("2025-11-26", "2025-11-26", "0.001"),
        ("2026-03-30T23:59", "2025-11-26", "0.001"),
        ("2026-03-31", "2026-03-31", "0.0001"),
        ("2030-01-01", "2026-03-31", "0.0001"),
    ],
)
def test_a_day_has_the_rules_that_held_on_it(moment: str, seen: str, step: str) -> None:
    rules = UM.rules("BTCUSDT", day(moment))
    assert rules is not None
    assert (rules.seen, rules.step_size) == (seen, step)


def test_brackets_of_btcusdt_follow_on_one_another_and_their_sums_agree() -> None:
    found = UM.brackets_on("BTCUSDT", day("2026-10-01"))
    assert found is not None
    brackets, seen = found
    assert seen == "2026-09-25"
    assert [one.leverage for one in brackets][:4] == [150, 100, 75, 50]
    assert [one.maintenance for one in brackets][:4] == ["0.004", "0.005", "0.0065", "0.01"]
    # The maintenance margin is continuous: cum rises by floor × the step of the rate.
    for one, following in pairwise(brackets):
        assert one.cap == following.floor
        step = Decimal(following.maintenance) - Decimal(one.maintenance)
        assert Decimal(following.cum) == Decimal(one.cum) + Decimal(following.floor) * step


def notes(
    symbol: str, first: str, end: str, *, leverage: float = 1.0, notional: float = 1.0
) -> list[str]:
    rules = UM.rules(symbol, day(first))
    assert rules is not None
    used = [
        DatedRules(0, rules, UM.margin(symbol, day(first))),
        *UM.changes(symbol, day(first), day(end)),
    ]
    return rule_notes({"um": UM}, [used], [(day(first), day(end))], leverage, notional)


def test_rules_that_held_all_through_a_run_need_no_note() -> None:
    assert notes("BTCUSDT", "2025-11-26", "2026-03-31") == []
    assert notes("BTCUSDT", "2026-03-31", "2026-06-01") == []


def test_later_rules_are_flagged_with_their_day() -> None:
    assert notes("BTCUSDT", "2025-01-01", "2025-03-01") == [
        "the exchange rules of BTCUSDT are of 2025-11-26, later than this run"
    ]
    assert notes("ETHUSDT", "2025-11-25T23:59", "2026-03-01") == [
        "the exchange rules of ETHUSDT are of 2025-11-26, later than this run begins"
    ]


def test_symbols_with_later_rules_of_one_day_share_a_note() -> None:
    names = ("BTCUSDT", "ETHUSDT")
    rules = [UM.rules(name, 1) for name in names]
    span = (day("2024-01-01"), day("2024-02-01"))
    used = [[DatedRules(0, one, None)] for one in rules if one is not None]
    assert rule_notes({"um": UM}, used, [span, span], 1.0, 1.0) == [
        "the exchange rules of BTCUSDT, ETHUSDT are of 2025-11-26, later than this run"
    ]


def test_a_change_inside_a_run_is_told_with_its_day() -> None:
    said = (
        "BTCUSDT: the exchange rules had changed by 2026-03-31, step 0.001 → 0.0001,"
        " least quantity 0.001 → 0.0001, largest market order 1000 → 120;"
    )
    assert notes("BTCUSDT", "2026-01-01", "2026-04-01") == [f"{said} taken once it is flat"]
    # At 08:43 of that day, and the run is over before.
    (note,) = notes("BTCUSDT", "2026-01-01", "2026-03-31T00:01")
    assert note == f"{said} those of 2025-11-26 are used"


def test_a_change_has_the_instant_of_the_first_answer_that_said_so() -> None:
    (change,) = UM.changes("BTCUSDT", day("2026-01-01"), day("2026-04-01"))
    assert change.at_ms == 1_774_946_629_551
    assert (change.rules.step_size, change.rules.seen) == ("0.0001", "2026-03-31")
    assert change.margin == UM.margin("BTCUSDT", day("2026-01-01"))
    # A run that begins on that day has them from its first candle on.
    assert UM.changes("BTCUSDT", day("2026-03-31"), day("2026-04-01")) == ()


def test_the_liquidation_fee_comes_with_the_brackets() -> None:
    margin = UM.margin("BTCUSDT", day("2026-10-01"))
    assert margin is not None
    assert (margin.liquidation_fee, margin.seen) == ("0.02", "2026-09-25")
    assert UM.margin("NOSUCHUSDT", day("2026-10-01")) is None


def test_a_run_that_begins_before_the_listing_says_so() -> None:
    assert notes("ARBUSDT", "2023-03-19", "2023-04-01")[-1] == (
        "ARBUSDT: the candles begin on 2023-03-19, before it was listed (2023-03-20)"
    )


def test_a_bound_that_brackets_set_to_positions_is_told() -> None:
    calm = {"first": "2026-10-01", "end": "2026-10-02"}
    assert notes("BTCUSDT", **calm, leverage=150.0, notional=299_999.0) == []
    assert notes("BTCUSDT", **calm, leverage=20.0, notional=150e6) == [
        (
            "BTCUSDT: at risk.leverage 20 positions are bounded to 100,000,000 by its brackets"
            " (of 2026-09-25)"
        )
    ]
    assert "to 1,200,000,000 by" in notes("BTCUSDT", **calm, leverage=2.0, notional=9e99)[0]
    assert notes("BTCUSDT", **calm, leverage=151.0, notional=1.0) == [
        (
            "BTCUSDT: no bracket allows risk.leverage 151, every entry is refused"
            " (brackets of 2026-09-25)"
        )
    ]


def test_a_run_of_rules_that_nobody_knows_any_more_still_has_its_own() -> None:
    own = SymbolRules("um", "OLDUSDT", "0.1", "1", "1", "10", "5", "2024-05-01")
    span = (day("2024-04-01"), day("2024-06-01"))
    assert rule_notes({"um": UM}, [[DatedRules(0, own, None)]], [span], 1.0, 1.0) == [
        "the exchange rules of OLDUSDT are of 2024-05-01, later than this run begins"
    ]
