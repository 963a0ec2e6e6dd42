"""A new strategy file from the template beside this one."""

import importlib.util
import keyword
import os
from pathlib import Path

from data.disk import sync_folder, write_synced
from strategy.errors import WickError
from strategy.load import available

TEMPLATE = Path(__file__).with_name("template.py")


def write_new(name: str, folder: Path) -> Path:
    """Write a small complete strategy as a file that was not there before.

    Parameters
    ----------
    name : str
        Name of the strategy; folders may stand before it and .py behind it.
    folder : Path
        Where to put it; made if it is missing.

    Raises
    ------
    WickError
        The name cannot name a strategy, or the file exists.
    """
    before, slash, last = name.rpartition("/")
    stem = last.removesuffix(".py")
    _check_word(stem)
    path = folder / f"{before}{slash}{stem}.py"
    if path.exists():
        raise WickError(f"{path} exists already", "choose another name; nothing was overwritten")
    _check_free(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.new")
    write_synced(scratch, TEMPLATE.read_bytes())
    try:
        os.link(scratch, path)  # a rename would replace what somebody else wrote meanwhile
    except FileExistsError:
        raise WickError(f"{path} exists already", "nothing was overwritten") from None
    finally:
        scratch.unlink()
    sync_folder(path.parent)
    return path


def _check_word(name: str) -> None:
    hint = "letters, digits and _, such as wick new my_idea"
    if not name.isidentifier():
        raise WickError(f"{name!r} cannot name a strategy: it is not a Python name", hint)
    if keyword.iskeyword(name):
        raise WickError(f"{name!r} cannot name a strategy: it is a word of Python itself", hint)


def _check_free(name: str) -> None:
    if name in available():
        raise WickError(
            f"{name!r} is the name of a strategy that comes with Candlewick",
            f"choose another, such as wick new my_{name}",
        )
    # Python looks into the folder of a script first: a file numpy.py would be taken for NumPy.
    if importlib.util.find_spec(name) is not None:
        raise WickError(
            f"{name!r} is the name of a Python module, which the file would hide from its folder",
            f"choose another, such as wick new my_{name}",
        )
