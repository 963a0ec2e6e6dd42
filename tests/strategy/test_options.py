"""The table of options: complete, and obeyed where an option is not understood."""

import pytest

from strategy.errors import WickError
from strategy.fills import Costs
from strategy.options import OPTIONS, in_use, refuse_unsupported
from strategy.risk import Risk

RULES = ("rule.limit_distance", "rule.entry_priority")


def test_every_field_of_risk_and_costs_has_one_row() -> None:
    fields = [f"risk.{name}" for name in Risk._fields] + [f"costs.{name}" for name in Costs._fields]
    assert sorted(one.name for one in OPTIONS) == sorted([*fields, *RULES])


def test_what_is_neutral_is_not_in_use() -> None:
    assert in_use(Risk(), Costs()) == ()
    names = [one.name for one in in_use(Risk(trail=2.0), Costs(latency_ms=50.0))]
    assert names == ["risk.trail", "costs.latency_ms"]


def test_a_place_refuses_what_it_does_not_understand() -> None:
    known = Risk(trail=2.0), Costs(fee_rate=0.001)
    refuse_unsupported("wick live", "live", *known, has_limit=False)
    with pytest.raises(WickError, match="does not know the rule limit_distance, only backtests"):
        refuse_unsupported("wick live", "live", *known, has_limit=True)
    with pytest.raises(WickError, match=r"does not know costs.latency_ms, only backtests do"):
        refuse_unsupported("wick live", "live", Risk(), Costs(latency_ms=50.0), has_limit=False)
