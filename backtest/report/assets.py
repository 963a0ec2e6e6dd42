"""What pages of one file are made of: styles, scripts, Plotly, and a policy that admits no more."""

import base64
import hashlib
from functools import cache
from importlib.resources import files


def inline(json: str) -> str:
    """Make JSON fit for a script element."""
    # Inside a script element nothing is an entity, and only a < could end it.
    return json.replace("<", "\\u003c")


def policy(*scripts: str) -> str:
    """Return a content policy that runs these scripts only and fetches nothing."""
    # Even if a name slipped through unescaped, nothing else runs.
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:"


@cache
def part(name: str, room: str = "backtest.report") -> str:
    """Read a part of a page that lies beside the code."""
    return (files(room) / name).read_text(encoding="utf-8")


@cache
def plotly_script() -> str:
    """Read the whole of Plotly's script."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
