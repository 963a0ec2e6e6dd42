"""Writers that are killed at drawn moments: python -m tests.data.run_kills FOLDER SEED COUNT.

Each is a fork of this process, which has imported everything, so that fifty take a second.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from data.run_folders import remove
from data.run_index import summaries
from data.run_tags import change_tags
from data.runs import find, load, records
from tests.data.run_folders import NOON, record, saved


def write_for_ever(runs: Path, number: int) -> None:
    """Save, tag, list and delete runs, one after the other."""
    at = 0
    while True:
        at += 1
        run = saved(runs, record(NOON + at, id=f"run-{number}-{at}"), trades=200)
        change_tags(run.folder, lambda _: ["a", "b"])
        summaries(runs)
        if at % 2:
            remove(run.folder)


def look(runs: Path) -> str:
    """Say what is wrong with what a killed writer left; empty where nothing is."""
    found, listed = records(runs), summaries(runs)
    if found.damaged or listed.damaged:
        return f"damaged: {found.damaged} {listed.damaged}"
    names = sorted(path.name for path in runs.iterdir() if not path.name.startswith("."))
    if sorted(one.id for one in found.records) != names:
        return f"not runs: {names}"
    for one, its in zip(found.records, listed.runs, strict=True):
        whole = load(runs, str(find(runs, one.id)))
        if (one.id, whole.trades.num_rows, len(whole.equity)) != (its.run, 200, 9):
            return f"not whole: {one.id}"
        if its.tags not in ([], ["a", "b"]):
            return f"half the tags: {its.tags}"
    return ""


def main(runs: Path, seed: int, count: int) -> None:
    """Kill writers, look after each; say how many left something, and what is left at the end."""
    draw, halves = random.Random(seed), 0
    runs.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        writer = os.fork()
        if writer == 0:
            write_for_ever(runs, number)
        time.sleep(draw.uniform(0.0, 0.06))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        halves += any(path.name.startswith(".unfinished-") for path in runs.iterdir())
        if wrong := look(runs):
            sys.exit(f"kill {number}: {wrong}")
    saved(runs, record(id="after"))
    left = [one.name for one in runs.iterdir() if one.name.startswith(".") and one.name != ".index"]
    sys.stdout.write(f"{halves} {left}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
