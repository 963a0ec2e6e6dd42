"""Stretches of candles to compare the two worlds on, and hands that disturb the live one."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from backtest.inputs import Asked, Inputs, gather
from data.synthetic import synthetic_market
from data.writer import save
from live.connect import connect
from live.session import read_session
from live.simulator.faults import Faults
from live.simulator.server import Simulator
from live.supervisor import Supervisor
from research.parity import Parity, check_parity
from tests.live.chain import lose

START = 1_746_835_200_000  # 2025-05-10 00:00 UTC
MINUTE = 60_000
# Many trades in little time: the blueprint with lengths and levels that speak often.
BUSY = (
    "rsi=4", "oversold=49", "overbought=51", "fast=3", "slow=6", "signal=3", "trend=4", "atr=5",
    "stop=1", "take=1.5",
)  # fmt: skip

_WRITERS = ("market-data", "signal-generator")

Meddler = Callable[[Supervisor, Simulator], "asyncio.Task[None]"]


def made_up(
    folder: Path,
    minutes: int,
    symbols: Sequence[str] = ("BTCUSDT",),
    *changes: str,
    strategy: str = "rsi_macd_atr",
    timeframe: str = "1m",
) -> Inputs:
    """Inputs over a seeded market; the blueprint's are busy ones."""
    for seed, symbol in enumerate(symbols):
        candles = synthetic_market(seed + 1, minutes, START, timeframe, symbol)
        save(folder / "store", candles, "seeded")
    busy = BUSY if strategy == "rsi_macd_atr" else ()
    asked = Asked(strategy, tuple(symbols), "um", timeframe, changes=(*busy, *changes))
    return gather(asked, folder / "store", folder / "runs")


def compared(
    inputs: Inputs,
    folder: Path,
    *,
    faults: Faults | None = None,
    programs: dict[str, Sequence[str]] | None = None,
    meddle: Meddler | None = None,
    name: str = "parity",
) -> Parity:
    """Compare both worlds in folders of a test."""
    return check_parity(
        inputs,
        folder / "sessions",
        folder / "runs",
        command=("wick", "parity"),
        now_ms=START,
        name=name,
        faults=faults,
        programs=programs,
        meddle=meddle,
    )


def forgetter(*losses: tuple[int, dict[str, int]]) -> Meddler:
    """Leave Redis' streams as one does that was killed: after an instant is decided, each of these
    streams is without so many of its newest entries.

    Whoever writes them is held still meanwhile: after the last instant a role makes sure that all
    it gave is on the disk, and is gone. Nothing can be lost later.
    """

    async def forget(supervisor: Supervisor, simulator: Simulator) -> None:
        folder = supervisor.kept["redis"].program.log.parents[1]
        for time_ms, streams in losses:
            while simulator.clock.decided < time_ms:
                await asyncio.sleep(0)
            pids = [pid for name in _WRITERS if (pid := supervisor.kept[name].pid)]
            assert len(pids) == len(_WRITERS), "the roles have ended already"
            await asyncio.shield(asyncio.ensure_future(lose_all(folder, streams, pids)))

    async def lose_all(folder: Path, streams: dict[str, int], pids: Sequence[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            bus = await connect(read_session(folder), folder)
            for stream, count in streams.items():
                await lose(bus, stream, count)
            await bus.close()
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    return lambda supervisor, simulator: asyncio.create_task(forget(supervisor, simulator))


def killer(seed: int, names: Sequence[str], first_ms: int, last_ms: int) -> Meddler:
    """Kill each of these processes once with -9, at random instants of the market's time and at
    random moments after them."""
    dice = random.Random(seed)
    moments = sorted((dice.randrange(first_ms, last_ms), name) for name in names)

    async def kill(supervisor: Supervisor, simulator: Simulator) -> None:
        for time_ms, name in moments:
            while simulator.venue.now < time_ms:
                await asyncio.sleep(0.001)
            await asyncio.sleep(dice.random() * 0.02)
            while (pid := supervisor.kept[name].pid) is None:
                await asyncio.sleep(0.01)
            os.kill(pid, signal.SIGKILL)

    return lambda supervisor, simulator: asyncio.create_task(kill(supervisor, simulator))
