"""The exchange's regular fees by tier."""

from itertools import pairwise

import pytest

from data.fees import REGULAR, fee_notes, rates_of, refuse_both
from strategy.errors import WickError
from strategy.fills import Costs


def test_the_lowest_tier_is_what_a_run_pays_without_asking() -> None:
    assert rates_of("vip0") == (Costs().maker_rate, Costs().fee_rate) == (0.0002, 0.0005)


def test_paying_in_bnb_takes_a_tenth_off_both_rates() -> None:
    # 0.012 % and 0.032 % less a tenth.
    assert rates_of("vip3,bnb") == (0.000108, 0.000288)
    assert fee_notes("vip3,bnb") == ["fees vip3,bnb: maker 0.0108 %, taker 0.0288 % of each fill"]
    assert fee_notes(None) == []


def test_a_higher_tier_never_costs_more() -> None:
    assert len(REGULAR) == 10
    for (maker, taker), (next_maker, next_taker) in pairwise(REGULAR):
        assert next_maker < maker and next_taker < taker
    assert rates_of("vip9") == (0.0, 0.00017)


@pytest.mark.parametrize("fees", ["vip10", "vip", "VIP0", "vip0,", "vip0,usdt", "", "0"])
def test_an_unknown_tier_is_refused(fees: str) -> None:
    with pytest.raises(WickError, match=f"--fees is {fees!r}, expected vip0 to vip9"):
        rates_of(fees)


def test_a_tier_and_a_rate_contradict_each_other() -> None:
    refuse_both(None, ["--fee-bps"])
    refuse_both("vip0", [])
    with pytest.raises(WickError, match="--fees vip0 and --fee-bps both say what a fill costs"):
        refuse_both("vip0", ["--maker-fee-bps", "--fee-bps"])
