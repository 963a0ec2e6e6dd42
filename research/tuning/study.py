"""Studies: where trials are kept, so that a search can go on and several processes can share it."""

import contextlib
import fcntl
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import optuna
from optuna.trial import FrozenTrial

from research.tuning.storage import JournalFile, opened, shown
from strategy.errors import RunRefused, WickError

_RESTS = "rests_on"


class StorageGone(RunRefused):
    """The storage of a study does not answer, or is not what it was."""


class Study:
    """The trials of one study in a storage that outlives the process.

    Attributes
    ----------
    name : str
    where : str
        Its storage in words: a file's name, or a URL's kind and host.
    stream : str
        Which of the processes at work on it this one is, empty for the first one.
    """

    def __init__(self, name: str, storage: str | None, folder: Path, objectives: int) -> None:
        """Open a study, or begin it.

        Parameters
        ----------
        storage : str, optional
            A URL; otherwise a journal file in the folder.
        folder : Path
            Of studies in files, with the locks by which processes tell themselves apart; those of
            a URL are in the system's folder for temporary files.
        objectives : int
            How many, for a new one.

        Raises
        ------
        WickError
            The URL is of an unknown kind, or the study has another number of objectives.
        StorageGone
            It cannot be opened.
        """
        self.name, self._folder = name, _locks_of(storage) if storage else folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._held: int | None = None
        self._path = None if storage else folder / f"{name}.journal"
        self.where = self._path.name if self._path else shown(str(storage))
        host = socket.gethostname() if storage else ""
        self.stream = f"{host}{self._slot()}".removesuffix("0")
        with self._reaching(), _alone(self._folder):
            self._storage = opened(storage, self._path)
            self._study = self._begun(objectives)
            known = len(self._study.directions)
        if known != objectives:
            raise WickError(
                f"study {name} has {known} objective{'s' if known > 1 else ''}, not {objectives}",
                "the objectives it began with, or another --study",
            )

    def _begun(self, objectives: int) -> Any:
        # Optuna's own way to do both notes in the journal that the study was there already.
        try:
            return optuna.load_study(study_name=self.name, storage=self._storage)
        except KeyError:
            return optuna.create_study(
                study_name=self.name,
                storage=self._storage,
                directions=["maximize"] * objectives,
                load_if_exists=True,
            )

    def _slot(self) -> int:
        # The system lets go of the lock of a process that ended, however it did.
        for number in range(1_000):
            path = self._folder / f".{self.name}.{number}.lock"
            held = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(held)
                continue
            self._held = held
            return number
        raise RunRefused(f"1000 processes are at work on study {self.name}", "another --study")

    def discard(self) -> None:
        """Take a study away that has nothing worth to be gone on with, where it is a file."""
        locks = list(self._folder.glob(f".{self.name}.*.lock"))
        self.close()
        if self._path is None or any(map(_is_held, locks)):  # another process is at work on it
            return
        for path in (self._path, self._folder / ".opening.lock", *locks):
            path.unlink(missing_ok=True)
        for folder in (self._folder, self._folder.parent):
            with contextlib.suppress(OSError):  # others are in it
                folder.rmdir()

    def close(self) -> None:
        """Let go of it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def __enter__(self) -> "Study":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def trials(self) -> list[FrozenTrial]:
        """Return all finished trials, by number.

        Raises
        ------
        StorageGone
            It does not answer.
        """
        with self._reaching():
            self._there()
            found = self._study.get_trials(deepcopy=False)
            return [one for one in found if one.state.is_finished()]

    def add(self, trials: Sequence[FrozenTrial]) -> None:
        """Keep finished trials.

        Raises
        ------
        StorageGone
            It does not answer, or has no room; what was kept before stays.
        """
        with self._reaching():
            self._there()
            for one in trials:
                self._study.add_trial(one)
            if self._path is not None:
                with self._path.open("rb") as written:
                    os.fsync(written.fileno())

    def rests_on(self) -> dict[str, str]:
        """Return what its trials depend on, as it was when it began; empty for a new one."""
        with self._reaching():
            found: Any = self._study.user_attrs.get(_RESTS, {})
            return dict(found)

    def begin(self, rests_on: Mapping[str, str]) -> None:
        """Note what the trials of a new study depend on."""
        with self._reaching():
            self._study.set_user_attr(_RESTS, dict(rests_on))

    def _there(self) -> None:
        # Optuna would make the file anew, with trials that belong to nothing.
        if self._path is not None and not self._path.exists():
            raise FileNotFoundError(2, "it was deleted meanwhile", str(self._path))

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        from redis.exceptions import RedisError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except WickError:
            raise
        except ImportError as error:
            raise WickError(
                f"study {self.name} in {self.where} needs a driver that is not installed",
                "pip install psycopg2-binary, or PyMySQL with a URL of mysql+pymysql://",
            ) from error
        except OSError as error:
            raise StorageGone(
                f"study {self.name} in {self.where} cannot be kept: {error.strerror or error}",
                "make room or bring it back, then the same command goes on with what is there",
            ) from error
        except (RedisError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
            raise StorageGone(
                f"study {self.name} in {self.where} does not answer ({type(error).__name__})",
                "look at the server and the URL, then the same command goes on with what is there",
            ) from error
        except (ValueError, KeyError) as error:  # a damaged journal
            raise StorageGone(
                f"study {self.name} in {self.where} is damaged: {error}",
                "delete it, or go on with another --study",
            ) from error


def tried_beside(folder: Path, name: str, candles: str) -> tuple[int, int]:
    """Count the other studies in a folder over the very same candles, and their trials.

    Parameters
    ----------
    name : str
        Of the study that is left out.
    candles : str
        As in `rests_on`.
    """
    studies, trials = 0, 0
    for path in sorted(folder.glob("*.journal")):
        if path.stem == name:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError):  # it is told when it is used
            storage = optuna.storages.JournalStorage(JournalFile(str(path)))
            found = optuna.load_study(study_name=path.stem, storage=storage)
            if found.user_attrs.get(_RESTS, {}).get("the candles") == candles:
                studies, trials = studies + 1, trials + len(found.get_trials(deepcopy=False))
    return studies, trials


def _locks_of(url: str) -> Path:
    # Processes may keep their runs in different folders, and share the study all the same.
    whole = urlsplit(url)
    place = f"{whole.scheme}://{whole.hostname}:{whole.port}{whole.path}"
    if not whole.hostname:  # a file, perhaps of the folder that we are in
        place = str(Path(whole.path.removeprefix("/")).resolve())
    told = hashlib.sha256(place.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"candlewick-{os.getuid()}", told)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # Two processes that make a database's tables at once would be in each other's way.
    with (folder / ".opening.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_held(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
