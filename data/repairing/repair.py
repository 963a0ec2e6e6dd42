"""Mend a stored series: its manifest, its files, its holes, each step stored before the next.

Nothing that can be read is given up before what replaces it is stored. What cannot be replaced is
set aside under a name that nothing reads, so that wrong candles never pass for right ones.
"""

from collections.abc import Sequence
from pathlib import Path

from data.checking.present import gaps_of
from data.gaps import LEDGER, Explained, classify, read_ledger
from data.manifest import MANIFEST, Manifest, Series, StoredFile, read_manifest
from data.repairing.mend import Mender
from data.repairing.refill import Refill
from data.repairing.repaired import Repaired
from data.repairing.salvage import find_damaged, remade_manifest, set_aside, sound_rows
from data.repairing.supply import Supply
from data.writer import SeriesWriter, holding
from strategy.errors import WickError


def repair_series(store: Path, supply: Supply, again: bool = False) -> Repaired:
    """Mend one stored series.

    Parameters
    ----------
    store : Path
        Folder of the store.
    supply : Supply
        Where rows come from, and of which series.
    again : bool
        Ask also for holes that were asked for before.

    Raises
    ------
    RunRefused
        Another process writes this series, or a file cannot be opened.
    """
    series, done = supply.series, Repaired(supply.series)
    with holding(store, series) as folder:
        remade = _remade(folder, series, done)
        writer = SeriesWriter(folder, series.its_kind)
        if remade is not None:
            writer.adopt(remade)
        supply.own = any(s.tumbled for f in writer.manifest.files for s in f.sources)
        _mend_ledger(folder, done)
        broken = _take_strangers(folder, series, writer, done)
        mender = Mender(folder, writer, supply, done)
        suspects = Manifest((*writer.manifest.files, *broken))
        for damaged in find_damaged(folder, suspects, series):
            mender.mend(damaged)
        # Holes are known once all files can be read.
        if not mender.left_alone and writer.manifest.files:
            _fill(store, writer, supply, again, done)
    done.failed += [text for text in (supply.archive_failed, supply.rest_failed) if text]
    done.notes += supply.notes
    return done


def _fill(store: Path, writer: SeriesWriter, supply: Supply, again: bool, done: Repaired) -> None:
    refill = Refill(store, writer, supply)
    done.missing += sum(gap.count for gap in gaps_of(store, supply.series))
    left = refill.fill(again)
    done.filled += refill.filled
    ledger = read_ledger(supply.series.folder(store))
    _count(done, classify(left, ledger, supply.series))


def _count(done: Repaired, left: Sequence[Explained]) -> None:
    for hole in left:
        done.left += hole.gap.count
        done.causes[hole.cause] = done.causes.get(hole.cause, 0) + hole.gap.count


def _remade(folder: Path, series: Series, done: Repaired) -> Manifest | None:
    """Make a lost or damaged manifest anew of the files that can be read."""
    path = folder / MANIFEST
    why = "was lost"
    try:
        read_manifest(folder)
        if path.exists():
            return None
    except WickError:
        why = f"was damaged and is kept as {set_aside(path).name}"
    manifest, _ = remade_manifest(folder, series)
    done.mended.append(
        f"{MANIFEST} {why}: made anew from {len(manifest.files)} files; where their rows came from"
        " is not known any more"
    )
    return manifest


def _mend_ledger(folder: Path, done: Repaired) -> None:
    try:
        read_ledger(folder)
    except WickError:
        aside = set_aside(folder / LEDGER)
        done.mended.append(f"{LEDGER} was damaged: begun anew, the old one is kept as {aside.name}")


def _take_strangers(
    folder: Path, series: Series, writer: SeriesWriter, done: Repaired
) -> list[StoredFile]:
    """Take in files that the manifest does not name where they are sound; return the others."""
    named = {f.name for f in writer.manifest.files}
    strangers = [path for path in sorted(folder.glob("*.parquet")) if path.name not in named]
    if not strangers:
        return []
    manifest, broken = remade_manifest(folder, series)
    left = [stored for stored in broken if stored.name not in named]
    for stored in manifest.files:
        if stored.name in named:
            continue
        rows = sound_rows(folder, stored, series)
        if rows is None:
            left.append(stored)
        else:
            writer.replace(stored.period, rows, ())
            done.mended.append(f"{stored.name} was not in the manifest: taken in")
    known = {f.name for f in (*manifest.files, *broken)}
    for path in (p for p in strangers if p.name not in known):
        done.mended.append(f"{path.name} is no month or day: kept as {set_aside(path).name}")
    return left
