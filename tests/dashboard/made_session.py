"""A session made by hand: its folder with a journal, and the same records in a real Redis."""

import asyncio
import os
import socket
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from data.symbols import rules_for
from data.synthetic import synthetic_market
from live.bus import ROLES
from live.connect import connect
from live.folders import Hold
from live.journal import Journal
from live.journal import read as read_journal
from live.journal_records import Asked, Began, Decided, Filled, Record
from live.records import (
    ACCOUNT,
    CANDLES,
    CONTROL,
    FILLS,
    ORDERS,
    Beat,
    ClosedCandle,
    Control,
    Health,
)
from live.redis_server import start_embedded
from live.session import FILE, Addresses, Session

_Result = TypeVar("_Result")

MINUTE = 60_000
NOON = 1_746_100_800_000  # 2025-05-01 12:00 UTC
SYMBOLS = ("BTCUSDT", "ETHUSDT")
WALLET = 1_000_000_000_000
STEP = {"BTCUSDT": 0.0001, "ETHUSDT": 0.001}
Candles = dict[str, Any]  # by symbol: rows of open, high, low, close


def session(name: str = "20250501-120000-paper", redis: str = "", **changes: Any) -> Session:
    """Describe a session of two symbols on a replay's clock."""
    rules = tuple(rule for symbol in SYMBOLS if (rule := rules_for("um", symbol)))
    made = Session(
        id=name,
        on="paper",
        strategy="rsi_macd_atr.py",
        source_hash="a" * 64,
        market="um",
        timeframe="1m",
        symbols=SYMBOLS,
        params={"rsi": 14},
        risk={"per_trade": 0.01, "daily_loss_limit": 0.05},
        fee_rate=0.0005,
        slippage=0.0001,
        balance=10_000.0,
        rules=rules,
        first_open_time=NOON,
        trade_from=NOON,
        created_ms=NOON,
        addresses=Addresses("http://127.0.0.1:1", "ws://127.0.0.1:1", "ws://127.0.0.1:1/clock"),
        redis=redis,
        tag="abcdef",
        command=("wick", "live", "rsi_macd_atr"),
    )
    return msgspec.structs.replace(made, **changes)


def walk(minutes: int, scale: float, seed: int) -> Any:
    """Draw candles around a price; rows of open, high, low, close on a grid of 0.1."""
    arrays = synthetic_market(seed, minutes, NOON).arrays
    rows = np.stack([arrays[name] for name in ("open", "high", "low", "close")], axis=1)
    return np.round(rows / rows[0, 0] * scale, 1)


def fill(n: int, time: int, **values: Any) -> Filled:
    """Describe a fill; what is not given is empty."""
    plain: dict[str, Any] = {
        "symbol": "BTCUSDT", "trade_id": n, "id": f"abcdef-{n}", "leg": "e", "steps": 1,
        "price": 1.0, "fee": 0, "pnl": 0, "held": 0, "entry": 0.0, "reason": "", "stop": 0.0,
        "take": 0.0, "decided_at": time, "reversal": False,
    }  # fmt: skip
    return Filled(n=n, time=time, **plain | values)


