"""A bar on standard error while something goes on; nothing where nobody watches."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def bars(*more: str) -> Iterator[Any]:
    """Give rich's progress display, with columns of one's own behind the usual ones."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        *map(TextColumn, more),
    ]
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        yield shown


@contextlib.contextmanager
def progress(words: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar while something goes on; gives what is called after each step."""
    with bars() as shown:
        task = shown.add_task(words, total=total)
        yield lambda: shown.advance(task)
