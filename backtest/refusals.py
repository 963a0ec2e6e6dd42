"""Runs that could not say anything: refused, with what to change."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtest.engine import Result
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.load import Strategy
from strategy.risk import DISTANCE, LEVEL, LIMIT_DISTANCE, REFUSALS
from strategy.warmup import first_warm, warm_up

MOST_WARM_UP = 1 << 17


def refuse_cold(strategy: Strategy, params: Any, candles: Sequence[Candles]) -> None:
    """Refuse candles on which no rule can hold, since an indicator has no value on any of them.

    Raises
    ------
    WickError
        It is so for every symbol: there are fewer candles than the indicators need.
    """
    for one in candles:
        columns = strategy.columns(one, params)
        if first_warm(columns) < len(one.arrays["open_time"]):
            return
    longest = max(candles, key=lambda one: len(one.arrays["open_time"]))
    count, needed = len(longest.arrays["open_time"]), warm_up(strategy, params, MOST_WARM_UP)
    if count < needed < MOST_WARM_UP:
        raise WickError(
            f"{count:,} {longest.timeframe} candles of {longest.symbol} are too few:"
            f" the indicators of {strategy.name} need {needed:,} before the first decision",
            "take a longer span with --from and --to, or shorter lengths with --set",
        )
    pairs = zip(strategy.rules.fields, columns, strict=True)
    never = next((name for name, values in pairs if np.isnan(values).all()), "")
    raise WickError(
        f"Row.{never} of {strategy.name} has no value on any of {count:,} {longest.timeframe}"
        " candles, so no rule can hold",
        f"shorten its length, or look at how {strategy.path} computes it",
    )


def refuse_without_distance(result: Result) -> None:
    """Refuse a result in which every entry failed on its stop, take or limit distance.

    Raises
    ------
    RunRefused
        The distances are zero, under a tick, no number, or larger than the price.
    """
    total = int(result.refused.sum())
    reasons = (DISTANCE, LEVEL, LIMIT_DISTANCE)
    wrong = [int(result.refused[:, why].sum()) for why in reasons]
    if total and total == sum(wrong) and not len(result.trades):
        most = reasons[wrong.index(max(wrong))]
        rules = "rules stop_distance and take_distance"
        rules = "rule limit_distance" if most == LIMIT_DISTANCE else rules
        raise RunRefused(
            f"every one of {total:,} entries was refused: {REFUSALS[most]}",
            f"look at the {rules} and the params they use",
        )
