"""From a backtest's result to the record that a run folder keeps, and to a run."""

from collections.abc import Sequence
from pathlib import Path

from backtest.engine import Result
from backtest.inputs import Inputs
from backtest.notes import volume_notes
from data.run_json import IntervalRecord, RunRecord
from data.run_record import run_record
from data.run_tables import part_table, trade_table
from data.runs import Run, run_id
from data.symbols import DatedRules, SymbolRules
from strategy.candles import Candles
from strategy.margin import Marks
from strategy.risk import REFUSALS


def record_of(
    result: Result,
    *,
    kind: str,
    created_ms: int,
    command: Sequence[str],
    rules: Sequence[SymbolRules],
    terms: Sequence[Sequence[DatedRules]] = (),
    marks: Sequence[Marks | None] = (),
    notes: Sequence[str] = (),
    seed: int | None = None,
    name: str | None = None,
    detail: Sequence[Candles | None] = (),
    interval: IntervalRecord | None = None,
    history: Sequence[Candles] = (),
) -> RunRecord:
    """Describe a result completely: what ran, on which data and rules, and what came out."""
    return run_record(
        result,
        kind=kind,
        name=name or run_id(created_ms, kind, result.strategy.name, result.symbols),
        created_ms=created_ms,
        command=command,
        rules=rules,
        refused=refusals(result),
        notes=(*notes, *volume_notes(result)),
        seed=seed,
        funding=result.funding,
        detail=detail,
        interval=interval,
        terms=terms,
        marks=marks,
        history=history,
    )


def record_with(
    result: Result,
    inputs: Inputs,
    *,
    kind: str,
    created_ms: int,
    command: Sequence[str] = (),
    before: Sequence[str] = (),
    behind: Sequence[str] = (),
    seed: int | None = None,
    name: str | None = None,
    interval: IntervalRecord | None = None,
) -> RunRecord:
    """Describe the result of these inputs completely.

    Parameters
    ----------
    before, behind : sequence of str
        Notes around those of the inputs.
    """
    return record_of(
        result,
        kind=kind,
        created_ms=created_ms,
        command=command,
        rules=inputs.rules,
        terms=inputs.terms,
        marks=inputs.marks,
        notes=(*before, *inputs.notes, *behind),
        seed=seed,
        name=name,
        detail=inputs.detail,
        interval=interval,
        history=inputs.history,
    )


def run_with(runs: Path, record: RunRecord, result: Result) -> Run:
    """Return a result as a run with the folder that it will have; it is not kept yet."""
    trades = trade_table(result.trades, result.symbols)
    parts = part_table(result.parts, result.trades, result.symbols)
    return Run(runs / record.id, record, trades, result.time, result.equity, parts)


def refusals(result: Result) -> dict[str, int]:
    """Count refused entries by reason, over all symbols."""
    totals = result.refused.sum(axis=0)
    return {name: int(n) for name, n in zip(REFUSALS, totals, strict=True) if n}
