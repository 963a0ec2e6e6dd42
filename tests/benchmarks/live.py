"""The live side on loopback, in separate processes as `wick live` runs them."""

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from live import redis_server, tied
from live.folders import keep
from live.roles import KEYS, ROLES
from live.session import Addresses
from live.start import Draft
from strategy.load import load
from tests.benchmarks.live_parts import PLAN, Marks, Plan
from tests.benchmarks.measure import ROOT
from tests.live.sessions import START, make_session

BUSY = str(Path(__file__).with_name("busy.py"))
SYMBOLS = tuple(f"{one}USDT" for one in ("BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "LTC"))
OFTEN = {"oversold": 45.0, "overbought": 55.0, "trend": 10, "stop": 2.0, "take": 3.0}
LOCKSTEP = {1: 1_440, 7: 480}  # candles a symbol
# Seconds as candles, so that the day's other work (a look a second, questions a minute) is as rare
# beside an order as it is in minutes.
RATE, CLOSES, HISTORY = 4.0, 200, 18_000
FIRST = 20  # closes and instants that are left out: the first call of everything
BARE = ("bare-exchange", "bare-market", "bare-signal", "bare-trader")
ENTRY_HOPS = (
    ("exchange → market_data", "closed", "heard"),
    ("market_data", "heard", "added"),
    ("Redis → signal_generator", "added", "taken"),
    ("signal_generator", "taken", "said"),
    ("Redis → trader", "said", "got"),
    ("decide and approve", "got", "meant"),
    ("journal, fdatasync", "meant", "sent"),
    ("sign, POST → exchange", "sent", "arrived"),
    ("close → entry order", "closed", "arrived"),
)
STOP_HOPS = (
    ("fill → trader", "filled", "told"),
    ("book, journal, entry's answer", "told", "stop_sent"),
    ("sign, POST → exchange", "stop_sent", "stop_arrived"),
    ("fill → stop order", "filled", "stop_arrived"),
)
BARE_HOPS = (
    ("exchange → market_data", "closed", "heard"),
    ("Redis → signal_generator", "heard", "taken"),
    ("Redis → trader", "taken", "got"),
    ("journal, fdatasync", "got", "sent"),
    ("sign, POST → exchange", "sent", "arrived"),
    ("close → entry order", "closed", "arrived"),
)
Found = dict[str, dict[int, list[int]]]


@dataclass(frozen=True, slots=True)
class Hop:
    """One part of the way, in seconds."""

    name: str
    p50: float
    p99: float
    count: int


@dataclass(frozen=True, slots=True)
class Lockstep:
    """Candles through the whole stack, each waited for."""

    symbols: int
    candles: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From the last symbol's close to each entry order, and from each fill to its stop."""

    symbols: int
    entry: tuple[Hop, ...]
    stop: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """Everything measured here."""

    lockstep: tuple[Lockstep, ...]
    latency: tuple[Latency, ...]
    bare: tuple[Hop, ...]
    load: float


def measure_live() -> Live:
    """Measure lockstep, latency and the bare chain, one after the other."""
    lockstep = tuple(measure_lockstep(SYMBOLS[:n], played) for n, played in LOCKSTEP.items())
    bare = _bare_marks()
    latency = tuple(measure_latency(SYMBOLS[:n]) for n in LOCKSTEP)
    for what, its in _bare_marks().items():  # before and after: the machine is shared
        for key, times in its.items():
            bare[what][key + CLOSES] = times
    return Live(lockstep, latency, _hops(BARE_HOPS, bare), os.getloadavg()[1])


def measure_lockstep(symbols: Sequence[str], played: int) -> Lockstep:
    """Play candles of the blueprint, trading often, as fast as the roles can decide."""
    plan = Plan(tuple(symbols), "1m", 1_440, played, 0.0)
    found = _session(plan, "rsi_macd_atr", OFTEN)
    times = [first for _, (first, *_) in sorted(found["played"].items())][FIRST:]
    seconds = (times[-1] - times[0]) / 1e9
    return Lockstep(len(symbols), played, (len(times) - 1) * len(symbols) / seconds)


def measure_latency(symbols: Sequence[str]) -> Latency:
    """Let time run freely, with an entry at every second close and its exit at the next."""
    found = _session(Plan(tuple(symbols), "1s", HISTORY, CLOSES, RATE), BUSY, {})
    orders = {key: key // 100 for key in found["arrived"]}
    # An order goes back to an instant; what happened to the instant counts for each of its orders.
    for what in ("closed", "heard", "added", "taken", "said", "got"):
        its = found[what]
        found[what] = {key: [max(its[time])] for key, time in orders.items() if time in its}
    return Latency(len(symbols), _hops(ENTRY_HOPS, found), _hops(STOP_HOPS, found))


def _bare_marks() -> Found:
    with _folder() as folder:
        _write(folder, Plan((), "", 0, CLOSES // 2, 2 * RATE))
        exchange = _start(folder, BARE[0], {})
        _wait(folder, "its exchange", (folder / "address").exists)
        started = [exchange, *(_start(folder, part, {}) for part in BARE[1:])]
        _wait(folder, "the bare chain", lambda: _size(folder / "bare.journal") >= CLOSES // 2)
        _end(*started)
        found = _found(folder, BARE)
        late = ({key: its[key] for key in its if key > FIRST} for its in found.values())
        return dict(zip(found, late, strict=True))


def _session(plan: Plan, strategy: str, params: Mapping[str, float]) -> Found:
    with _folder() as folder:
        _write(folder, plan)
        given = dict(zip(KEYS, (secrets.token_hex(32) for _ in KEYS), strict=True))
        exchange = _start(folder, "exchange", given)
        _wait(folder, "the exchange", (folder / "address").exists)
        session = make_session(
            plan.symbols,
            strategy,
            addresses=msgspec.json.decode((folder / "address").read_bytes(), type=Addresses),
            params=dict(params),
            risk={"daily_loss_limit": 0.0, "per_trade": 0.001},
            first_open_time=START,
            trade_from=plan.trade_from,
            fee_rate=0.0,
            balance=1e6,
            # Both are meant for a clock that runs as fast as ours.
            straggler_ms=round(2_000 * max(plan.rate, 1.0)),
        )
        keep(Draft(session, load(strategy).source, 0, 0, plan.rate), session, folder)
        started = [_start(folder, one, given) for one in ROLES]
        _wait(folder, "the end", lambda: _are_over(folder, started), 600.0)
        _end(exchange)
        return _found(folder, ("exchange", *ROLES))


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        redis = redis_server.start_embedded(folder)
        try:
            yield folder
        finally:
            _end(redis)
            socket = Path(redis_server.url_of(folder).removeprefix("unix://"))
            socket.unlink(missing_ok=True)
            socket.parent.rmdir()


def _end(*processes: "subprocess.Popen[bytes]") -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def _write(folder: Path, plan: Plan) -> None:
    (folder / PLAN).write_bytes(msgspec.json.encode(plan))


def _start(folder: Path, part: str, given: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    with (folder / f"{part}.log").open("wb") as log:
        # Tied: should the measurement fail, nothing of it goes on.
        return subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", tied.__file__, str(os.getpid())),
                *(sys.executable, "-m", "tests.benchmarks.live_parts", part, str(folder)),
            ],
            cwd=ROOT,
            env={**os.environ, **given, "WICK_RUNS": str(folder / "runs")},
            stdout=log,
            stderr=log,
        )


def _are_over(folder: Path, processes: "Sequence[subprocess.Popen[bytes]]") -> bool:
    codes = {one.poll() for one in processes}
    if codes - {None, 0}:
        raise RuntimeError(_logs(folder))
    return codes == {0}


def _wait(folder: Path, name: str, done: Callable[[], bool], within_s: float = 120.0) -> None:
    until = time.monotonic() + within_s
    while not done():
        if time.monotonic() > until:
            raise RuntimeError(f"{name} is not there\n{_logs(folder)}")
        time.sleep(0.02)


def _size(path: Path) -> int:
    return path.read_bytes().count(b"&") if path.exists() else 0


def _logs(folder: Path) -> str:
    return "\n".join(f"{one.name}:\n{one.read_text()[-2000:]}" for one in folder.glob("*.log"))


def _found(folder: Path, parts: Sequence[str]) -> Found:
    found: Found = defaultdict(lambda: defaultdict(list))
    for part in parts:
        path = folder / f"{part}.marks"
        if path.exists():
            for what, key, ns in msgspec.json.decode(path.read_bytes(), type=Marks):
                found[what][key].append(ns)
    return found


def _hops(hops: Sequence[tuple[str, str, str]], found: Found) -> tuple[Hop, ...]:
    whats = {what for _, *ends in hops for what in ends}
    whole = sorted(set.intersection(*(set(found[what]) for what in whats)))
    if len(whole) <= 2 * FIRST:
        raise RuntimeError(f"only {len(whole)} went the whole way: {sorted(whats)}")
    made = []
    for name, start, end in hops:
        times = [(found[end][key][0] - found[start][key][0]) / 1e9 for key in whole[FIRST:]]
        cuts = statistics.quantiles(times, n=100)
        made.append(Hop(name, statistics.median(times), cuts[98], len(times)))
    return tuple(made)
