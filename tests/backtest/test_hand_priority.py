"""Who enters first where there is not room for all, by hand."""

import pytest

from strategy.errors import WickError
from strategy.fills import Costs
from strategy.options import refuse_unsupported
from strategy.risk import REFUSALS, Risk
from tests.backtest.script import NAN, WIDE, Bar, bar, run

QUIET = "100 100 100 100"


def _says(says: str, priority: float) -> list[Bar | None]:
    return [bar(QUIET, says, stop=1.0, take=priority), bar(QUIET), bar(QUIET)]


def _entered(risk: Risk, *markets: list[Bar | None], ranked: bool = True) -> list[int]:
    result = run(*markets, risk=risk, ranked=ranked, take=True)
    return sorted(result.trades["symbol"].tolist())


def test_one_place_goes_to_the_larger_priority_and_two_to_the_two_larger() -> None:
    markets = [_says("long", 2.0), _says("long", 7.0), _says("short", 5.0)]
    one = WIDE._replace(max_positions=1)
    two = WIDE._replace(max_positions=2)
    assert _entered(one, *markets, ranked=False) == [0]
    assert _entered(one, *markets) == [1]
    assert _entered(two, *markets, ranked=False) == [0, 1]
    assert _entered(two, *markets) == [1, 2]


def test_equal_priorities_enter_in_configured_order() -> None:
    markets = [_says("long", 2.0), _says("long", 5.0), _says("long", 5.0)]
    assert _entered(WIDE._replace(max_positions=1), *markets) == [1]
    assert _entered(WIDE._replace(max_positions=2), *markets) == [1, 2]


def test_a_priority_that_is_no_number_comes_last() -> None:
    # No place is left when its turn comes; first in turn it would be refused for its distance.
    markets = [_says("long", NAN), _says("long", 2.0), _says("long", 5.0)]
    result = run(*markets, risk=WIDE._replace(max_positions=2), ranked=True, take=True)
    assert sorted(result.trades["symbol"].tolist()) == [1, 2]
    assert REFUSALS[int(result.refused[0].argmax())] == "position limit"


def test_each_sides_places_go_by_priority() -> None:
    markets = [_says("long", 2.0), _says("long", 3.0), _says("short", 4.0)]
    risk = WIDE._replace(max_longs=1, max_shorts=1)
    assert _entered(risk, *markets) == [1, 2]


def test_leverage_goes_to_the_larger_priority_too() -> None:
    # 10,000 x 1 % over a stop of 1 is 100 pieces at 100: the whole wallet.
    markets = [_says("long", 2.0), _says("long", 3.0)]
    result = run(
        *markets,
        risk=Risk(per_trade=0.01, max_leverage=1.25, leverage=20.0),
        ranked=True,
        take=True,
    )
    by_symbol = {int(one.symbol): float(one.qty) for one in result.trades}
    assert by_symbol[1] == pytest.approx(100.0)
    assert by_symbol[0] == pytest.approx(25.0)


def test_live_and_parity_refuse_the_rule() -> None:
    with pytest.raises(WickError, match="does not know the rule entry_priority") as refusal:
        refuse_unsupported("wick live", "live", Risk(), Costs(), has_limit=False, has_priority=True)
    assert "--symbols" in (refusal.value.hint or "")
