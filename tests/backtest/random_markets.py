"""Worlds drawn from a seed: candles with gaps and jumps, words, grids, limits and costs."""

import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from string import ascii_uppercase
from typing import Any

import numpy as np
import pytest

from backtest.engine import Result, backtest
from strategy.candles import Candles
from strategy.errors import RunRefused
from strategy.fills import Costs
from strategy.funding import Funding
from strategy.grid import grid
from strategy.indicators import atr
from strategy.records import EXIT_REASONS
from strategy.risk import REFUSALS, Risk
from strategy.slippage import Spread
from strategy.timeframes import DAY_MS, timeframe_ms
from tests.backtest.script import MONDAY, NAN, Bar, candles_of, scripted, volume_of
from tests.backtest.slow_engine import SlowEngine
from tests.backtest.slow_market import Candle, FinerCandle, Instant, Market, Rules, Said

_TICKS = ("0.00000001", "0.0001", "0.01", "0.1", "0.5", "0.25", "5")
_STEPS = ("0.00000001", "0.001", "0.1", "1", "0.025")


@dataclass(frozen=True, slots=True)
class World:
    """All that a run is made of, in a form both engines can be given."""

    bars: tuple[tuple[Bar | None, ...], ...]
    rules: tuple[Rules, ...]
    risk: Risk
    costs: Costs
    balance: float
    timeframe: str
    start: int
    take: bool
    trail: bool  # a rule gives the trailing stop's distance; such a strategy has a take rule
    instants: tuple[tuple[Instant, ...], ...] = ()  # of funding, by symbol; empty for none at all
    finer: tuple[tuple[FinerCandle, ...], ...] = ()  # by symbol; empty for none at all
    finer_timeframe: str = ""
    spreads: tuple[tuple[tuple[int, float], ...], ...] = ()  # known from and half, by symbol
    limit: float | None = None  # entries rest so many stop distances from the close
    ranked: bool = False  # a rule gives the take's distance as the entries' priority

    @property
    def funding(self) -> list[Funding | None]:
        """The instants as the engine takes them."""
        return [funding_of_instants(each) if each else None for each in self.instants]

    @property
    def detail(self) -> list[Candles | None] | None:
        """The finer candles as the engine takes them."""
        return [
            finer_candles(each, self.finer_timeframe, letter * 3) if each else None
            for letter, each in zip("ABC", self.finer, strict=False)
        ] or None

    @property
    def candles(self) -> list[Candles]:
        """The bars as Candles named AAA, BBB, CCC and so on."""
        return [
            candles_of(bars, start=self.start, timeframe=self.timeframe, symbol=letter * 3)
            for letter, bars in zip(ascii_uppercase, self.bars, strict=False)
        ]


def draw_world(seed: int, length: int, symbols: int) -> World:
    """Draw a world; the same arguments give the same one."""
    rng = random.Random(seed)
    timeframe = rng.choice(["1m", "1m", "4h", "12h", "1d"])
    # Midnight falls inside the history in every case.
    start = MONDAY - rng.randrange(0, length + 1) * timeframe_ms(timeframe)
    take = rng.random() < 0.8
    trail = take and rng.random() < 0.15
    rules, bars = [], []
    for _ in range(symbols):
        one = Rules(
            tick=rng.choice(_TICKS),
            step=rng.choice(_STEPS),
            min_qty=rng.choice(["0", "0", "0.1", "0.0015", "3"]),
            max_qty=rng.choice(["0", "0", "50", "0.4"]),
            min_notional=rng.choice(["0", "0", "5", "100"]),
        )
        rules.append(one)
        bars.append(_bars(rng, one, length))
    if all(bar is None for some in bars for bar in some):
        bars[0] = (Bar(10.0, 10.0, 10.0, 10.0), *bars[0][1:])
    return World(
        bars=tuple(bars),
        rules=tuple(rules),
        risk=draw_risk(rng, has_trail=trail),
        costs=Costs(rng.choice([0.0, 0.0005, 0.01]), rng.choice([0.0, 0.0001, 0.02])),
        balance=rng.choice([100.0, 10_000.0, 1_234_567.89]),
        timeframe=timeframe,
        start=start,
        take=take,
        trail=trail,
    )


def draw_funded(seed: int, length: int, symbols: int) -> World:
    """Draw a world whose positions pay funding; but for that it is the one of `draw_world`."""
    world, rng = draw_world(seed, length, symbols), random.Random(seed)
    end = world.start + length * timeframe_ms(world.timeframe)
    instants = (_instants(rng, some, world.start, end) for some in world.bars)
    return dataclasses.replace(world, instants=tuple(instants))


