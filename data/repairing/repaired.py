"""What a repair of one series did."""

from dataclasses import dataclass, field

from data.gaps import Cause
from data.manifest import Series


@dataclass(slots=True)
class Repaired:
    """What a repair of one series did.

    Attributes
    ----------
    missing, filled, left : int
        Rows missing or damaged before, those stored now, those still missing.
    causes : dict
        Rows still missing by cause.
    mended : list of str
        Files and manifests that are whole again, and how.
    import_again : list of str
        Local files with rows that were lost here; nobody else is asked for them.
    failed : list of str
        What did not answer, and files left as they are because of it.
    notes : list of str
        Everything else worth knowing.
    """

    series: Series
    missing: int = 0
    filled: int = 0
    left: int = 0
    causes: dict[Cause, int] = field(default_factory=dict)
    mended: list[str] = field(default_factory=list)
    import_again: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Nothing is left that another repair or an import would mend."""
        return not self.failed and not self.import_again
