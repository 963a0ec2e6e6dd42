"""wick parity: one stretch of time through the backtester and through the live stack, compared.

The live side is the real one: the simulated exchange on a socket, market_data, signal_generator,
trader and performance_tracker as processes, a real Redis between them. It runs in lockstep
(live.clock), so that nothing depends on how fast this machine is.
"""

import asyncio
import dataclasses
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from redis.exceptions import RedisError

from backtest.inputs import Inputs, run
from data import runs
from live import journal, redis_server
from live.bus import Bus
from live.connect import connect
from live.folders import Hold, keep
from live.journal_records import Filled, Record
from live.records import CANDLES, SIGNALS, Batch
from live.running import WICK
from live.session import Addresses, Session
from live.simulator.faults import Faults
from live.simulator.lockstep import Stalled
from live.simulator.server import Simulator
from live.start import Draft, tag_of
from live.supervisor import Pace, Program, Supervisor
from research.differences import (
    Comparison,
    backtest_facts,
    compare,
    live_facts,
    refusal_facts,
)
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from strategy.options import refuse_unsupported
from strategy.timeframes import timeframe_ms

ROLES = ("market-data", "signal-generator", "trader", "performance-tracker")
_END_S = 600.0  # writing the run of a long stretch takes its time
_PACE = Pace(first_s=0.05, most_s=0.5, deaths=50, within_s=30.0)


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison gave.

    Attributes
    ----------
    comparison : Comparison
    candles : int
        Played, over all symbols.
    instants : int
        Decided.
    trades : int
        Closed on the live side.
    funding_instants : int
        Of the symbols' funding within the candles; 0 where none is stored.
    lockstep_s : float
        Wall time of the lockstep alone.
    restarts : int
        Processes that died and were started again.
    folder : Path
        Of the session.
    run : Path
        Of the run that the live side wrote.
    """

    comparison: Comparison
    candles: int
    instants: int
    trades: int
    funding_instants: int
    lockstep_s: float
    restarts: int
    folder: Path
    run: Path


def check_parity(
    inputs: Inputs,
    sessions: Path,
    runs_folder: Path,
    *,
    command: Sequence[str],
    now_ms: int,
    name: str | None = None,
    faults: Faults | None = None,
    programs: Mapping[str, Sequence[str]] | None = None,
    meddle: Callable[[Supervisor, Simulator], "asyncio.Task[None]"] | None = None,
) -> Parity:
    """Run both sides over the candles of `inputs` and compare them.

    Parameters
    ----------
    inputs : Inputs
        The candles of the whole stretch; both sides begin with the first one, cold.
    sessions, runs_folder : Path
        Where the live session and its run are kept.
    faults : Faults, optional
        What the exchange does wrong.
    programs : mapping, optional
        Another command line for a role, for planted faults.
    meddle : callable, optional
        Begins a task that kills and restarts what it likes while the lockstep runs.

    Raises
    ------
    WickError
        A role refuses, or the candles do not fit.
    RunRefused
        A process died too often, or does not get on with its work.
    """
    refuse_unsupported(
        "wick parity",
        "parity",
        inputs.risk,
        inputs.costs,
        has_limit=inputs.strategy.has_limit,
        has_priority=inputs.strategy.has_priority,
    )
    start_ms, end_ms = _span(inputs.candles)
    session = _session(inputs, start_ms, now_ms, command, name)
    folder = sessions / session.id
    hold = Hold(folder)
    try:
        played = asyncio.run(
            _play(inputs, session, folder, runs_folder, end_ms, faults, programs, meddle)
        )
    finally:
        hold.close()
    batches, records, seconds, restarts = played
    comparison = _compare(inputs, session, batches, records, start_ms, end_ms)
    return Parity(
        comparison=comparison,
        candles=sum(len(one.arrays["open_time"]) for one in inputs.candles),
        instants=len(batches),
        trades=sum(isinstance(one, Filled) and one.held == 0 for one in records),
        funding_instants=sum(len(one.time) for one in inputs.funding),
        lockstep_s=seconds,
        restarts=restarts,
        folder=folder,
        run=runs_folder / session.id,
    )


def _span(candles: Sequence[Candles]) -> tuple[int, int]:
    times = [one.arrays["open_time"] for one in candles]
    length = candles[0].timeframe_ms
    if min(len(one) for one in times) < 2:
        raise WickError("parity needs at least two candles a symbol", "take a longer span")
    return min(int(one[0]) for one in times), max(int(one[-1]) for one in times) + length


def _session(
    inputs: Inputs, start_ms: int, now_ms: int, command: Sequence[str], name: str | None
) -> Session:
    symbols = tuple(one.symbol for one in inputs.candles)
    session = Session(
        id=name or runs.run_id(now_ms, "parity", inputs.strategy.name, symbols),
        on="parity",
        strategy=f"{inputs.strategy.name}.py",
        source_hash=inputs.strategy.source_hash,
        market=inputs.candles[0].market,
        timeframe=inputs.strategy.timeframe,
        symbols=symbols,
        params=inputs.params._asdict(),
        risk={key: float(value) for key, value in inputs.risk._asdict().items()},
        fee_rate=inputs.costs.fee_rate,
        slippage=inputs.costs.slippage,
        balance=inputs.balance,
        rules=inputs.rules,
        first_open_time=start_ms,
        trade_from=start_ms,
        created_ms=now_ms,
        addresses=Addresses("", ""),
        redis="",
        tag="",
        command=tuple(command),
    )
    return msgspec.structs.replace(session, tag=tag_of(session))


async def _play(
    inputs: Inputs,
    session: Session,
    folder: Path,
    runs_folder: Path,
    end_ms: int,
    faults: Faults | None,
    programs: Mapping[str, Sequence[str]] | None,
    meddle: Callable[[Supervisor, Simulator], "asyncio.Task[None]"] | None,
) -> tuple[list[Batch], list[Record], float, int]:
    key, secret = secrets.token_hex(32), secrets.token_hex(32)
    simulator = Simulator(
        inputs.candles,
        inputs.rules,
        inputs.costs,
        inputs.balance,
        api_key=key,
        api_secret=secret,
        start_ms=session.trade_from,
        end_ms=end_ms,
        faults=faults,
        funding=inputs.funding,
    )
    addresses = await simulator.start()
    session = msgspec.structs.replace(session, addresses=addresses)
    keep(Draft(session, inputs.strategy.source, 0, end_ms, 0.0), session, folder)
    supervisor = Supervisor(_PACE)
    try:
        environment = _environment(key, secret, runs_folder)
        redis = redis_server.command_of(folder)
        log = folder / "logs" / "redis.log"
        supervisor.start(Program("redis", redis, dict(os.environ), log, ends=False))
        supervisor.start(*(_program(role, folder, environment, programs) for role in ROLES))
        meddler = meddle(supervisor, simulator) if meddle else None
        began = time.monotonic()
        try:
            await supervisor.until(simulator.run_lockstep())
        except Stalled as error:
            raise await _explained(error, session, folder) from None
        seconds = time.monotonic() - began
        if meddler is not None:
            meddler.cancel()
        await _ended(supervisor, folder)
        bus = await connect(session, folder)
        batches = [entry.record for entry in await bus.range(SIGNALS)]
        await bus.close()
        restarts = sum(kept.restarts for kept in supervisor.kept.values())
    finally:
        await supervisor.stop(ROLES)
        await supervisor.stop()
        redis_server.remove_socket(folder)
        await simulator.stop()
    return batches, journal.read(folder), seconds, restarts


async def _explained(error: Stalled, session: Session, folder: Path) -> RunRefused:
    # The trader waits for the signals, and those wait for the candles: who is the first in the row?
    where = f"the logs of all processes are in {folder / 'logs'}"
    if not error.instant:
        return RunRefused(error.message, where)
    try:
        bus = await connect(session, folder, 2.0)
        try:
            whom = await _first_in_the_row(bus, session, error)
        finally:
            await bus.close()
    except (WickError, RedisError, OSError):
        whom = "Redis does not answer"
    return RunRefused(f"{error.message}; {whom}", where)


async def _first_in_the_row(bus: Bus, session: Session, error: Stalled) -> str:
    opened = error.instant - timeframe_ms(session.timeframe)
    for symbol in error.symbols:
        if await bus.last_id(CANDLES.format(symbol=symbol, timeframe=session.timeframe)) < opened:
            return f"it waits for market-data, which has not brought the one of {symbol}"
    if await bus.last_id(SIGNALS) < error.instant:
        return "it waits for signal-generator, which has said nothing of them"
    return "candles and signals are there"


async def _ended(supervisor: Supervisor, folder: Path) -> None:
    try:
        async with asyncio.timeout(_END_S):
            await supervisor.until(supervisor.done(ROLES))
    except TimeoutError:
        names = ", ".join(role for role in ROLES if not supervisor.kept[role].done)
        raise RunRefused(
            f"the candles are over for {_END_S:g} s and not ended: {names}",
            f"the logs of all processes are in {folder / 'logs'}",
        ) from None


def _compare(
    inputs: Inputs,
    session: Session,
    batches: Sequence[Batch],
    records: Sequence[Record],
    start_ms: int,
    end_ms: int,
) -> Comparison:
    # The simulated exchange liquidates nothing and keeps its first rules; so does this run.
    result = run(dataclasses.replace(inputs, terms=(), marks=()))
    # The last instant's mark follows the closing of what is left at the end, and live nothing is
    # closed there: equity is compared up to the instant before.
    facts = backtest_facts(result, start_ms, end_ms)
    facts = [one for one in facts if one.kind != "equity" or one.time < end_ms]
    theirs = live_facts(session, batches, records, end_ms)
    theirs = [one for one in theirs if one.kind != "equity" or one.time < end_ms]
    return compare([*facts, *refusal_facts(result, end_ms)], theirs)


def _environment(key: str, secret: str, runs_folder: Path) -> dict[str, str]:
    # Handed over in the environment and nowhere else; the key opens this one exchange only.
    own = {"WICK_API_KEY": key, "WICK_API_SECRET": secret, "WICK_RUNS": str(runs_folder)}
    return {**os.environ, **own}


def _program(
    role: str,
    folder: Path,
    environment: Mapping[str, str],
    programs: Mapping[str, Sequence[str]] | None,
) -> Program:
    words = (programs or {}).get(role) or (*WICK, "role", role)
    log = folder / "logs" / f"{role}.log"
    return Program(role, (*words, "--session", str(folder)), environment, log)