def story(minutes: int = 400) -> tuple[list[Record], Candles]:
    """Tell a session: decisions every minute, three trades, and one position left open."""
    candles = {"BTCUSDT": walk(minutes, 94_000.0, 3), "ETHUSDT": walk(minutes, 1_800.0, 4)}
    records: list[Record] = [Began(n=0, time=NOON, wallet=WALLET, last_trade={})]
    wallet, held = WALLET, dict.fromkeys(SYMBOLS, (0, 0.0))
    plan = {
        40: ("BTCUSDT", 3000, "e", ""), 95: ("BTCUSDT", -3000, "t", "take"),
        120: ("ETHUSDT", -9000, "e", ""), 180: ("ETHUSDT", 9000, "s", "stop"),
        200: ("BTCUSDT", -2500, "e", ""), 260: ("BTCUSDT", 2500, "x", "signal"),
        310: ("BTCUSDT", 2800, "e", ""),
    }  # fmt: skip
    for minute in range(minutes):
        time = NOON + (minute + 1) * MINUTE
        marks = tuple(float(candles[symbol][minute, 3]) for symbol in SYMBOLS)
        open_pnl = sum(
            held[symbol][0] * STEP[symbol] * (mark - held[symbol][1])
            for symbol, mark in zip(SYMBOLS, marks, strict=True)
        )
        records.append(
            Decided(
                n=0, time=time, wallet=wallet, equity=wallet / 1e8 + open_pnl,
                day=NOON // 86_400_000, day_open=10_000.0, blocked=False, marks=marks,
            )
        )  # fmt: skip
        if minute in plan:
            symbol, steps, leg, reason = plan[minute]
            price = marks[SYMBOLS.index(symbol)]
            was, entry = held[symbol]
            pnl = round(was * STEP[symbol] * (price - entry) * 1e8) if was else 0
            fee = round(abs(steps) * STEP[symbol] * price * 0.0005 * 1e8)
            now = was + steps
            held[symbol] = (now, price if now else 0.0)
            side = 1 if now > 0 else -1
            records.append(
                fill(
                    minute, time + 50, symbol=symbol, steps=steps, leg=leg, reason=reason,
                    price=price, fee=fee, pnl=pnl, held=now, entry=held[symbol][1],
                    stop=round(price * (1 - 0.004 * side), 1) if now else 0.0,
                    take=round(price * (1 + 0.008 * side), 1) if now else 0.0,
                )
            )  # fmt: skip
            wallet += pnl - fee
    return records, candles


def written(folder: Path, made: Session, records: Sequence[Record]) -> list[Record]:
    """Write a session's folder with its journal; return the records as numbered."""
    place = folder / made.id
    place.mkdir(parents=True)
    (place / FILE).write_bytes(msgspec.json.encode(made))
    journal = Journal(place)
    for record in records:
        journal.append(record)
    journal.close()
    return read_journal(place)


async def ship(made: Session, folder: Path, records: Sequence[Record], candles: Candles) -> None:
    """Put into the session's Redis what its roles would have."""
    bus = await connect(made, folder)
    streams = {Filled: FILLS, Began: ACCOUNT, Decided: ACCOUNT}
    for record in records:
        await bus.publish(streams.get(type(record), ORDERS), record, record.n)
    for symbol, rows in candles.items():
        stream = CANDLES.format(symbol=symbol, timeframe=made.timeframe)
        for minute, (first, high, low, last) in enumerate(rows):
            time = NOON + minute * MINUTE
            prices = (f"{first:.1f}", f"{high:.1f}", f"{low:.1f}", f"{last:.1f}")
            await bus.publish(stream, ClosedCandle(symbol, time, *prices, volume="1"), time)
    for role in ROLES:
        await bus.set_health(Health(role, os.getpid(), records[-1].time, "running"))
        await bus.beat(role, Beat(socket.gethostname(), os.getpid()))
    await bus.close()


def asked(made: Session, folder: Path) -> list[Control]:
    """Return what the session's control stream holds."""

    async def look() -> list[Control]:
        bus = await connect(made, folder)
        entries = await bus.range(CONTROL)
        await bus.close()
        return [entry.record for entry in entries]

    return done(look())


def done(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end, in a thread: beside Playwright a loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@contextmanager
def running(folder: Path, minutes: int = 400, **changes: Any) -> Iterator[tuple[Session, Path]]:
    """Tell the story in a session with an embedded Redis and a trader that takes note of what it
    is asked for; give the session and its folder."""
    made = session(**changes)
    records, candles = story(minutes)
    numbered = written(folder, made, records)
    place = folder / made.id
    hold, server, over = Hold(place), start_embedded(place), threading.Event()
    trader = threading.Thread(target=lambda: asyncio.run(hears(made, place, over)))
    try:
        done(ship(made, place, numbered, candles))
        trader.start()
        yield made, place
    finally:
        over.set()
        trader.join()
        server.terminate()
        server.wait()
        hold.close()


async def hears(made: Session, folder: Path, over: threading.Event) -> None:
    """Do what a trader does with what it is asked for."""
    bus, last = await connect(made, folder), "0-0"
    while not over.is_set():
        for entry in await bus.read({CONTROL: last}, 50):
            last, control = entry.id, entry.record
            journal = Journal(folder)
            journal.append(Asked(0, control.command, control.by, NOON, entry.id))
            journal.close()
    await bus.close()
