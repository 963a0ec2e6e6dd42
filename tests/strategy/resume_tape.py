"""Go on from the tape snapshots in a folder, in a process of its own.

``python -m tests.strategy.resume_tape FOLDER``
"""

import sys
from pathlib import Path

import numpy as np

from strategy.tape import Tape
from tests.strategy.cases import CASES, on_two_timeframes
from tests.strategy.market import IDENTITY, market

# The cut lies inside a 5m window.
SEED, COUNT, CUT, GAP_RATE = 11, 400, 203, 0.05


def main(folder: Path) -> None:
    rest = market(SEED, COUNT, gap_rate=GAP_RATE).slice(CUT, COUNT)
    for case in CASES:
        tape = Tape.restore((folder / f"{case.name}.tape").read_bytes(), IDENTITY)
        with tape.reading(rest.open_time):
            values = on_two_timeframes(case, rest)
        np.save(folder / f"{case.name}.npy", np.stack(values))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
