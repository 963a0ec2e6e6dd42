"""One run on the terminal: what ran, on what, what was set, and what came out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from data.dates import show_day, show_time
from data.run_json import RunRecord, SweepRecord, TuneRecord
from data.run_tags import read_tags
from data.show import figures_table, interval_lines, print_header, print_notes, shown
from data.terminal import counted, new_table, out
from data.tune_json import WalkRecord

_MOST = 12  # symbols, or windows of a walk-forward


def as_json(folder: Path) -> str:
    """Write a run's record with its tags as JSON."""
    record: dict[str, Any] = msgspec.json.decode((folder / "run.json").read_bytes())
    record["tags"] = read_tags(folder)
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode()


def print_one(record: RunRecord, folder: Path) -> None:
    """Print all that matters of a run."""
    print_header(out, record)
    for name, value in _facts(record, folder):
        _say(f"{name:<9} {value}")
    _print_data(record)
    out.print(figures_table(record))
    for line in (*interval_lines(record), *_kind_lines(record)):
        _say(line)
    if record.walk is not None:
        _print_windows(record.walk)
    print_notes(out, record)
    _say(f"run {folder}")


def _say(line: str) -> None:
    out.print(line, markup=False, soft_wrap=True)


def _facts(record: RunRecord, folder: Path) -> Iterator[tuple[str, str]]:
    made = f"{show_time(record.created_ms // 60_000 * 60_000)} UTC"
    yield "made", f"{made}, {record.kind}, version {record.version}"
    yield "command", f"wick {' '.join(record.command)}" if record.command else "from Python"
    its = record.strategy
    yield "strategy", f"{its.path}, source {its.source_hash[:12]}"
    if record.seed is not None:
        yield "seed", str(record.seed)
    if tags := read_tags(folder):
        yield "tags", " ".join(tags)
    if exits := [f"{reason} {n:,}" for reason, n in record.exits.items() if n]:
        yield "exits", ", ".join(exits)
    yield "result", record.result_hash[:12]
    yield "files", " ".join(sorted(p.name for p in folder.iterdir() if p.name[0] != "."))


def _print_data(record: RunRecord) -> None:
    table = new_table("data", "candles>", "missing>", "funding>", "rules of", "hash")
    for one in record.data[:_MOST]:
        funding = f"{one.funding.instants:,}" if one.funding else "none"
        # Rules that nobody has seen carry a sentence there, which the notes say as well.
        seen = one.rules.seen if one.rules.seen and len(one.rules.seen) == 10 else "unknown"
        cells = (f"{one.candles:,}", f"{one.missing:,}", funding, seen, one.fingerprint[:12])
        table.add_row(one.symbol, *cells)
    out.print(table)
    if len(record.data) > _MOST:
        _say(f"… and {len(record.data) - _MOST} more symbols: --json has all")


def _kind_lines(record: RunRecord) -> Iterator[str]:
    if record.sweep is not None:
        yield from _sweep_lines(record.sweep)
    if record.tune is not None:
        yield from _tune_lines(record.tune)
    if record.walk is not None:
        its = record.walk
        yield (
            f"{its.scheme} walk-forward by {its.objective}: {counted(len(its.windows), 'window')},"
            f" {counted(its.trials, 'trial')} each, efficiency {_ratio(its.efficiency)}"
        )


def _sweep_lines(its: SweepRecord) -> Iterator[str]:
    from backtest.sweeps.show import lines_about

    axes = ", ".join(f"{axis.name} {len(axis.values)}" for axis in its.axes)
    yield (
        f"sweep by {its.objective}: {counted(its.combinations, 'combination')} of {axes};"
        f" this is number {its.number}"
    )
    yield from lines_about(its)


def _tune_lines(its: TuneRecord) -> Iterator[str]:
    yield (
        f"tuned by {its.objective}, {its.sampler}: {counted(its.trials, 'trial')},"
        f" best {its.best_value:.4g}"
    )
    if its.search is not None:
        search = its.search
        yield (
            f"study {search.study}: complete {search.complete:,}, pruned {search.pruned:,},"
            f" infeasible {search.infeasible:,}, failed {search.failed:,};"
            f" winner is trial {search.winner}"
        )
    if its.out_of_sample:
        wanted = ("total_return", "sharpe", "max_drawdown", "trades")
        known = {one.key: one for one in its.out_of_sample}
        told = [f"{known[key].label} {shown(known[key])}" for key in wanted if key in known]
        yield f"out of sample, {show_day(its.split_ms)} on: {', '.join(told)}"
    if its.panel is not None:
        panel, pbo = its.panel, its.panel.overfit.pbo
        verdict = "edge" if panel.edge else "no edge"
        yield (
            f"verdict: {verdict} (deflated Sharpe {_ratio(panel.dsr)}, probability of overfitting"
            f" {_ratio(pbo)}, {counted(panel.trials, 'trial')} in all)"
        )
    if its.holdout is not None:
        span = f"{show_time(its.holdout.from_ms)} to {show_time(its.holdout.to_ms)}"
        opened = its.holdout.opened_by
        yield f"hold-out {span}: {f'opened by {opened}' if opened else 'closed'}"


def _print_windows(its: WalkRecord) -> None:
    table = new_table("out of sample", "return>", "Sharpe>", "max drawdown>", "trades>", "in s.>")
    for one in its.windows[:_MOST]:
        cells = (f"{one.total_return:+.2%}", _ratio(one.sharpe), f"{one.max_drawdown:.2%}")
        span = f"{show_day(one.test[0])} {show_day(one.test[1] - 1)}"
        table.add_row(span, *cells, f"{one.trades:,}", _ratio(one.score))
    out.print(table)
    if len(its.windows) > _MOST:
        _say(f"… and {len(its.windows) - _MOST} more windows: --json has all")


def _ratio(value: float | None) -> str:
    return "N/A" if value is None else f"{value:.2f}"
