"""Processes are kept: restarted, refused, given up, stopped, and never left behind."""

import asyncio
import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from live.supervisor import Pace, Program, Supervisor
from strategy.errors import RunRefused, WickError

ROOT = Path(__file__).resolve().parents[2]
TIED = ROOT / "live" / "tied.py"
QUICK = Pace(first_s=0.01, most_s=0.02)


def program(folder: Path, code: str, name: str = "role", *, ends: bool = True) -> Program:
    argv = (sys.executable, "-I", "-S", "-c", code)
    return Program(name, argv, dict(os.environ), folder / f"{name}.log", ends)


def alive(pid: int) -> bool:
    """Tell whether a process is there and is no mere entry for its parent to read."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def counting(folder: Path, then: str) -> str:
    """Write code that counts its starts in a file and then does something with the count n."""
    path = str(folder / "starts")
    return (
        f"import os, sys, time, signal\nopen({path!r}, 'a').write('x')\n"
        f"n = os.path.getsize({path!r})\n{then}"
    )


def starts(folder: Path) -> int:
    return (folder / "starts").stat().st_size


async def wait_for(found: Path) -> None:
    while not found.exists():
        await asyncio.sleep(0.01)


def test_a_program_that_ends_with_0_is_done(tmp_path: Path) -> None:
    async def session() -> None:
        supervisor = Supervisor(QUICK)
        supervisor.start(program(tmp_path, "print('hello')"))
        await supervisor.until(supervisor.done(["role"]))
        kept = supervisor.kept["role"]
        assert (kept.done, kept.restarts, kept.pid) == (True, 0, None)

    asyncio.run(session())
    assert (tmp_path / "role.log").read_text() == "hello\n"


@pytest.mark.parametrize("death", ["sys.exit(1)", "os.kill(os.getpid(), signal.SIGKILL)", "1/0"])
def test_a_program_that_dies_is_started_again(tmp_path: Path, death: str) -> None:
    async def session() -> None:
        supervisor = Supervisor(QUICK)
        supervisor.start(program(tmp_path, counting(tmp_path, f"if n < 3: {death}")))
        await supervisor.until(supervisor.done(["role"]))
        assert supervisor.kept["role"].restarts == 2

    asyncio.run(session())
    assert starts(tmp_path) == 3


def test_a_server_that_ends_with_0_is_started_again(tmp_path: Path) -> None:
    again = tmp_path / "again"
    code = counting(tmp_path, f"if n > 1: open({str(again)!r}, 'w'); time.sleep(60)")

    async def session() -> None:
        supervisor = Supervisor(QUICK)
        supervisor.start(program(tmp_path, code, ends=False))
        await supervisor.until(wait_for(again))
        await supervisor.stop()

    asyncio.run(session())
    assert starts(tmp_path) == 2


def test_a_refusal_is_told_in_the_programs_own_words(tmp_path: Path) -> None:
    said = "print('noise\\nwick: no such symbol\\nhint: take another'); import sys; sys.exit(2)"

    async def session() -> None:
        supervisor = Supervisor(QUICK)
        try:
            with pytest.raises(WickError) as refused:
                supervisor.start(
                    program(tmp_path, "import time; time.sleep(60)", "other"),
                    program(tmp_path, said),
                )
                await supervisor.until(supervisor.done(["role", "other"]))
            assert (refused.value.message, refused.value.hint) == ("no such symbol", "take another")
            assert refused.value.exit_code == 2
        finally:
            await supervisor.stop()
        assert supervisor.kept["other"].pid is None

    asyncio.run(session())


def test_a_program_that_dies_five_times_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    async def session() -> None:
        supervisor = Supervisor(QUICK)
        supervisor.start(program(tmp_path, counting(tmp_path, "sys.exit(f'out of ink {n}')")))
        with pytest.raises(RunRefused) as refused:
            await supervisor.until(supervisor.done(["role"]))
        words = "role died 5 times in 30 s, last with exit code 1: out of ink 5"
        assert refused.value.message == words
        assert str(tmp_path / "role.log") in refused.value.hint

    asyncio.run(session())
    assert starts(tmp_path) == 5


def test_a_long_log_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    log, old = tmp_path / "role.log", tmp_path / "role.log.1"
    old.write_text("older")
    log.write_bytes(b"x" * 10_000_001)

    async def session() -> None:
        supervisor = Supervisor(QUICK)
        supervisor.start(program(tmp_path, counting(tmp_path, "print(n); n < 2 and sys.exit(1)")))
        await supervisor.until(supervisor.done(["role"]))

    asyncio.run(session())
    assert log.read_text() == "1\n2\n"
    assert old.stat().st_size == 10_000_001


def test_a_refusal_of_a_program_that_was_at_work_passes(tmp_path: Path) -> None:
    refuses = "if n < 8: print('wick: Redis is away'); sys.exit(2)"

    async def session() -> None:
        supervisor = Supervisor(dataclasses.replace(QUICK, deaths=9))
        supervisor.start(program(tmp_path, counting(tmp_path, refuses)))
        kept = supervisor.kept["role"]
        kept.proven = True
        await supervisor.until(supervisor.done(["role"]))
        assert (kept.restarts, kept.death) == (7, "Redis is away")

    asyncio.run(session())


def test_a_program_that_is_needed_is_never_given_up(tmp_path: Path) -> None:
    async def session() -> None:
        supervisor = Supervisor(QUICK)
        dies = program(tmp_path, counting(tmp_path, "if n < 8: sys.exit('out of ink')"))
        supervisor.start(dataclasses.replace(dies, needed=lambda: True))
        await supervisor.until(supervisor.done(["role"]))
        assert (supervisor.kept["role"].restarts, supervisor.kept["role"].death) == (
            (7, "exit code 1")
        )

    asyncio.run(session())


def test_no_room_for_a_process_is_a_death_of_one_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, full = asyncio.create_subprocess_exec, [1, 2, 3]

    async def starts_later(*arguments: Any, **options: Any) -> Any:
        if full:
            full.pop()
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return await start(*arguments, **options)

    async def session(needed: bool) -> None:
        supervisor = Supervisor(QUICK)
        once = dataclasses.replace(program(tmp_path, "pass"), needed=lambda: needed)
        supervisor.start(once)
        await supervisor.until(supervisor.done(["role"]))
        kept = supervisor.kept["role"]
        assert (kept.done, kept.restarts) == (True, 3)
        assert kept.death == "it cannot be started: Resource temporarily unavailable"

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts_later)
    asyncio.run(session(needed=True))
    full.append(1)
    with pytest.raises(OSError, match="unavailable"):
        asyncio.run(session(needed=False))


def test_stop_asks_first_and_kills_who_does_not_listen(tmp_path: Path) -> None:
    polite, deaf = tmp_path / "polite", tmp_path / "deaf"
    asked = (
        "import signal, sys, time\n"
        f"def end(*_): open({str(tmp_path / 'asked')!r}, 'w'); sys.exit(0)\n"
        f"signal.signal(signal.SIGTERM, end); open({str(polite)!r}, 'w'); time.sleep(60)"
    )
    ignores = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(deaf)!r}, 'w'); time.sleep(60)"
    )

    async def session() -> list[int]:
        supervisor = Supervisor(QUICK)
        supervisor.start(program(tmp_path, asked, "a"), program(tmp_path, ignores, "b"))
        await supervisor.until(wait_for(polite))
        await supervisor.until(wait_for(deaf))
        pids = [kept.pid for kept in supervisor.kept.values() if kept.pid]
        await supervisor.stop(grace_s=0.5)
        return pids

    pids = asyncio.run(session())
    assert (tmp_path / "asked").exists()
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


def test_a_program_stopped_while_it_waits_to_be_started_again_stays_away(tmp_path: Path) -> None:
    async def session() -> None:
        supervisor = Supervisor(Pace(first_s=3600.0, most_s=3600.0))
        supervisor.start(program(tmp_path, counting(tmp_path, "sys.exit(1)")))
        while not supervisor.kept["role"].died_s:
            await asyncio.sleep(0.01)
        await supervisor.stop(grace_s=3600.0)

    asyncio.run(session())
    assert starts(tmp_path) == 1


# argv: watch or not, file for the child's process id.
PARENT = f"""
import os, subprocess, sys, time
sys.path.insert(0, {str(TIED.parent)!r})
starter = "import sys; sys.path.insert(0, {str(TIED.parent)!r}); import tied;"
starter += "tied.main(int(sys.argv[1]), sys.argv[3:], sys.argv[2] == 'True')"
child = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
program = [sys.executable, "-c", child, sys.argv[2]]
subprocess.Popen([sys.executable, "-c", starter, str(os.getpid()), sys.argv[1], *program])
time.sleep(60)
"""


@pytest.mark.parametrize("watch", [False, True], ids=["by the kernel", "by watching"])
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, watch: bool) -> None:
    if not watch and not sys.platform.startswith("linux"):
        pytest.skip("only Linux can tie a child to its parent")
    pid_file = tmp_path / "pid"
    command = [sys.executable, "-c", PARENT, str(watch), str(pid_file)]
    with subprocess.Popen(command) as running:
        while not pid_file.exists() or not pid_file.read_text():
            assert running.poll() is None
            time.sleep(0.02)
        pid = int(pid_file.read_text())
        assert alive(pid)
        running.send_signal(signal.SIGKILL)
    while alive(pid):
        time.sleep(0.02)


def test_a_watched_program_is_asked_to_end_and_its_code_is_passed_on(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        f"open({str(ready)!r}, 'w'); time.sleep(60)"
    )
    start = f"import sys; sys.path.insert(0, {str(TIED.parent)!r}); import os, tied; "
    main = f"tied.main(os.getppid(), [sys.executable, '-c', {code!r}], True)"
    with subprocess.Popen([sys.executable, "-c", start + main]) as running:
        while not ready.exists():
            time.sleep(0.02)
        running.terminate()
        assert running.wait(30) == 7


def test_a_death_is_not_explained_with_a_line_for_programs(tmp_path: Path) -> None:
    code = "import os; print('{1}', flush=True); os.kill(os.getpid(), 9)"

    async def session() -> None:
        supervisor = Supervisor(QUICK)
        once = dataclasses.replace(program(tmp_path, code), again=False)
        supervisor.start(once)
        with pytest.raises(RunRefused) as refused:
            await supervisor.until(supervisor.done(["role"]))
        assert "died with signal 9, and what it knew" in refused.value.message

    asyncio.run(session())
