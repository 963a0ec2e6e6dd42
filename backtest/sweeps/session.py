"""A sweep that is kept: begun or taken up again, computed part by part, and made a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from backtest.inputs import Asked
from backtest.sweeps import kept, running, storage
from backtest.sweeps.alone import NoResult
from backtest.sweeps.asked import (
    GridAsked,
    asked_again,
    asked_fields,
    gather_for,
    grid_asked_again,
    rests_on,
    whole_axes,
)
from backtest.sweeps.grid import Grid, check_size
from backtest.sweeps.options import Options, known_pair
from backtest.sweeps.plan import SweepPlan
from backtest.sweeps.ranking import Summary, summarize
from backtest.sweeps.show import watching
from data.runs import Run, check_writable
from data.terminal import counted
from strategy.errors import RunRefused, Stopped, WickError


def open_session(
    asked: Asked | None,
    given: GridAsked,
    resume: str | None,
    options: Options,
    store: Path,
    runs: Path,
    name: str | None,
    command: Sequence[str],
) -> "Session":
    """Gather everything a sweep needs; take up an unfinished one where there is the same.

    Raises
    ------
    WickError
        Something asked for does not exist or does not fit, or has changed since the sweep that
        shall go on began.
    """
    check_writable(runs)
    found = None if resume is None else storage.find_unfinished(runs, resume)
    if asked is None and found is None:
        raise WickError("no strategy is named", "wick sweep rsi_macd_atr --grid rsi=5:40:1")
    if asked is None and found is not None:
        asked = asked_again(found[1].asked)
        given = grid_asked_again(found[1])
        options = replace(options, objective=found[1].objective, heat=found[1].heat)
    assert asked is not None
    inputs, grid = gather_for(asked, given, store, runs)
    if options.heat is not None:
        known_pair(options.heat, grid.names)
    count, now = check_size(grid), rests_on(inputs, grid, given.seed)
    if found is not None:
        storage.check_same(*found, now)
    else:
        found = next(
            (one for one in storage.unfinished(runs).items() if one[1].rests_on == now), None
        )
    plan = SweepPlan.of(inputs, grid.names)
    if found is not None:
        return Session(plan, grid, count, options, runs, *found)
    running.check_first(plan, grid)
    part = running.part_size(grid.places, bool(plan.why_walked(inputs.risk, inputs.costs)))
    planned = kept.planned_of(inputs, grid, part, given.seed, name, command, asked_fields(asked))
    planned = structs.replace(planned, objective=options.objective, heat=options.heat)
    told = _began_before(runs, planned)
    return Session(plan, grid, count, options, runs, None, planned, told)


def _began_before(runs: Path, planned: storage.SweepPlanned) -> list[str]:
    # The same was asked for, and it began on something else: the new one mixes nothing.
    asked, told = (asked_again(planned.asked), grid_asked_again(planned)), []
    for folder, one in storage.unfinished(runs).items():
        if one.asked and (asked_again(one.asked), grid_asked_again(one)) == asked:
            changed = storage.changed_since(one, planned.rests_on)
            told.append(
                f"unfinished sweep {one.id} is of the same command, but since it began there have"
                f" changed: {', '.join(changed)}; this one begins anew. Put it back as it was and"
                f" {storage.resume_command(folder)} goes on; to give it up, delete {folder}"
            )
    return told


@dataclass
class Session:
    """A sweep with its folder; None as long as nothing is written."""

    plan: SweepPlan
    grid: Grid
    count: int
    options: Options
    runs: Path
    folder: Path | None
    planned: storage.SweepPlanned
    told: Sequence[str] = ()

    def says(self) -> list[str]:
        """Say how many combinations there are, before they are run."""
        left_out = self.grid.places - self.count
        more = f", {left_out:,} left out by --where" if left_out else ""
        sizes = " × ".join(f"{axis.name} {len(axis.values):,}" for axis in self.grid.axes)
        lines = [f"{counted(self.count, 'combination')}: {sizes}{more}"]
        if self.folder is not None:
            told = f"{self._kept()} of {self._parts()} parts done"
            lines.append(f"going on with {self.planned.id}, {told}")
        return [*lines, *self.told]

    def run(self, many: running.Many | None = None) -> tuple[Run, Summary]:
        """Compute what is missing, and make the sweep a run.

        Parameters
        ----------
        many : callable, optional
            Computes the parts instead of this process.

        Raises
        ------
        RunRefused
            No combination has a result, or a part cannot be written.
        Stopped
            By Ctrl-C; what is there stays.
        """
        if self.folder is None:
            self.folder = storage.begin(self.runs, self.planned, self.plan.inputs.strategy.source)
        with storage.held(self.folder):
            try:
                return self._compute(storage.Parts(self.folder), many)
            except NoResult:
                storage.remove(self.folder)
                raise
            except WickError as error:
                if self._kept():
                    raise
                storage.remove(self.folder)
                if isinstance(error, RunRefused):  # its hint is to resume
                    hint = "make room, then the same command begins anew"
                    raise RunRefused(error.message, hint) from error
                raise
            except KeyboardInterrupt:
                pass
            if not self._kept():
                storage.remove(self.folder)
                raise Stopped(
                    "stopped before the first part was done, so nothing is kept",
                    "the same command begins anew",
                )
            raise Stopped(
                f"stopped with {self._kept()} of {self._parts()} parts done",
                f"{storage.resume_command(self.folder)} goes on with it",
            )

    def _kept(self) -> int:
        results = () if self.folder is None else (self.folder / "results").glob("part-*.parquet")
        return sum(1 for _ in results)

    def _parts(self) -> int:
        return -(-self.grid.places // self.planned.part)

    def _compute(self, parts: storage.Parts, many: running.Many | None) -> tuple[Run, Summary]:
        size, objective = self.planned.part, self.options.objective
        done = parts.done()
        missing = [at for at in range(self._parts()) if at not in done]
        words = f"sweep of {self.plan.inputs.strategy.name}"
        before = min(len(done) * size, self.count)
        if many is None:
            many = running.one_by_one(self.options.threads, self.options.memory)
        with watching(words, self.count, objective, before) as watcher:
            whole = whole_axes(self.grid, self.plan.inputs)
            for at, table in running.parts_of(self.plan, self.grid, size, missing, whole, many):
                parts.write(at, table)
                watcher.saw(table)
        summary = summarize(parts.rows, self.grid, objective, self.options.top)
        run = kept.finish(
            self.plan.inputs,
            self.grid,
            self.planned,
            parts,
            summary,
            self.plan.says(),
            self.options.heat,
        )
        return run, summary
