"""The windows of a walk-forward: where each was searched and judged, with which params."""

from html import escape

from backtest.report.markup import nothing, row, table
from data.dates import show_day
from data.tune_json import WalkRecord, WindowRecord
from research.tune_report.verdict import known, label_of, note, score_of, signed

SCHEMES = {
    "anchored": "each window was searched from the first candle on up to its test span",
    "rolling": "each window was searched on a span of the same length before its test span",
    "kfold": "each part was judged with params searched on all others",
    "cpcv": "every choice of parts was judged with params searched on the rest; the account is that"
    " of the first path",
}
DAY_MS = 86_400_000


def about(walk: WalkRecord) -> str:
    """Write how the windows were made, and what they give together."""
    rows = [
        ("scheme", f"{walk.scheme}: {SCHEMES.get(walk.scheme, '')}".rstrip(": ")),
        ("windows", f"{len(walk.windows):,}"),
        ("objective", label_of(walk.objective)),
        ("trials a window", f"{walk.trials:,}"),
        ("left out of training before a test span", _span(walk.purge_ms)),
        ("and behind it", _span(walk.embargo_ms)),
        ("annual return out of sample ÷ in sample", known(walk.efficiency, ".2f")),
    ]
    paths = [one for one in walk.paths if one is not None]
    if paths:
        middle = sorted(paths)[len(paths) // 2]
        rows.append(
            ("Sharpe of the paths", f"{min(paths):.2f} to {max(paths):.2f}, middle {middle:.2f}")
        )
    return table("", [], "".join(row(*one) for one in rows), "about")


def windows(walk: WalkRecord) -> str:
    """Write every window: its spans, its params, what they had in sample and out of it."""
    names = list(dict.fromkeys(name for one in walk.windows for name in one.params))
    heads = ["", "test", "searched on", f"{escape(label_of(walk.objective))} in sample", "Sharpe",
             "total return", "max drawdown", "trades", "params"]  # fmt: skip
    rows = "".join(
        _window(at, one, walk.objective, names) for at, one in enumerate(walk.windows, 1)
    )
    notes = "".join(
        note(f"Window {at}: {one.note}") for at, one in enumerate(walk.windows, 1) if one.note
    )
    return table("", heads, rows or nothing(len(heads), "none"), "windows") + notes


def _window(number: int, its: WindowRecord, objective: str, names: list[str]) -> str:
    return row(
        str(number),
        f"{show_day(its.test[0])} to {show_day(its.test[1])}",
        ", ".join(f"{show_day(begin)} to {show_day(end)}" for begin, end in its.train),
        score_of(objective, its.score),
        known(its.sharpe, ".2f"),
        signed(its.total_return),
        f"{its.max_drawdown:.1%}",
        f"{its.trades:,}",
        ", ".join(f"{name} {its.params[name]:g}" for name in names if name in its.params),
    )


def _span(ms: int) -> str:
    if not ms:
        return "nothing"
    return f"{ms / DAY_MS:,.1f} days" if ms >= DAY_MS else f"{ms / 60_000:,.0f} minutes"
