"""A role is judged by its process and by how long ago it showed itself, in real time."""

import asyncio
import os
import socket
import subprocess
from pathlib import Path

from live.bus import BEAT_KEPT_MS, Bus
from live.records import Beat, Health
from live.signs import keep_beating, signs
from tests.live.chain import Server, with_bus
from tests.live.sessions import START

HOST = socket.gethostname()


async def states(bus: Bus) -> dict[str, str]:
    return {one.role: one.state for one in await signs(bus)}


async def grow_old(bus: Bus, role: str, age_ms: int) -> None:
    await bus._redis.pexpire(bus._key(f"alive:{role}"), BEAT_KEPT_MS - age_ms)


def dead() -> int:
    """Return the number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_role_is_what_it_says_while_it_shows_itself(tmp_path: Path) -> None:
    async def test(bus: Bus, _: Server) -> None:
        assert await signs(bus) == ()
        await bus.beat("trader", Beat(HOST, os.getpid()))
        assert await states(bus) == {"trader": "starting"}
        # The session's time may stand still for as long as it likes.
        await bus.set_health(Health("trader", os.getpid(), START, "halted", "why"))
        (sign,) = await signs(bus)
        assert (sign.state, sign.note, sign.time, sign.pid) == ("halted", "why", START, os.getpid())
        assert 0 <= sign.age_ms < 5_000
        await grow_old(bus, "trader", 9_000)
        assert await states(bus) == {"trader": "halted"}

    with_bus(tmp_path, test)


def test_a_role_that_has_not_shown_itself_for_ten_seconds_is_silent(tmp_path: Path) -> None:
    async def test(bus: Bus, _: Server) -> None:
        await bus.set_health(Health("trader", os.getpid(), START, "running"))
        await bus.beat("trader", Beat(HOST, os.getpid()))
        await grow_old(bus, "trader", 25_000)
        (sign,) = await signs(bus)
        assert (sign.state, sign.note) == ("silent", "no sign of life for 25 s")
        await bus.set_health(Health("market_data", 1, START, "running"))  # it never beat
        assert await states(bus) == {"market_data": "silent", "trader": "silent"}

    with_bus(tmp_path, test)


def test_a_role_whose_process_died_is_gone_at_once(tmp_path: Path) -> None:
    async def test(bus: Bus, _: Server) -> None:
        pid = dead()
        await bus.set_health(Health("trader", pid, START, "running"))
        await bus.beat("trader", Beat(HOST, pid))
        (sign,) = await signs(bus)
        assert (sign.state, sign.note) == ("gone", f"process {pid} is no more")
        await bus.beat("trader", Beat("elsewhere", pid))  # nobody here can know
        assert await states(bus) == {"trader": "running"}
        await bus.beat("trader", Beat(HOST, os.getpid()))  # started again
        assert await states(bus) == {"trader": "starting"}

    with_bus(tmp_path, test)


def test_a_role_that_has_ended_its_work_is_not_missed(tmp_path: Path) -> None:
    async def test(bus: Bus, _: Server) -> None:
        pid = dead()
        await bus.beat("trader", Beat(HOST, pid))
        await bus.set_health(Health("trader", pid, START, "ended"))
        await grow_old(bus, "trader", 25_000)
        assert await states(bus) == {"trader": "ended"}

    with_bus(tmp_path, test)


def test_a_beat_goes_on_after_a_time_without_redis(tmp_path: Path) -> None:
    async def test(bus: Bus, server: Server) -> None:
        beating = asyncio.create_task(keep_beating(bus, "trader"))
        while "trader" not in await states(bus):
            await asyncio.sleep(0.01)
        server.kill()
        await asyncio.sleep(1.2)
        server.start()
        await bus._redis.flushall()
        while "trader" not in await states(bus):
            await asyncio.sleep(0.01)
        beating.cancel()

    with_bus(tmp_path, test)
