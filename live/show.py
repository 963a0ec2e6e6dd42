"""How a session looks on the terminal."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from data import runs
from data.dates import show_time
from data.show import print_run
from live.control import Status
from live.folders import listed, supervisor_of
from live.running import Ended
from live.session import Session, read_session
from live.start import Draft
from live.watch import Standing, Watch, line
from strategy.errors import WickError

_PLAIN_EVERY_S = 60.0
_WIDEST = 1_000


class Lines:
    """The line that tells how a running session stands: one that changes on a terminal; elsewhere
    one a minute, and one whenever a trade or the state changes.

    Parameters
    ----------
    drafted : Draft
    """

    def __init__(self, drafted: Draft) -> None:
        self._drafted = drafted
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._said: tuple[object, ...] | None = None
        self._said_at = 0.0

    def __enter__(self) -> "Lines":
        if self._console.is_terminal:
            self._live.start()
            self._live.update(Text("starting and checking …"), refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, standing: Standing, troubles: str) -> None:
        """Show how the session stands; before the first time, what it is."""
        if self._said is None:
            self._said = ()
            self._say(_headline(self._drafted))
            for note in self._drafted.notes:
                self._say(f"note: {note}")
        if self._console.is_terminal:
            self._live.update(Text(line(standing, troubles)), refresh=True)
            return
        held = tuple(one.symbol for one in standing.positions)
        said = (standing.trades, held, standing.state, standing.note, standing.late, troubles)
        if said != self._said or time.monotonic() >= self._said_at + _PLAIN_EVERY_S:
            self._said, self._said_at = said, time.monotonic()
            self._say(line(standing, troubles))

    def _say(self, words: str) -> None:
        self._console.print(words, highlight=False, soft_wrap=True, markup=False)


def _headline(drafted: Draft) -> str:
    session = drafted.session
    words = f"session {session.id}: {title(session)}"
    if session.on == "paper":
        pace = f"at {drafted.speed:g} times its speed" if drafted.speed else "in lockstep"
        span = f"{show_time(session.trade_from)} to {show_time(drafted.end_ms)} UTC"
        words += f", {span} {pace}"
    return f"{words}; Ctrl-C ends it"


def title(session: Session) -> str:
    """Name what a session trades."""
    name = Path(session.strategy).stem
    symbols = ", ".join(session.symbols)
    return f"{name} on {session.on}, {symbols} {session.market} {session.timeframe}"


def print_ended(ended: Ended, runs_folder: Path, as_json: bool) -> None:
    """Print the run that a session left, or how it stood where there is none."""
    folder = _run_of(ended.session, runs_folder)
    if folder is not None and as_json:
        typer.echo((folder / "run.json").read_text(), nl=False)
        return
    if folder is not None:
        print_run(runs.read_record(folder), folder)
        return
    standing = Watch(ended.session, ended.folder).look().ended()
    if as_json:
        typer.echo(msgspec.json.encode(standing))
        return
    console = Console()
    console.print(line(standing), highlight=False, soft_wrap=True, markup=False)
    words = f"note: no run was written; the journal is in {ended.folder}"
    console.print(words, style="yellow", highlight=False, soft_wrap=True, markup=False)


def _run_of(session: Session, runs_folder: Path) -> Path | None:
    found = [path.parent for path in runs_folder.glob(f"{session.id}*/run.json")]
    return max(found, key=lambda one: (one / "run.json").stat().st_mtime_ns, default=None)


def print_list(sessions: Path, as_json: bool) -> None:
    """List all sessions, oldest first."""
    rows, damaged = [], []
    for folder in listed(sessions):
        try:
            session = read_session(folder)
            standing = Watch(session, folder).look()
        except WickError as error:  # one damaged folder must not hide the others
            damaged.append(error)
            continue
        state = standing.state if supervisor_of(folder) else "ended"
        rows.append((session, state, standing))
    rows.sort(key=lambda row: row[0].created_ms)
    for one in damaged:
        typer.echo(f"wick: {one.message}", err=True)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {"session": one.id, "state": state, "equity": standing.equity}
                    for one, state, standing in rows
                ],
                indent=2,
            )
        )
        return
    if damaged and not rows:
        return
    if not rows:
        raise WickError(
            f"there is no session in {sessions}", "wick live rsi_macd_atr --on paper starts one"
        )
    table = Table(box=None)
    for name in ("session", "what", "state"):
        table.add_column(name)
    table.add_column("equity", justify="right")
    for session, state, standing in rows:
        table.add_row(session.id, title(session), state, f"{standing.equity:,.2f}")
    _print_whole(Console(), table)


def _print_whole(console: Console, table: Table) -> None:
    # As wide as the table is: other commands need the whole name.
    whole = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
    console.width = max(console.width, whole)
    console.print(table)


def print_status(status: Status, as_json: bool) -> None:
    """Print the account and what the roles say of themselves."""
    if as_json:
        typer.echo(json.dumps(_as_json(status), indent=2))
        return
    console = Console()
    where = f"process {status.supervisor}" if status.supervisor else "not running"
    console.print(
        f"[bold]{escape(status.session.id)}[/]  {title(status.session)}  {where}",
        highlight=False,
        soft_wrap=True,
    )
    words = line(status.standing, status.troubles)
    console.print(words, highlight=False, soft_wrap=True, markup=False)
    if status.trouble is not None:
        for words in (f"note: {status.trouble.message}", f"hint: {status.trouble.hint}"):
            console.print(words, style="yellow", highlight=False, soft_wrap=True, markup=False)
    if status.signs:
        table = Table(box=None)
        for name in ("role", "state", "process", "last sign", "session time", "note"):
            table.add_column(name)
        for one in status.signs:
            age = f"{one.age_ms / 1000:,.1f} s ago"
            time = show_time(one.time)[:19] if one.time else ""
            style = "bold red" if one.state in ("gone", "silent") else ""
            table.add_row(one.role, one.state, str(one.pid), age, time, one.note, style=style)
        _print_whole(console, table)


def _as_json(status: Status) -> dict[str, Any]:
    standing = msgspec.to_builtins(status.standing)
    return {
        "session": status.session.id,
        "folder": str(status.folder),
        "running": bool(status.supervisor),
        "supervisor": status.supervisor,
        "standing": standing,
        "roles": [msgspec.to_builtins(one) for one in status.signs],
        "troubles": status.troubles,
        "trouble": None
        if status.trouble is None
        else {"message": status.trouble.message, "hint": status.trouble.hint},
    }
