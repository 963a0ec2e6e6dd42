"""One row of a finished sweep as if it were a run of its own: RUN#17 is the 17th of its top."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from backtest.sweeps.ranking import best_of
from backtest.sweeps.storage import Parts
from data.run_json import RunRecord
from strategy.errors import WickError


def picked(record: RunRecord, folder: Path, rank: str) -> RunRecord:
    """Return a sweep's record with the params, risk settings and costs of one of its best rows.

    Parameters
    ----------
    record : RunRecord
    folder : Path
        Of the sweep.
    rank : str
        Counted from 1 in the order of the sweep's objective.

    Raises
    ------
    WickError
        The run is no sweep, or has no such row.
    """
    its = record.sweep
    if its is None:
        raise WickError(f"run {record.id} is no sweep, so it has no #{rank}", "leave the # out")
    if not (rank.isdecimal() and len(rank) < 10 and 1 <= int(rank) <= its.combinations):
        raise WickError(
            f"--params {record.id}#{rank}: expected a place from #1 to #{its.combinations}",
            f"--params {record.id}#1 is the best by {its.objective}",
        )
    kept: pa.Table | None = None
    for table in Parts(folder).rows():
        kept = best_of(kept, table, its.objective, int(rank))
    assert kept is not None
    row = kept.slice(int(rank) - 1, 1).to_pylist()[0]
    return _with_values(record, rank, {axis.name: row[axis.name] for axis in its.axes})


def _with_values(record: RunRecord, rank: str, values: dict[str, Any]) -> RunRecord:
    tables = {"": record.params, "risk": record.risk, "costs": record.all_costs._asdict()}
    tables = {owner: dict(table) for owner, table in tables.items()}
    for name, value in values.items():
        owner, _, field = name.rpartition(".")
        tables[owner][field] = value
    costs = tables["costs"]
    return msgspec.structs.replace(
        record,
        id=f"{record.id}#{rank}",
        params=tables[""],
        risk=tables["risk"],
        costs=costs,
        fee_rate=costs["fee_rate"],
        slippage=costs["slippage"],
        result_hash="",  # of another row
        sweep=None,
    )
