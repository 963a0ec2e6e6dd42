"""Write the fingerprints again, on purpose: `python -m tests.golden.rewrite`.

Only for a change that is meant to change results; the commit says which and why. What differs from
before is printed. Cases whose files are absent keep what was known of them.
"""

import json
import tempfile
from pathlib import Path

from tests.conftest import SHARED_DATA
from tests.golden.cases import FILE, cases, difference, golden, is_drawn, now_fields, read, run


def main() -> None:
    """Run every case and write the file."""
    before = read()["golden"] if FILE.exists() else {}
    fields, kept = now_fields(), {}
    with tempfile.TemporaryDirectory() as scratch:
        for case in cases():
            if not is_drawn(case) and not SHARED_DATA.is_dir():
                if case.name in before:
                    kept[case.name] = before[case.name]
                continue
            result = run(case, SHARED_DATA, Path(scratch))
            kept[case.name] = golden(case, result, fields)
            if case.name in before:
                old = before[case.name]
                if said := difference(case.name, old, kept[case.name], result):
                    print(said)  # noqa: T201
    FILE.write_text(json.dumps({"fields": fields, "golden": kept}, indent=1) + "\n")
    print(f"{len(kept)} fingerprints in {FILE}")  # noqa: T201


if __name__ == "__main__":
    main()
