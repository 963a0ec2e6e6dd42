"""Runs as `wick runs` finds them: small real ones, and the same with something changed."""

from pathlib import Path
from typing import Any

import msgspec

from data.run_json import FundingRecord, RunRecord
from data.runs import Run, save
from tests.backtest.report_runs import market, report_run


def first_run(folder: Path) -> Run:
    """Keep a run of two days with trades, named first."""
    made = report_run(folder, [market(3_000, 300)])
    made.folder.rename(folder / "first")
    record = msgspec.structs.replace(made.record, id="first")
    (folder / "first" / "run.json").write_bytes(msgspec.json.encode(record))
    (folder / "first" / "strategy.py").write_text("TIMEFRAME = '1m'\n")
    return Run(folder / "first", record, made.trades, made.time, made.equity)


def like(run: Run, name: str, later_ms: int = 1000, **changes: Any) -> RunRecord:
    """Keep a run again under a name, with fields of its record changed."""
    record = msgspec.structs.replace(
        run.record, id=name, created_ms=run.record.created_ms + later_ms, **changes
    )
    source = (run.folder / "strategy.py").read_bytes()
    save(run.folder.parent, record, run.trades, run.time, run.equity, source)
    return record


def with_data(run: Run, **changes: Any) -> Any:
    """Return the data of a run with fields of its only symbol changed."""
    return [msgspec.structs.replace(run.record.data[0], **changes)]


FUNDED = FundingRecord(3, 3, 1, 2, "e" * 64)
