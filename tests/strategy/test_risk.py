"""Sizes and refusals of single entries, and settings out of range."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy.errors import WickError
from strategy.grid import grid
from strategy.risk import APPROVED, NO_BALANCE, REFUSALS, Risk, checked, size

# The first call compiles.
quick = settings(deadline=None)

RISK = checked(Risk())


def sized(
    risk: Risk = RISK,
    *,
    wallet: float = 10_000.0,
    used: float = 0.0,
    close: float = 100.0,
    side: int = 1,
    stop: float = 2.0,
    rules: Any = None,
) -> tuple[int, str]:
    """Ask for one entry without take and slippage on ticks of 0.1 and steps of 0.001."""
    record = grid("0.1", "0.001") if rules is None else rules
    g: Any = record.view(np.recarray)[0]
    steps, why = size(risk, 0.0, g, wallet, used, close, side, stop, 0.0, False)
    assert (steps > 0) == (why == APPROVED)
    return int(steps), REFUSALS[why]


def test_every_refusal_has_its_own_words() -> None:
    assert len(set(REFUSALS)) == len(REFUSALS)
    assert REFUSALS[APPROVED] == "approved"


@pytest.mark.parametrize("wallet", [0.0, -1.0, math.nan])
def test_an_empty_wallet_opens_nothing(wallet: float) -> None:
    assert sized(wallet=wallet) == (0, REFUSALS[NO_BALANCE])


def test_the_room_is_what_other_positions_leave() -> None:
    # 3 × 10,000 − 29,000 = 1,000: ten coins.
    assert sized(used=29_000.0) == (10_000, "approved")
    assert sized(used=30_000.0) == (0, "leverage limit")
    assert sized(used=50_000.0) == (0, "leverage limit")


def test_room_for_less_than_the_least_order_is_a_leverage_limit() -> None:
    rules = grid("0.1", "1", min_qty="1")
    assert sized(used=29_950.0, rules=rules) == (0, "leverage limit")
    assert sized(wallet=10.0, stop=9.0, rules=rules)[1] == "leverage limit"


def test_a_risk_too_small_for_one_step_is_not_a_leverage_limit() -> None:
    assert sized(wallet=1_000.0, stop=90.0, rules=grid("0.1", "1")) == (
        0,
        "size under the symbol's minimum",
    )


@quick
@given(
    st.floats(1e-3, 1.0),
    st.floats(10.0, 1e7),
    st.floats(0.1, 1e3),
    st.floats(1.0, 1e5),
    st.sampled_from([1, -1]),
    st.floats(0.1, 20.0),
    st.sampled_from([0.0, 50.0, 5_000.0]),
)
def test_an_approved_size_keeps_all_limits(
    per_trade: float,
    wallet: float,
    stop: float,
    close: float,
    side: int,
    max_leverage: float,
    max_notional: float,
) -> None:
    risk = Risk(per_trade, max_leverage, max_notional)
    rules = grid("0.1", "0.001", "0.002", "400", "5")
    steps, why = sized(risk, wallet=wallet, stop=stop, close=close, side=side, rules=rules)
    if why != "approved":
        return
    qty = steps / 1000
    price = (math.ceil if side > 0 else math.floor)(round(close / 0.1, 6)) * 0.1
    slack = 1 + 1e-6  # a billionth of a step is forgiven
    assert 2 <= steps <= 400_000
    assert qty * stop <= per_trade * wallet * slack
    assert qty * price <= max_leverage * wallet * slack
    assert max_notional == 0.0 or qty * price <= max_notional * slack
    assert qty * price >= 5.0 / slack


@pytest.mark.parametrize("value", [0.0, -0.01, 1.01, math.nan, math.inf, "1", True, None])
def test_a_share_per_trade_out_of_range_is_refused(value: Any) -> None:
    with pytest.raises(WickError) as error:
        checked(Risk(per_trade=value))
    assert error.value.message == (
        f"risk.per_trade is {value!r}, expected a share above 0, at most 1"
    )
    assert error.value.hint == "--set risk.per_trade=0.01"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_leverage": 0.0}, "risk.max_leverage is 0.0, expected above 0, at most 125"),
        ({"leverage": 151.0}, "risk.leverage is 151.0, expected above 0, at most 150"),
        ({"max_notional": -1.0}, "risk.max_notional is -1.0, expected 0 or more"),
        ({"max_positions": -1}, "risk.max_positions is -1, expected 0 or more"),
        ({"daily_loss_limit": math.nan}, "risk.daily_loss_limit is nan, expected 0 or more"),
        ({"daily_loss_limit": 1.0}, "risk.daily_loss_limit is 1.0, expected a share below 1"),
        (
            {"max_leverage": 30.0},
            (
                "risk.leverage is 20.0, less than risk.max_leverage (30.0):"
                " margin would run out before the limit"
            ),
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(WickError) as error:
        checked(Risk()._replace(**changes))  # type: ignore[arg-type]
    assert error.value.message == message


def test_leverage_reaches_what_the_exchanges_highest_brackets_allow() -> None:
    assert checked(Risk(leverage=150.0)).leverage == 150.0


def test_checked_settings_are_plain_floats() -> None:
    found = checked(Risk(per_trade=np.float64(0.5), max_positions=3))
    assert [type(value) for value in found] == [float] * len(found)
    assert found == Risk(per_trade=0.5, max_positions=3)


def test_a_cap_below_the_least_order_is_named_as_the_cause() -> None:
    rules = grid("0.1", "0.001", min_notional="100")
    capped = checked(Risk(max_notional=60.0))
    assert sized(capped, rules=rules) == (0, "notional limit under the symbol's minimum")
    assert sized(checked(Risk(max_notional=150.0)), rules=rules) == (1_500, "approved")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"daily_loss_flatten": 1}, "there is no risk.daily_loss_limit"),
        ({"daily_loss_flatten": 2, "daily_loss_limit": 0.1}, "expected 0 or 1"),
        ({"trail": 0.05}, "risk.trail is 0.05, expected 0 or at least 0.1"),
        ({"trail_after": 1.0}, "but no stop trails"),
        ({"part_1": 1.0}, "a part needs both"),
        ({"part_2_share": 0.5}, "a part needs both"),
        ({"part_1": 0.01, "part_1_share": 0.5}, "risk.part_1 is 0.01, expected 0 or at least"),
        (
            {"part_1": 1.0, "part_1_share": 0.5, "part_2": 2.0, "part_2_share": 0.5},
            "the parts take 1 of a position",
        ),
        ({"time_stop": 1.5}, "risk.time_stop is 1.5, expected a whole number"),
        ({"cooldown": -1}, "risk.cooldown is -1, expected 0 or more"),
    ],
)
def test_exits_that_do_not_go_together_are_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(WickError, match=re.escape(said)):
        checked(Risk()._replace(**changes))  # type: ignore[arg-type]


def test_a_rule_and_a_setting_cannot_both_give_the_trailing_distance() -> None:
    with pytest.raises(WickError, match="the strategy has a rule trail_distance"):
        checked(Risk(trail=1.0), has_trail=True)
    assert checked(Risk(trail_after=1.0), has_trail=True).trail_after == 1.0
