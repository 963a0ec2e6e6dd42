"""wick doctor: one sentence a check, a hint where something is wrong, exit 1 where it fails."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from research import doctor
from tests.cli.conftest import Command

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def quiet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder where no network is asked and no key is known."""
    monkeypatch.setenv("WICK_REST_URL", NOWHERE)
    for name in ("WICK_API_KEY", "WICK_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def exchange() -> Iterator[Any]:
    """Give a server that tells the time some milliseconds late or early."""

    class Clock(BaseHTTPRequestHandler):
        away_ms = 0

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(b'{"serverTime": %d}' % (time.time() * 1e3 - self.away_ms))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Clock)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Clock, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def examined(command: Command, code: int) -> dict[str, dict[str, str]]:
    said = command("doctor", "--no-warm", "--json")
    assert said.code == code, said
    return {one["check"]: one for one in json.loads(said.out)}


def test_a_sound_installation_passes_with_a_line_a_check(
    quiet: Path, stored: Path, command: Command
) -> None:
    said = command("doctor", "--no-warm")
    assert said.code == 0
    lines = [line for line in said.out.splitlines() if "hint: " not in line]
    assert {line.split()[0] for line in lines} <= {"ok", "warning"}
    found = examined(command, 0)
    assert len(lines) == len(found)
    assert set(found) == {
        "python", "packages", "wick", "optional", "compile cache", "store", "runs", "sessions",
        "redis", "clock", "exchange's time", "keys", "data",
    }  # fmt: skip
    assert found["redis"]["said"].endswith("starts and answers")
    assert found["exchange's time"]["said"] == f"not asked: {NOWHERE} is not reachable"
    assert found["data"]["said"] == "1 series of 1 symbols, 43,200 rows"
    assert found["keys"]["state"] == "ok"


def test_settings_that_cannot_be_read_fail(quiet: Path, command: Command) -> None:
    (quiet / "wick.toml").write_text('stoer = "x"\n')
    found = examined(command, 1)
    assert found["settings"]["state"] == "failed"
    assert "store" in found["settings"]["hint"]


def test_a_folder_that_cannot_be_written_fails(
    quiet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICK_RUNS", "/dev/null/runs")
    found = examined(command, 1)
    assert found["runs"]["state"] == "failed"
    assert found["runs"]["hint"]
    assert found["store"]["state"] == "ok"


def test_a_redis_that_does_not_answer_fails(
    quiet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICK_REDIS", "redis://127.0.0.1:9")
    found = examined(command, 1)
    assert found["redis"]["said"].startswith("no answer")


def test_the_password_of_a_redis_is_never_shown(
    quiet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICK_REDIS", "redis://someone:aWordThatNobodySees@127.0.0.1:9")
    for extra in ((), ("--json",)):
        said = command("doctor", "--no-warm", *extra)
        assert said.code == 1
        assert "redis://127.0.0.1:9" in said.out
        assert "aWordThatNobodySees" not in said.out + said.err


@pytest.mark.parametrize(("away_ms", "code"), [(0, 0), (5_000, 1), (-5_000, 1)])
def test_the_exchanges_time_is_compared_where_it_can_be_asked(
    quiet: Path,
    command: Command,
    exchange: Any,
    monkeypatch: pytest.MonkeyPatch,
    away_ms: int,
    code: int,
) -> None:
    clock, url = exchange
    clock.away_ms = away_ms
    monkeypatch.setenv("WICK_REST_URL", url)
    said = examined(command, code)["exchange's time"]["said"]
    assert abs(int(said.split()[0]) - away_ms) < 900


def test_keys_are_never_shown(
    quiet: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICK_API_KEY", "aKeyThatNobodySees")
    said = command("doctor", "--no-warm")
    assert "WICK_API_KEY without WICK_API_SECRET" in said.out
    monkeypatch.setenv("WICK_API_SECRET", "aSecretThatNobodySees")
    more = command("doctor", "--no-warm")
    assert "in the environment, not verified" in more.out
    assert "NobodySees" not in said.out + said.err + more.out + more.err


def test_a_package_that_is_too_old_or_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy>=999.1", "no-such-package>=1", "msgspec>=0.1", "odd>=3; python_version < '3'"]
    monkeypatch.setattr(doctor, "requires", lambda _: asked)
    found = doctor.packages()
    assert found.state == "failed"
    assert "expected 999.1 or newer; no-such-package is missing" in found.said
    assert "msgspec" not in found.said


def test_a_cache_that_is_off_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strategy.kernel.CACHE_DIR", None)
    assert doctor.compile_cache().state == "warning"
