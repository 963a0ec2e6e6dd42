"""What must hold of any run, whatever the market: conserved money, symmetry, no look-ahead."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtest.engine import Result
from strategy.errors import RunRefused
from strategy.fills import Costs
from strategy.grid import grid
from strategy.records import EXIT_REASONS
from strategy.risk import REFUSALS, Risk
from tests.backtest.late_markets import draw_late
from tests.backtest.random_markets import World, draw_funded, draw_world, run_fast
from tests.backtest.script import FREE, WIDE, Bar, run
from tests.backtest.slow_market import Rules

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "1500")) // 5
SEEDS = st.integers(0, 2**32)
WORLDS, FUNDED, LATE = (
    st.builds(draw, seed=SEEDS, length=st.integers(1, 90), symbols=st.integers(1, 3))
    for draw in (draw_world, draw_funded, draw_late)
)
examples = settings(max_examples=EXAMPLES, deadline=None)


def solvent(world: World) -> Result:
    """Run a world, or leave it if its account goes broke."""
    try:
        return run_fast(world)
    except RunRefused:
        assume(False)
        raise


@examples
@given(WORLDS | FUNDED | LATE)
def test_money_is_conserved_to_the_last_unit(world: World) -> None:
    result = solvent(world)
    trades = result.trades
    booked = int((trades["pnl"] - trades["fees"] - trades["funding"]).sum())
    # The wallet is exact; its float is the nearest one, which above 2**53 units is not all of it.
    assert np.float64(round(world.balance * 10**8) + booked) / 1e8 == result.equity[-1]


@examples
@given(WORLDS | FUNDED | LATE)
def test_records_are_consistent(world: World) -> None:
    result = solvent(world)
    trades = result.trades
    side, qty = trades["side"], trades["qty"]
    assert set(side.tolist()) <= {-1, 1}
    assert (trades["steps"] >= 1).all()
    assert (trades["entry_price"] > 0).all()
    assert (side * (trades["entry_price"] - trades["stop"]) > 0).all()
    assert (trades["fees"] >= 0).all()
    assert (trades["slippage"] >= 0).all()
    assert (trades["mae"] <= trades["mfe"]).all()
    moved = side * (trades["exit_price"] - trades["entry_price"])
    pnl = side * qty * (trades["exit_price"] - trades["entry_price"])
    whole = trades["parts"] == 0
    assert trades["pnl"][whole].tolist() == [round(float(one) * 1e8) for one in pnl[whole]]
    # Each part is rounded by itself.
    off = np.abs(trades["pnl"] - pnl * 1e8)
    assert (off <= 1 + trades["parts"] + 1e-9 * np.abs(trades["pnl"]) + 1e-4 * qty).all()
    parts = result.parts
    assert (parts["steps"] >= 1).all()
    for at, trade in enumerate(trades):
        its = parts[parts["trade"] == at]
        assert len(its) == (trade["parts"] + 1 if trade["parts"] else 0)
        if len(its):
            assert its["steps"].sum() == trade["steps"]
            assert its["pnl"].sum() == trade["pnl"]
            assert its["time"][-1] == trade["exit_time"]
    assert (moved / trades["entry_price"] >= trades["mae"]).all()
    assert (moved / trades["entry_price"] <= trades["mfe"]).all()
    assert (trades["entry_time"] <= trades["exit_time"]).all()
    assert (trades["entry_candle"] <= trades["exit_candle"]).all()
    assert set(trades["exit_reason"].tolist()) <= set(range(1, len(EXIT_REASONS)))
    stops = [EXIT_REASONS.index(why) for why in ("stop", "trailing", "break_even")]
    stopped = np.isin(trades["exit_reason"], stops) & (trades["ordered"] == 0)
    assert not trades["ambiguous"][~stopped].any()
    # A stop only ever becomes tighter.
    assert (side * (trades["last_stop"] - trades["stop"]) >= 0).all()
    assert (trades["exit_reason"] != EXIT_REASONS.index("take")).all() or world.take


@examples
@given(WORLDS | FUNDED)
def test_every_entry_signal_is_a_trade_a_refusal_or_has_a_reason_to_be_neither(
    world: World,
) -> None:
    result = solvent(world)
    for s, bars in enumerate(world.bars):
        there = [bar for bar in bars if bar is not None]
        both = sum({"long", "short"} <= set(bar.says) for bar in there)
        either = sum(("long" in bar.says) != ("short" in bar.says) for bar in there)
        entered = int((result.trades["symbol"] == s).sum())
        counts = dict(zip(REFUSALS, result.refused[s].tolist(), strict=True))
        assert counts["approved"] == 0
        assert counts["both entry rules true"] == both
        # What is missing was said while a position of that side was open, or at the last close.
        assert entered + sum(counts.values()) - both <= either
    entries = result.trades["reversal"] == 1
    closed = result.trades["exit_reason"] == EXIT_REASONS.index("reversal")
    assert entries.sum() <= closed.sum()


@examples
@given(WORLDS)
def test_no_more_positions_than_allowed_are_ever_open(world: World) -> None:
    result = solvent(world)
    risk, trades = world.risk, result.trades
    limits = ((risk.max_positions, 0), (risk.max_longs, 1), (risk.max_shorts, -1))
    assume(any(limit > 0 for limit, _ in limits))
    for time in result.time:
        # An exit at an open comes before the entries at it.
        held = (trades["entry_time"] <= time) & (time < trades["exit_time"])
        for limit, side in limits:
            assert not limit or (held & ((side == 0) | (trades["side"] == side))).sum() <= limit


@examples
@given(WORLDS)
def test_no_trade_outlives_the_time_stop(world: World) -> None:
    result = solvent(world)
    assume(world.risk.time_stop > 0)
    seen = result.trades["exit_candle"] - result.trades["entry_candle"]
    # It closes at the open behind the last close it may see.
    assert (seen <= world.risk.time_stop).all()


@examples
@given(WORLDS)
def test_after_a_loss_a_symbol_rests(world: World) -> None:
    result = solvent(world)
    rest = int(world.risk.cooldown)
    assume(rest > 0)
    for s in range(len(world.bars)):
        its = result.trades[result.trades["symbol"] == s]
        order = np.argsort(its["entry_candle"], kind="stable")
        its = its[order]
        for at, after in enumerate(its):
            for before in its[:at]:
                # A reversal is decided before the loss that it closes with is known.
                known = not after["reversal"] or before["exit_candle"] < after["entry_candle"]
                if before["pnl"] < before["fees"] and known:
                    # Decided at the earliest `rest` closes after the exit's, filled behind it.
                    assert after["entry_candle"] >= before["exit_candle"] + rest + 1


@examples
@given(WORLDS, st.integers(1, 90))
def test_a_longer_history_has_the_same_beginning(world: World, cut: int) -> None:
    whole = solvent(world)
    shorter = tuple(bars[:cut] for bars in world.bars)
    assume(any(bar is not None for bars in shorter for bar in bars))
    part = solvent(dataclasses.replace(world, bars=shorter))
    length = len(part.time)
    assert part.time.tolist() == whole.time[:length].tolist()
    # Where a symbol's data ends, what is open is closed: from there on the two differ.
    until = min(int(one.open_time[-1]) for one in part.candles if len(one))
    before = int(np.searchsorted(part.time, until))
    assert part.equity[:before].tobytes() == whole.equity[:before].tobytes()
    ended = part.trades["exit_reason"] == EXIT_REASONS.index("end")
    later = np.flatnonzero(ended | (part.trades["exit_time"] > until))
    closed = part.trades[: later[0] if len(later) else None]
    assert closed.tobytes() == whole.trades[: len(closed)].tobytes()
    if until == part.time[-1]:
        assert (part.refused <= whole.refused).all()


@examples
@given(WORLDS)
def test_where_no_limit_binds_the_order_of_symbols_does_not_matter(
    world: World,
) -> None:
    # One step a trade: the size does not depend on the wallet.
    risk = unlimited(world.risk)
    rules = tuple(Rules(one.tick, one.step, max_qty=one.step) for one in world.rules)
    world = dataclasses.replace(world, risk=risk, rules=rules, balance=9e9)
    turned = dataclasses.replace(world, bars=world.bars[::-1], rules=rules[::-1])
    ours, theirs = solvent(world), solvent(turned)
    last = len(world.bars) - 1
    for s in range(last + 1):
        mine = ours.trades[ours.trades["symbol"] == s].copy()
        mine["symbol"] = last - s
        assert mine.tobytes() == theirs.trades[theirs.trades["symbol"] == last - s].tobytes()
    assert ours.refused.tolist() == theirs.refused[::-1].tolist()


def unlimited(risk: Risk) -> Risk:
    """Keep how positions end and switch off what limits them."""
    return risk._replace(
        per_trade=1.0,
        max_leverage=125.0,
        leverage=125.0,
        max_notional=0.0,
        max_positions=0,
        max_longs=0,
        max_shorts=0,
        daily_loss_limit=0.0,
        daily_loss_flatten=0,
    )


def plain_world(seed: int, length: int, **changes: object) -> World:
    """One symbol on ticks of 1/4, so that sums and mirrored prices are exact; at most 8 coins."""
    drawn = draw_world(seed, length, 1)
    bars = tuple(bar and _on_quarters(bar) for bar in drawn.bars[0])
    rules = (Rules("0.25", "1", max_qty="8"),)
    risk = unlimited(drawn.risk)
    world = dataclasses.replace(
        drawn, bars=(bars,), rules=rules, risk=risk, costs=FREE, balance=1e9
    )
    return dataclasses.replace(world, **changes)  # type: ignore[arg-type]


TOP = 65_536.0  # mirror axis: twice a price above all others


def _on_quarters(bar: Bar) -> Bar:
    def price(x: float) -> float:
        return min(8_192.0 + round(x * 4) / 4, 57_344.0)

    def distance(x: float) -> float:
        return round(x * 4) / 4 if abs(x) < 4_096 else 1.0  # no level reaches zero

    return Bar(
        price(bar.open),
        price(bar.high),
        price(bar.low),
        price(bar.close),
        bar.says,
        distance(bar.stop),
        distance(bar.take),
    )


@examples
@given(SEEDS, st.integers(1, 90))
def test_a_mirrored_market_gives_mirrored_trades(seed: int, length: int) -> None:
    world = plain_world(seed, length)
    swap = {"long": "short", "short": "long", "exit_long": "exit_short", "exit_short": "exit_long"}

    def mirrored(bar: Bar | None) -> Bar | None:
        return bar and Bar(
            TOP - bar.open,
            TOP - bar.low,
            TOP - bar.high,
            TOP - bar.close,
            tuple(swap[word] for word in bar.says),
            bar.stop,
            bar.take,
        )

    there = solvent(world)
    back = solvent(dataclasses.replace(world, bars=(tuple(map(mirrored, world.bars[0])),)))
    assert there.refused.tolist() == back.refused.tolist()
    assert there.equity.tobytes() == back.equity.tobytes()
    same = "entry_time exit_time qty pnl exit_reason reversal ambiguous risked".split()
    for name in same:
        assert there.trades[name].tolist() == back.trades[name].tolist()
    assert there.trades["side"].tolist() == (-back.trades["side"]).tolist()
    for name in ("entry_price", "exit_price", "stop"):
        assert there.trades[name].tolist() == (TOP - back.trades[name]).tolist()


@examples
@given(WORLDS)
def test_twice_the_price_and_half_the_quantity_are_the_same_money(world: World) -> None:
    # Ticks double and steps halve with them; multiplying by two is exact in floats.
    def doubled(bar: Bar | None) -> Bar | None:
        return bar and Bar(
            2 * bar.open,
            2 * bar.high,
            2 * bar.low,
            2 * bar.close,
            bar.says,
            2 * bar.stop,
            2 * bar.take,
        )

    rules = tuple(Rules("0.25", "0.25", min_notional=one.min_notional) for one in world.rules)
    halved = tuple(Rules("0.5", "0.125", min_notional=one.min_notional) for one in world.rules)
    world = dataclasses.replace(world, rules=rules)
    bars = tuple(tuple(map(doubled, one)) for one in world.bars)
    ours = solvent(world)
    theirs = solvent(dataclasses.replace(world, rules=halved, bars=bars))
    assert ours.equity.tobytes() == theirs.equity.tobytes()
    assert ours.refused.tolist() == theirs.refused.tolist()
    for name in "entry_time exit_time pnl fees slippage risked mae mfe steps exit_reason".split():
        assert ours.trades[name].tolist() == theirs.trades[name].tolist()
    assert (ours.trades["qty"] / 2).tolist() == theirs.trades["qty"].tolist()
    assert (ours.trades["exit_price"] * 2).tolist() == theirs.trades["exit_price"].tolist()


@examples
@given(SEEDS, st.integers(1, 90), st.sampled_from([0.0001, 0.0005, 0.01]))
def test_a_fee_changes_no_trade_and_costs_exactly_itself(
    seed: int, length: int, fee: float
) -> None:
    # With one coin a trade the size does not depend on the wallet.
    world = plain_world(seed, length)
    # Whether a trade lost, and so whether its symbol rests, depends on the fee.
    world = dataclasses.replace(world, risk=world.risk._replace(cooldown=0))
    free = solvent(world)
    paid = solvent(dataclasses.replace(world, costs=Costs(fee, 0.0)))
    for name in free.trades.dtype.names or ():
        if name != "fees":
            assert free.trades[name].tolist() == paid.trades[name].tolist()
    assert (paid.trades["fees"] > 0).all()
    gone = round(float(free.equity[-1] - paid.equity[-1]) * 1e8)
    assert gone == pytest.approx(int(paid.trades["fees"].sum()), abs=64)  # 1e9 has 1e-7 of a unit
    assert (paid.equity <= free.equity).all()


@examples
@given(SEEDS, st.integers(1, 90))
def test_funding_changes_no_trade_and_costs_exactly_itself(seed: int, length: int) -> None:
    world = plain_world(seed, length)
    world = dataclasses.replace(world, risk=world.risk._replace(cooldown=0))
    free = solvent(world)
    paid = solvent(dataclasses.replace(world, instants=draw_funded(seed, length, 1).instants))
    for name in free.trades.dtype.names or ():
        if name != "funding":
            assert free.trades[name].tolist() == paid.trades[name].tolist()
    gone = round(float(free.equity[-1] - paid.equity[-1]) * 1e8)
    assert gone == pytest.approx(int(paid.trades["funding"].sum()), abs=64)


@examples
@given(FUNDED)
def test_a_rate_of_zero_is_as_no_funding_at_all(world: World) -> None:
    still = tuple(
        tuple(dataclasses.replace(one, rate=0.0) for one in each) for each in world.instants
    )
    result = solvent(dataclasses.replace(world, instants=still))
    without = run_fast(dataclasses.replace(world, instants=()))
    assert result.trades.tobytes() == without.trades.tobytes()
    assert result.equity.tobytes() == without.equity.tobytes()


@examples
@given(WORLDS)
def test_slippage_makes_every_fill_worse_by_at_most_itself_and_a_tick(world: World) -> None:
    result = solvent(dataclasses.replace(world, costs=Costs(0.0, world.costs.slippage)))
    slip = world.costs.slippage
    for trade in result.trades:
        tick = float(world.rules[trade["symbol"]].tick)
        at = [bar for bar in world.bars[trade["symbol"]] if bar is not None]
        opened = at[trade["entry_candle"]].open
        worse = trade["side"] * (trade["entry_price"] - opened)
        assert -1e-9 * opened <= worse <= slip * opened + tick * (1 + 1e-6) + 1e-9 * opened
        assert trade["slippage"] >= trade["qty"] * abs(worse) * (1 - 1e-9)


def test_interpreted_kernels_give_the_same_bytes() -> None:
    here = fingerprint()
    found = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import fingerprint; print(fingerprint())"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [here]
    assert found.stderr == ""


def fingerprint() -> str:
    """Return all results of a few small worlds as hexadecimal digits."""
    parts = []
    for seed in range(12):
        draw = draw_funded if seed % 2 else draw_world
        try:
            result = run_fast(draw(seed, 40, 1 + seed % 3))
        except RunRefused as refusal:
            parts.append(refusal.message.encode())
        else:
            parts += [one.tobytes() for one in (result.trades, result.parts)]
            parts += [result.equity.tobytes(), result.refused.tobytes()]
    return b"".join(parts).hex()


def test_results_do_not_depend_on_what_ran_before() -> None:
    first = fingerprint()
    run([Bar(1.0, 1.0, 1.0, 1.0)] * 3, grids=grid("0.1", "1"), risk=WIDE)
    assert fingerprint() == first
    assert len(np.frombuffer(bytes.fromhex(first), np.uint8)) > 10_000
