"""The report of a run that was searched for: its trials, its windows, and how likely it is luck."""

from research.tune_report.write import has_more, write_tune_report

__all__ = ["has_more", "write_tune_report"]
