"""The exchange's rules that ship with the package are complete and make sense."""

from decimal import Decimal

import pytest

from data.symbols import known_symbols, rules_for


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
