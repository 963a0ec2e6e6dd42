"""Slow, obvious twins of the indicators of volume and of sessions."""

import math
from typing import Any

from strategy.timeframes import timeframe_ms, timeframe_offset_ms
from tests.strategy.naive import NAN, Values, over_runs


def typical(high: Values, low: Values, close: Values) -> list[float]:
    return [(h + l + c) / 3.0 for h, l, c in zip(high, low, close, strict=True)]  # noqa: E741


def weighted(prices: Values, volumes: Values) -> float:
    traded = math.fsum(volumes)
    if traded == 0:
        return NAN
    return math.fsum(p * v for p, v in zip(prices, volumes, strict=True)) / traded


def obv(close: Values, volume: Values) -> list[float]:
    signed = [volume[0]]
    for i in range(1, len(close)):
        now, before = close[i], close[i - 1]
        signed.append(volume[i] if now > before else -volume[i] if now < before else 0.0)
    return [math.fsum(signed[: i + 1]) for i in range(len(close))]


def mfi(high: Values, low: Values, close: Values, volume: Values, length: int) -> list[float]:
    def run(high: Values, low: Values, close: Values, volume: list[float]) -> list[float]:
        price = typical(high, low, close)
        out = [NAN] * min(length, len(price))
        for i in range(length, len(price)):
            moved = range(i - length + 1, i + 1)
            window = [j for j in moved if not math.isclose(price[j], price[j - 1], rel_tol=1e-13)]
            up = math.fsum(price[j] * volume[j] for j in window if price[j] > price[j - 1])
            down = math.fsum(price[j] * volume[j] for j in window if price[j] < price[j - 1])
            out.append(100 * up / (up + down) if up + down else 50.0)
        return out

    return over_runs(run, high, low, close, volume)


def rolling_vwap(
    high: Values, low: Values, close: Values, volume: Values, length: int
) -> list[float]:
    def run(high: Values, low: Values, close: Values, volume: list[float]) -> list[float]:
        price = typical(high, low, close)
        out = [NAN] * min(length - 1, len(price))
        for i in range(length - 1, len(price)):
            window = slice(i - length + 1, i + 1)
            out.append(weighted(price[window], volume[window]))
        return out

    return over_runs(run, high, low, close, volume)


def so_far(times: Any, session: str) -> list[list[int]]:
    """Positions of each candle's session up to it; none in one that began before the history."""
    length, offset = timeframe_ms(session), timeframe_offset_ms(session)
    number = [(int(t) - offset) // length for t in times]
    out: list[list[int]] = []
    for i in range(len(number)):
        members = [j for j in range(i + 1) if number[j] == number[i]]
        whole = members[0] > 0 or int(times[0]) == number[0] * length + offset
        out.append(members if whole else [])
    return out


def session_high(b: Any, session: str) -> list[float]:
    return [highest([b.high[j] for j in members]) for members in so_far(b.open_time, session)]


def session_low(b: Any, session: str) -> list[float]:
    return [-highest([-b.low[j] for j in members]) for members in so_far(b.open_time, session)]


def highest(values: Values) -> float:
    return NAN if not values or any(math.isnan(x) for x in values) else max(values)


def session_vwap(b: Any, session: str) -> list[float]:
    price = typical(b.high, b.low, b.close)
    return [
        weighted([price[j] for j in members], [b.volume[j] for j in members])
        for members in so_far(b.open_time, session)
    ]
