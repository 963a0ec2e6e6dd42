"""What `wick data repair` prints."""

from collections.abc import Sequence

from data.repairing.repaired import Repaired
from data.terminal import new_table, out, print_some


def print_repaired(results: Sequence[Repaired]) -> None:
    """Print one line per series, then what was mended, what failed and what to do about it."""
    table = new_table("series", "missing>", "filled>", "left>", "cause of what is left")
    for r in results:
        causes = ", ".join(f"{cause} {count:,}" for cause, count in r.causes.items())
        table.add_row(str(r.series), f"{r.missing:,}", f"{r.filled:,}", f"{r.left:,}", causes)
    out.print(table)
    for r in results:
        print_some("mended", [f"{r.series}: {text}" for text in r.mended])
        print_some("note", [f"{r.series}: {text}" for text in dict.fromkeys(r.notes)])
        names = ", ".join(dict.fromkeys(r.import_again))
        if names:
            out.print(f"{r.series}: import again: {names}", markup=False, soft_wrap=True)
    failed = dict.fromkeys(text for r in results for text in r.failed)
    print_some("failed", list(failed))
    if failed:
        out.print("run the same command again later: what is mended stays", soft_wrap=True)
