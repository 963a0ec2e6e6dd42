"""Files over HTTP from an archive with checksums: parallel but polite, verified, tried again."""

import hashlib
import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import requests

from strategy.errors import RunRefused, WickError

_MAY_RECOVER = {429, 500, 502, 503, 504}
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Archive:
    """An address and how to treat it: waits double from `retry_wait_s` with each attempt."""

    url: str
    retry_wait_s: float = 1.0
    attempts: int = 5
    timeout_s: float = 10.0
    connections: int = 4

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise WickError(
                f"archive_url is {self.url!r}, expected an address with http:// or https://",
                "unset WICK_ARCHIVE_URL, or mend archive_url in wick.toml",
            )


@dataclass(frozen=True, slots=True)
class Download:
    """What became of one file: absent, known already (no content), or its verified content."""

    path: str
    exists: bool
    sha256: str = ""
    content: bytes | None = None


class _StoppedError(Exception):
    pass


def archive_reachable(url: str, timeout_s: float = 3.0) -> bool:
    """Say whether an address answers at all within a time, a slow name server included."""
    answered = threading.Event()

    def ask() -> None:
        try:
            if requests.head(url, timeout=timeout_s).status_code < 500:
                answered.set()
        except requests.RequestException:
            pass
        finally:
            ended.set()

    ended = threading.Event()
    # A thread, because the timeout of a request does not cover looking up the name.
    threading.Thread(target=ask, daemon=True).start()
    ended.wait(timeout_s)
    return answered.is_set()


def downloads(
    archive: Archive,
    paths: Sequence[str],
    known: Mapping[str, str],
    on_bytes: Callable[[int], None],
) -> Iterator[Download]:
    """Download files as they arrive, each verified against the `.CHECKSUM` beside it.

    Parameters
    ----------
    archive : Archive
        Address and manners.
    paths : sequence of str
        Files under the address.
    known : mapping
        Checksum by file name of what is stored; such a file is not loaded again.
    on_bytes : callable
        Told the size of every piece that arrives, from several threads.

    Raises
    ------
    RunRefused
        A file cannot be loaded; the iteration ends there.
    """
    stop = threading.Event()
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    # Bounded: who stores is slower than who loads, and a day of trades is large.
    done: queue.Queue[Download | Exception] = queue.Queue(archive.connections)
    for path in paths:
        todo.put(path)

    def work() -> None:
        with requests.Session() as session:
            one = _One(archive, session, stop, on_bytes)
            while not stop.is_set():
                try:
                    path = todo.get_nowait()
                except queue.Empty:
                    return
                result: Download | Exception
                try:
                    result = one.load(path, known.get(path.rpartition("/")[2]))
                except Exception as error:  # noqa: BLE001  raised again where it is waited for
                    result = error
                while not stop.is_set():
                    with suppress(queue.Full):
                        done.put(result, timeout=0.1)
                        break

    # Daemons: Ctrl-C must not wait for an answer that does not come.
    for _ in range(min(archive.connections, len(paths))):
        threading.Thread(target=work, name="download", daemon=True).start()
    try:
        for _ in paths:
            result = done.get()
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        stop.set()


class _One:
    """One connection's work."""

    def __init__(
        self,
        archive: Archive,
        session: requests.Session,
        stop: threading.Event,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._archive = archive
        self._session = session
        self._stop = stop
        self._on_bytes = on_bytes

    def load(self, path: str, known_sha256: str | None) -> Download:
        name = path.rpartition("/")[2]
        for again in (False, True):
            text = self._get(f"{path}.CHECKSUM")
            if text is None:
                return Download(path, exists=False)
            expected = text.decode("ascii", "replace").strip().partition(" ")[0].lower()
            if re.fullmatch("[0-9a-f]{64}", expected) is None:
                raise RunRefused(
                    f"{name}.CHECKSUM is no checksum but starts with {expected[:20]!r}",
                    f"is {self._archive.url} the archive, and not a page of your provider?",
                )
            if expected == known_sha256:
                return Download(path, exists=True, sha256=expected)
            content = self._get(path)
            if content is None:
                return Download(path, exists=False)
            found = hashlib.sha256(content).hexdigest()
            if found == expected:
                return Download(path, exists=True, sha256=found, content=content)
            if again:
                raise RunRefused(
                    f"{name} twice missed its checksum: {found[:9]}…, expected {expected[:9]}…",
                    "nothing of this file was stored; try again later",
                )
        raise AssertionError

    def _get(self, path: str) -> bytes | None:
        url = f"{self._archive.url.rstrip('/')}/{path}"
        why, wait_s = "", 0.0
        hint = "run the same command again: what is stored is skipped"
        for attempt in range(self._archive.attempts):
            if attempt:
                self._pause(attempt, wait_s)
            wait_s = 0.0
            try:
                with self._session.get(url, timeout=self._archive.timeout_s, stream=True) as answer:
                    if answer.status_code == 404:
                        return None
                    if answer.ok:
                        return self._receive(answer)
                    why = f"answered {answer.status_code} {answer.reason}"
                    if answer.status_code not in _MAY_RECOVER:
                        hint = "is the archive open to you? WICK_ARCHIVE_URL sets another address"
                        break
                    wait_s = _asked_wait_s(answer)
            except (requests.ConnectionError, requests.Timeout) as error:
                why = f"did not answer ({type(error).__name__})"
            except requests.exceptions.ChunkedEncodingError:
                why = "cut the connection"
        raise RunRefused(f"{url} {why}", hint)

    def _receive(self, answer: requests.Response) -> bytes:
        pieces = []
        for piece in answer.iter_content(1 << 16):
            if self._stop.is_set():
                raise _StoppedError
            self._on_bytes(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    def _pause(self, attempt: int, asked_s: float) -> None:
        wait_s = max(asked_s, self._archive.retry_wait_s * 2 ** (attempt - 1))
        if self._stop.wait(min(wait_s, _LONGEST_WAIT_S)):
            raise _StoppedError


def _asked_wait_s(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