def draw_portfolio(seed: int, length: int, symbols: int) -> World:
    """Draw a world of many symbols that begin and end at different times; it pays funding."""
    world, rng = draw_funded(seed, length, symbols), random.Random(seed + 1)
    bars = []
    for some in world.bars:
        first, last = sorted(rng.randrange(length + 1) for _ in range(2))
        if rng.random() < 0.5:
            first, last = 0, length
        bars.append(tuple(bar if first <= at < last else None for at, bar in enumerate(some)))
    if all(bar is None for some in bars for bar in some):
        bars[0] = (Bar(10.0, 10.0, 10.0, 10.0), *bars[0][1:])
    return dataclasses.replace(world, bars=tuple(bars))


def draw_slipping(seed: int, length: int, symbols: int) -> World:
    """Draw a world whose market orders lose by spread and range; but for that it is the one of
    `draw_funded`."""
    world, rng = draw_funded(seed, length, symbols), random.Random(seed)
    costs = world.costs._replace(
        spread=rng.choice([0.0, 0.5, 1.0, 30.0]), atr=rng.choice([0.0, 0.1, 0.1, 5.0])
    )
    step = timeframe_ms(world.timeframe)
    spreads = []
    for _ in world.bars:
        begin = rng.choice([0, 0, length // 2, length + 9])
        times = [world.start + step * at + rng.choice([0, 0, 1, step // 2]) for at in range(length)]
        there = [time for time in times[begin:] if rng.random() < 0.5]
        spreads.append(tuple((time, rng.choice([0.0, 1e-5, 1e-3, 0.05])) for time in there))
    return dataclasses.replace(world, costs=costs, spreads=tuple(spreads))


def draw_limited(seed: int, length: int, symbols: int) -> World:
    """Draw a world whose entries rest as limit orders; but for that it is the one of
    `draw_slipping`."""
    world, rng = draw_slipping(seed, length, symbols), random.Random(seed)
    tif = rng.choice([0, 0, 0, 3, 1, 2])
    wait = rng.choice([0, 1, 2, 5]) if tif in (0, 3) else 0
    risk = world.risk._replace(limit_wait=wait, limit_tif=tif, trail=0.0, trail_after=0.0)
    costs = world.costs._replace(
        maker_rate=rng.choice([0.0, 0.0002]), limit_through=rng.choice([0, 1])
    )
    limit = rng.choice([0.0, 0.1, 0.5, 0.5, 1.0, 3.0, 30.0, -0.1])
    return dataclasses.replace(world, risk=risk, costs=costs, limit=limit, take=True, trail=False)


def draw_ranked(seed: int, length: int, symbols: int) -> World:
    """Draw a portfolio with few places, which go to entries by their priority."""
    world, rng = draw_portfolio(seed, length, symbols), random.Random(seed + 2)
    risk = world.risk._replace(
        max_positions=rng.choice([0, 1, 2, 4]),
        max_longs=rng.choice([0, 0, 1, 3]),
        max_shorts=rng.choice([0, 0, 1, 3]),
        max_leverage=rng.choice([1.0, world.risk.max_leverage]),
        trail=0.0,
        trail_after=0.0,
    )
    return dataclasses.replace(world, risk=risk, take=True, trail=False, ranked=True)


def draw_impacted(seed: int, length: int, symbols: int) -> World:
    """Draw a world whose market orders move the price, with entries that rest or do not; but for
    that it is one of `draw_slipping` or `draw_limited`."""
    rng = random.Random(seed)
    world = rng.choice([draw_slipping, draw_limited])(seed, length, symbols)
    costs = world.costs._replace(
        impact=10 ** rng.uniform(-8.0, 1.0), intrabar=rng.choice([0, 0, 1])
    )
    return dataclasses.replace(world, costs=costs)


def _instants(
    rng: random.Random, bars: tuple[Bar | None, ...], start: int, end: int
) -> tuple[Instant, ...]:
    # The interval changes on the way, as the exchange's does from 8 hours to 4 to 1; a span of
    # minutes sees any only if they come faster.
    hours = (8, 4, 1) if end - start > DAY_MS else (1, 1 / 12, 1 / 30, 1 / 60)
    prices = [bar.close for bar in bars if bar is not None] or [1.0]
    known, step = rng.choice([0.0, 0.5, 1.0]), 3_600_000
    sizes = rng.choice([[0.0001], [0.0, 0.0001, 0.0075, 0.02], [0.02, 0.3]])
    out: list[Instant] = []
    time = (start // step - rng.randrange(10)) * step
    while time <= end + DAY_MS and len(out) < 300:
        rate = rng.choice([-1, 1]) * rng.choice(sizes)
        price = rng.choice(prices) * rng.choice([1.0, 0.999, 1.01])
        out.append(Instant(time, rate, price if rng.random() < known else NAN))
        if rng.random() < 0.2:
            step = round(rng.choice(hours) * 3_600_000)
        time += step
    return tuple(out) if rng.random() < 0.9 else ()


def finer_candles(each: Sequence[FinerCandle], timeframe: str, symbol: str) -> Candles:
    """Give finer candles as arrays."""
    names = ("open", "high", "low", "close", "volume")
    columns: dict[str, Any] = {
        name: np.array([getattr(one, name) for one in each], np.float64) for name in names
    }
    return Candles.from_arrays(
        symbol=symbol,
        market="um",
        timeframe=timeframe,
        open_time=np.array([one.time for one in each], np.int64),
        **columns,
    )


def funding_of_instants(instants: Sequence[Instant]) -> Funding:
    """Give instants as arrays."""
    return Funding(
        np.array([one.time for one in instants], np.int64),
        np.array([one.rate for one in instants], np.float64),
        np.array([one.price for one in instants], np.float64),
    )


def without_parts(world: World) -> World:
    """Take away the partial take-profits, for a trader that does not place them."""
    risk = world.risk._replace(part_1=0.0, part_1_share=0.0, part_2=0.0, part_2_share=0.0)
    return dataclasses.replace(world, risk=risk)


def draw_risk(rng: random.Random, *, has_trail: bool = False) -> Risk:
    """Draw sizing, limits and exits, each switched off at times."""
    max_leverage = rng.choice([0.1, 1.0, 3.0, 20.0, 125.0])
    limit = rng.choice([0.0, 0.0, 0.001, 0.01, 0.2])
    trail = 0.0 if has_trail else rng.choice([0.0, 0.0, 0.1, 0.5, 1.0, 3.0])
    part_1, part_2 = (rng.choice([0.0, 0.0, 0.3, 1.0, 2.0]) for _ in range(2))
    return Risk(
        per_trade=rng.choice([0.001, 0.01, 0.1, 1.0]),
        max_leverage=max_leverage,
        max_notional=rng.choice([0.0, 0.0, 50.0, 20_000.0]),
        leverage=max(max_leverage, rng.choice([1.0, 20.0, 125.0])),
        max_positions=rng.choice([0, 0, 1, 2]),
        max_longs=rng.choice([0, 0, 0, 1, 2]),
        max_shorts=rng.choice([0, 0, 0, 1, 2]),
        daily_loss_limit=limit,
        daily_loss_flatten=rng.choice([0, 1]) if limit else 0,
        trail=trail,
        trail_after=rng.choice([0.0, 0.5, 2.0]) if trail or has_trail else 0.0,
        break_even=rng.choice([0.0, 0.0, 0.2, 1.0]),
        time_stop=rng.choice([0, 0, 0, 1, 2, 7]),
        cooldown=rng.choice([0, 0, 1, 2, 10]),
        part_1=part_1,
        part_1_share=rng.choice([0.1, 0.5]) if part_1 else 0.0,
        part_2=part_2,
        part_2_share=rng.choice([0.25, 1 / 3]) if part_2 else 0.0,
    )


def _bars(rng: random.Random, rules: Rules, length: int) -> tuple[Bar | None, ...]:
    tick = Fraction(rules.tick)
    # Prices of an older, finer grid are common in long histories.
    grain = rng.choice([1, 1, 1, 7])
    # From a few ticks to a price of 100,000.
    most = max(1.0, math.log10(1e5 / tick))
    at = int(grain * 10 ** rng.uniform(0.3, rng.choice([1.5, most, most]))) + 1
    missing = rng.choice([0.0, 0.0, 0.2, 0.7])
    jumpy = rng.choice([0.0, 0.3, 1.0])
    width = rng.choice([0.0, 0.001, 0.02, 0.2])
    often = [rng.choice([0.0, 0.03, 0.1, 0.3, 0.7]) for _ in range(4)]
    out: list[Bar | None] = []
    for _ in range(length):
        if rng.random() < jumpy:
            at = _move(rng, at, width)
        o, c = at, _move(rng, at, width)
        high = max(o, c, _move(rng, max(o, c), width / 2))
        low = min(o, c, _move(rng, min(o, c), width / 2))
        at = c
        words = ("long", "short", "exit_long", "exit_short")
        says = tuple(word for word, share in zip(words, often, strict=True) if rng.random() < share)
        first, most, least, last = (float(x * tick / grain) for x in (o, high, low, c))
        stop, take = (_distance(rng, last, float(tick), width) for _ in range(2))
        bar = Bar(first, most, least, last, says, stop, take)
        out.append(None if rng.random() < missing else bar)
    return tuple(out)


def _move(rng: random.Random, at: int, width: float) -> int:
    return max(1, round(at * math.exp(rng.gauss(0.0, width))) + rng.randint(-1, 1))


def _distance(rng: random.Random, price: float, tick: float, width: float) -> float:
    odd = rng.choice([NAN, 0.0, tick / 2, -tick, price, price * 1.5, math.inf])
    if rng.random() < 0.1:
        return odd
    near = max(tick, price * width * rng.random())
    return rng.choice([tick, 2.5 * tick, near, near, near, price * max(width, 0.01) * 2])


def run_fast(world: World) -> Result:
    """Run the engine of the product over a world."""
    records = [
        grid(one.tick, one.step, one.min_qty, one.max_qty, one.min_notional) for one in world.rules
    ]
    return backtest(
        scripted(
            world.timeframe,
            take=world.take,
            trail=world.trail,
            limit=world.limit,
            ranked=world.ranked,
        ),
        world.candles,
        risk=world.risk,
        costs=world.costs,
        balance=world.balance,
        grids=np.concatenate(records).view(np.recarray),
        funding=world.funding or None,
        detail=world.detail,
        spreads=[spread_of(each) for each in world.spreads] or None,
    )


def spread_of(known: Sequence[tuple[int, float]]) -> Spread | None:
    """Give half spreads as arrays, None for none."""
    times, halves = ([one[at] for one in known] for at in range(2))
    return Spread(np.array(times, np.int64), np.array(halves)) if known else None


def run_slow(world: World) -> SlowEngine:
    """Run the slow engine over a world."""
    length = timeframe_ms(world.timeframe)
    return SlowEngine(markets_of(world), world.risk, world.costs, world.balance, length).run()


def markets_of(world: World) -> list[Market]:
    """Give a world's symbols as the slow engine takes them."""
    markets = []
    for at, (bars, rules) in enumerate(zip(world.bars, world.rules, strict=True)):
        length = timeframe_ms(world.timeframe)
        there = [
            Candle(
                world.start + position * length,
                *(bar.open, bar.high, bar.low, bar.close),
                said_of(bar, world.take, world.trail, world.limit, ranked=world.ranked),
                volume_of(bar),
            )
            for position, bar in enumerate(bars)
            if bar is not None
        ]
        instants = list(world.instants[at]) if world.instants else []
        finer = list(world.finer[at]) if world.finer else []
        finer_ms = timeframe_ms(world.finer_timeframe) if finer else 0
        market = Market(at, rules, there, instants, finer, finer_ms)
        market.spreads = list(world.spreads[at]) if world.spreads else []
        if world.costs.atr:
            c = world.candles[at]
            market.ranges = atr(c.high, c.low, c.close, 14).values.tolist()
        markets.append(market)
    return markets


def said_of(
    bar: Bar,
    take: bool,
    trail: bool = False,
    limit: float | None = None,
    *,
    ranked: bool = False,
) -> Said:
    """Read a bar's words."""
    return Said(
        long="long" in bar.says,
        short="short" in bar.says,
        exit_long="exit_long" in bar.says,
        exit_short="exit_short" in bar.says,
        stop=bar.stop,
        take=bar.take if take else None,
        trail=bar.stop if trail else None,
        limit=None if limit is None else limit * bar.stop,
        priority=bar.take if ranked else 0.0,
    )


def assert_agree(fast: Callable[[], Result], slow: SlowEngine) -> None:
    """Compare everything two engines gave; where one goes broke the other has to."""
    if slow.broke is None:
        assert_equal(fast(), slow)
        return
    with pytest.raises(RunRefused):
        fast()


def assert_equal(fast: Result, slow: SlowEngine) -> None:
    """Compare everything two engines gave, bit for bit."""
    assert len(fast.trades) == len(slow.trades)
    parts = [(*part,) for part in fast.parts.tolist()]
    assert parts == [dataclasses.astuple(part) for part in slow.parts]
    for ours, theirs in zip(fast.trades, slow.trades, strict=True):
        for name in fast.trades.dtype.names or ():
            want: Any = getattr(theirs, name)
            if name == "exit_reason":
                want = EXIT_REASONS.index(want)
            assert ours[name] == want, (name, ours[name], want, theirs)
    equity = np.array([value for _, value in slow.marks])
    assert fast.equity.tobytes() == equity.tobytes()
    closes = [int(time) + fast.candles[0].timeframe_ms for time in fast.time]
    assert closes == [time for time, _ in slow.marks]
    assert refusals_of(fast) == slow.refused
    walked = slow.walked
    assert fast.finer.sum(axis=0).tolist() == [walked.walked, walked.wanting, walked.resolved]


def refusals_of(result: Result) -> dict[tuple[int, str], int]:
    """Return the counts above zero by symbol and reason."""
    return {
        (int(s), REFUSALS[why]): int(result.refused[s, why])
        for s, why in zip(*np.nonzero(result.refused), strict=True)
    }
