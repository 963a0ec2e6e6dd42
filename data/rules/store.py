"""Exchange rules on the disk: those that come with the package, and those of a store.

STORE/rules/um.json     the listings and leverage brackets of all symbols, dated
STORE/rules/spot.json
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec

from data.disk import sync_folder, write_synced
from data.rest.listings import Brackets, Listing
from data.rules.history import Timeline
from strategy.errors import RunRefused, WickError

_PACKAGED = Path(__file__).with_name("packaged.json")
_FOLDER = "rules"


class MarketRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about a market's symbols; brackets are told apart from the rest of it."""

    listings: Timeline[Listing] = Timeline()
    brackets: Timeline[Brackets] = Timeline()


@cache
def packaged_rules() -> dict[str, MarketRules]:
    """Read the rules that come with the package, by market."""
    return msgspec.json.decode(_PACKAGED.read_bytes(), type=dict[str, MarketRules])


def stored_rules(store: Path, market: str) -> MarketRules:
    """Read the rules of a store; an absent file is empty.

    Raises
    ------
    WickError
        The file is there but holds something else.
    """
    path = store / _FOLDER / f"{market}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=MarketRules)
    except (FileNotFoundError, NotADirectoryError):
        return MarketRules()
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise WickError(
            f"{path} is damaged: {error}", "delete it, and wick data symbols --update"
        ) from error


def change_rules(
    store: Path, market: str, change: Callable[[MarketRules], MarketRules]
) -> tuple[MarketRules, MarketRules]:
    """Replace the rules of a store by changed ones, whole or not at all.

    Who changes them at the same time waits, so nothing is lost.

    Returns
    -------
    before, after : MarketRules

    Raises
    ------
    RunRefused
        The store cannot be written.
    WickError
        The stored rules are damaged.
    """
    folder = store / _FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            before = stored_rules(store, market)
            after = change(before)
            if after != before:
                path = folder / f"{market}.json"
                temporary = path.with_suffix(".new")
                write_synced(temporary, msgspec.json.encode(after))
                temporary.replace(path)
                sync_folder(folder)
            return before, after
    except OSError as error:
        raise RunRefused(
            f"the exchange rules cannot be written to {folder}: {error.strerror}",
            "name a folder that can be written with --store",
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # Released when the process ends, however it ends. It waits: a change takes a moment.
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
