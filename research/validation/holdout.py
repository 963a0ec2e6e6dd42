"""A hold-out: candles that a search never saw, opened once and recorded as opened."""

import ast
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from backtest.inputs import Asked, Inputs, gather, run
from backtest.record import record_with, run_with
from data.dates import now_ms, show_time
from data.run_json import RunRecord, TuneRecord
from data.runs import Run, find, keep, read_record, records
from data.terminal import counted
from data.tune_json import HoldoutRecord
from strategy.errors import RunRefused, WickError
from strategy.load import load_source

_LEDGER = "holdouts.jsonl"  # among the runs


class Opened(msgspec.Struct, frozen=True):
    """A line of the ledger: whose winner was looked at on which candles, and when."""

    strategy: str
    market: str
    symbols: list[str]
    from_ms: int
    to_ms: int
    tune: str
    at_ms: int
    source_hash: str = ""
    code: str = ""  # of the file without comments, empty where it is lost

    def overlaps(self, other: "Opened") -> bool:
        """Say whether the strategy, or a copy of its file, has seen some of the other's candles
        through this one."""
        same = (
            self.strategy == other.strategy
            or self.source_hash == other.source_hash
            or (self.code == other.code != "")
        )
        return (
            same
            and self.market == other.market
            and bool(set(self.symbols) & set(other.symbols))
            and self.from_ms < other.to_ms
            and other.from_ms < self.to_ms
        )


def openings(runs: Path, record: RunRecord) -> list[Opened]:
    """Return the earlier openings that have shown this tuning's hold-out, or a part of it."""
    asked = _opening(runs, record, 0)
    return [one for one in _read(runs) if one.overlaps(asked)]


def open_holdout(
    name: str, store: Path, runs: Path, *, again: bool = False, command: Sequence[str] = ()
) -> Run:
    """Run a tuning's winner on its hold-out, and keep that as a run.

    The opening is written down before the first candle is looked at, so that it counts whatever
    happens then.

    Parameters
    ----------
    name : str
        The tuning's run.
    again : bool
        Also where its strategy has seen these candles before.

    Raises
    ------
    WickError
        The run is no tuning, or its candles are gone or have changed.
    RunRefused
        The hold-out was opened before, or the winner used the balance up on it.
    """
    folder = find(runs, name)
    record = read_record(folder)
    tune = record.tune
    if tune is None or tune.holdout is None or record.kind != "tune":
        raise WickError(
            f"run {record.id} has no hold-out to open: it is a {record.kind}",
            "wick tune keeps the last 30 % of the candles as one; name its run",
        )
    inputs = _inputs(folder, record, tune, store, runs)
    with _ledger(runs):
        before = openings(runs, record)
        if before and not again:
            last = before[-1]
            raise RunRefused(
                f"{record.strategy.name} has seen the hold-out of {record.id} before:"
                f" {last.tune} opened {show_time(last.from_ms)[:10]} to"
                f" {show_time(last.to_ms)[:10]} on {show_time(last.at_ms)[:10]} (UTC)",
                "what is found there now is no longer out of sample; take newer candles, or say"
                " --again and it counts how often",
            )
        opening = _opening(runs, record, now_ms())
        _append(runs, opening)
    opened = HoldoutRecord(opening.from_ms, opening.to_ms, opening.at_ms, "", len(before) + 1)
    return _judged(inputs, record, tune, opened, runs, command, _seen_by(runs, record, opening))


def _inputs(folder: Path, record: RunRecord, tune: TuneRecord, store: Path, runs: Path) -> Inputs:
    # With the strategy as it was when it was tuned.
    source = folder / "strategy.py"
    if not source.is_file():
        raise WickError(f"{folder} has lost its strategy.py", "make the run again")
    strategy = load_source(Path(record.strategy.path), source.read_bytes())
    asked = Asked(
        strategy,
        params=record,
        start_ms=tune.split_ms,
        end_ms=tune.test_to_ms,
        warm_ms=tune.train_from_ms,
    )
    inputs = gather(asked, store, runs)
    for one, its in zip(inputs.history, record.data, strict=True):
        before = one.slice(0, its.candles)
        if before.fingerprint != its.fingerprint:
            raise WickError(
                f"the stored candles of {one.symbol} have changed since run {record.id}",
                "put them back, or tune again",
            )
    return inputs


def _judged(
    inputs: Inputs,
    record: RunRecord,
    tune: TuneRecord,
    opened: HoldoutRecord,
    runs: Path,
    command: Sequence[str],
    seen: Sequence[str],
) -> Run:
    try:
        result = run(inputs)
    except RunRefused as error:
        raise RunRefused(f"out of sample, {error.message}", error.hint) from error
    note = "" if opened.times == 1 else f"; look {opened.times} at these candles"
    made = record_with(
        result,
        inputs,
        kind="holdout",
        created_ms=opened.opened_ms,
        command=command,
        before=(f"the winner of {record.id} on its hold-out{note}", *seen),
    )
    own = msgspec.structs.replace(opened, opened_by=record.id)
    made = msgspec.structs.replace(made, tune=msgspec.structs.replace(tune, holdout=own))
    return keep(runs, run_with(runs, made, result), inputs.strategy.source)


def _seen_by(runs: Path, record: RunRecord, opening: Opened) -> list[str]:
    # Searches and runs of the same strategy whose candles reach into the hold-out.
    codes: dict[str, str] = {}
    others = []
    for one in records(runs).records:
        if one.id == record.id or one.kind == "holdout":
            continue
        its = one.strategy.source_hash
        if its not in codes:
            codes[its] = _code(runs, one)
        seen = Opened(
            one.strategy.name,
            one.data[0].market,
            [series.symbol for series in one.data],
            min(series.first_ms for series in one.data),
            max(series.end_ms for series in one.data),
            one.id,
            0,
            its,
            codes[its],
        )
        if seen.overlaps(opening):
            others.append(one.id)
    if not others:
        return []
    named = ", ".join(others[-3:])
    return [
        f"{counted(len(others), 'run')} of {record.strategy.name} had seen its candles: {named}"
    ]


def _opening(runs: Path, record: RunRecord, at_ms: int) -> Opened:
    tune = record.tune
    assert tune is not None
    return Opened(
        record.strategy.name,
        record.data[0].market,
        [one.symbol for one in record.data],
        tune.split_ms,
        tune.test_to_ms,
        record.id,
        at_ms,
        record.strategy.source_hash,
        _code(runs, record),
    )


def _code(runs: Path, record: RunRecord) -> str:
    # What a comment or another docstring does not change.
    try:
        tree = ast.parse((runs / record.id / "strategy.py").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    its = node.value if isinstance(node, ast.Expr) else None
    return isinstance(its, ast.Constant) and isinstance(its.value, str)


def _read(runs: Path) -> list[Opened]:
    path = runs / _LEDGER
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(msgspec.json.decode(line, type=Opened))
        except msgspec.MsgspecError as error:
            raise WickError(
                f"{path} is damaged in line {number}: {error}",
                "mend the line; it is what tells a hold-out that was opened from one that was not",
            ) from error
    return found


def _append(runs: Path, opening: Opened) -> None:
    with (runs / _LEDGER).open("ab") as file:
        file.write(msgspec.json.encode(opening) + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _ledger(runs: Path) -> Iterator[None]:
    with (runs / f".{_LEDGER}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
