"""What a fetch did, and whoever is told while it goes on."""

from dataclasses import dataclass, field
from typing import Protocol

from data.gaps import Entry
from data.manifest import Series, Source
from data.writer import Merge


class Watcher(Protocol):
    """Whoever shows the progress of a fetch."""

    def foresee(self, steps: int) -> None:
        """About so many files and pages there may be in all."""

    def expect(self, steps: int) -> None:
        """More files, or pages of REST, are going to be asked for."""

    def receive(self, size_bytes: int) -> None:
        """A piece has arrived; called from several threads."""

    def finish(self) -> None:
        """A file is stored, was stored before, or does not exist; or a page of REST is there."""


@dataclass(slots=True)
class Fetched:
    """What a fetch of one series did.

    Attributes
    ----------
    files, known : int
        Files of the archive fetched now, and stored before.
    merge : Merge
        Rows of files and REST together.
    rest_rows : int
        Rows that came from REST.
    sources : list of Source
        What was stored now: files and answers of REST with their SHA-256.
    filled : list of Entry
        Holes that were asked for at REST: why rows are missing, and how many are stored since.
    missing_days : list of str
        Days without a file that are not stored from elsewhere.
    refused : dict of str
        Why the content of a file cannot be stored, by the day or month that it is of.
    notes : list of str
        Everything else worth knowing, in words.
    """

    series: Series
    files: int = 0
    known: int = 0
    merge: Merge = field(default_factory=Merge)
    rest_rows: int = 0
    sources: list[Source] = field(default_factory=list)
    filled: list[Entry] = field(default_factory=list)
    missing_days: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def lacking(self) -> list[str]:
        """Days and months whose file was refused and that nothing else could fill."""
        return [p for p in self.refused if any(d.startswith(p) for d in self.missing_days)]

    def stored(self, merge: Merge, source: Source) -> None:
        """Count an addition to the store."""
        self.merge += merge
        self.sources.append(source)
