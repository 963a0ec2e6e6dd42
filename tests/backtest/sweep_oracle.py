"""A sweep one by one: every combination is a backtest of its own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs, run
from backtest.sweeps.alone import inputs_of
from data.run_record import figures_of
from strategy.errors import WickError

Floats = NDArray[np.float64]


def one_by_one(
    inputs: Inputs, names: Sequence[str], values: Floats, keys: Sequence[str]
) -> tuple[dict[str, Floats], list[str]]:
    """Return the figures of each row of values (m, k), and why a row has none."""
    found, notes = np.full((len(keys), len(values)), np.nan), []
    for at, row in enumerate(values.tolist()):
        try:
            result = run(inputs_of(inputs, names, row))
        except WickError as error:
            notes.append(error.message)
            continue
        notes.append("")
        known = {one.key: one.value for one in figures_of(result)}
        found[:, at] = [np.nan if known[key] is None else known[key] for key in keys]
    return dict(zip(keys, found, strict=True)), notes
