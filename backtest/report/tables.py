"""The report's tables of what ran and its figures."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from backtest.report.markup import row, sign_of, table
from data.dates import show_time
from data.run_json import DataRecord, FigureRecord, RunRecord
from data.show import cost_lines, shown, shown_range
from strategy.metrics import DEFINITIONS

TILES = ("total_return", "hold_return", "max_drawdown", "sharpe", "profit_factor", "trades")
GROUPS = {
    group: tuple(key for key, _ in rows)
    for group, rows in groupby(DEFINITIONS.items(), lambda row: row[1].group)
}


def summary(record: RunRecord) -> str:
    """Write the line under the title: symbols, market, timeframe, span, candles."""
    first, end = min(d.first_ms for d in record.data), max(d.end_ms for d in record.data)
    candles = sum(d.candles for d in record.data)
    missing = sum(d.missing for d in record.data)
    gap = f'<b class="warn">{missing:,} missing</b>' if missing else "none missing"
    data = record.data[0]
    parts = (
        escape(", ".join(d.symbol for d in record.data)),
        escape({"um": "USDⓈ-M futures"}.get(data.market, data.market)),
        escape(data.timeframe),
        f"{show_time(first)} to {show_time(end)} UTC",
        f"{candles:,} candles, {gap}",
    )
    return " · ".join(parts)


def tiles(record: RunRecord) -> str:
    """Write the few figures that a reader wants first; of a tuning, those out of sample too."""
    other = _by_key(record.tune.out_of_sample) if record.tune else {}
    found = _by_key(record.figures)
    cells, where = [], ", in sample" if record.kind == "tune" else ""
    for figure in (found[key] for key in TILES if key in found):
        between = shown_range(figure.key, found)
        below = f"out of sample {shown(other[figure.key])}" if figure.key in other else figure.note
        below = below or (f"95 %: {between}" if between else "")
        cells.append(
            f'<div class="tile"><span>{escape(figure.label)}{where}</span>'
            f'<b class="{_sign(figure)}">{_shown(figure)}</b><small>{escape(below)}</small></div>'
        )
    return "".join(cells)


def notes(record: RunRecord) -> str:
    """Write what a reader must know before believing the figures."""
    words = list(record.notes)
    if record.tune and record.kind == "tune":
        expect = "; what to expect is out of sample" if record.tune.out_of_sample else ""
        words.insert(
            0,
            f"In sample is the best of {record.tune.trials:,} tries, and flatters{expect}. Curves,"
            f" trades and candles below are in sample, up to"
            f" {show_time(record.tune.split_ms)} UTC.",
        )
    if record.figure("trades").value == 0:
        why = "every entry was refused" if record.refused else "no entry rule ever held"
        words.append(f"No trade: {why}.")
    items = "".join(f"<li>{escape(word)}</li>" for word in words)
    return f'<ul class="notes">{items}</ul>' if items else ""


def figures(record: RunRecord) -> str:
    """Write every figure with its n; the formula shows when one points at the name."""
    other = _by_key(record.tune.out_of_sample) if record.tune else {}
    known = {key for keys in GROUPS.values() for key in keys}
    more = tuple(f.key for f in record.figures if f.key not in known)
    found = _by_key(record.figures)
    out = []
    for title, keys in (*GROUPS.items(), ("More", more)):
        rows = "".join(_figure_row(found[key], other.get(key)) for key in keys if key in found)
        heads = ["in sample", "n", "out of sample", "n"] if other else ["value", "n"]
        if rows:
            out.append(table(title, ["", *heads], rows))
    return f'<div class="columns figures {"pairs" if other else ""}">{"".join(out)}</div>'


def _figure_row(figure: FigureRecord, other: FigureRecord | None) -> str:
    words = f"{escape(figure.label)}<i>{escape(figure.formula)}</i>"
    tip = f'<span class="tip" tabindex="0">{words}</span>'
    cells = [_figure_cells(figure, "in")] + ([_figure_cells(other, "out")] if other else [])
    return f"<tr><th scope=row>{tip}</th>{''.join(cells)}</tr>"


def _figure_cells(figure: FigureRecord, sample: str) -> str:
    note = f"<small>{escape(figure.note)}</small>" if figure.note else ""
    return (
        f'<td data-figure="{escape(figure.key)}" data-sample="{sample}" class="{_sign(figure)}">'
        f'{_shown(figure)}{note}</td><td class="n">{figure.n:,}</td>'
    )


def what_ran(record: RunRecord) -> str:
    """Write everything that is needed to run it again."""
    strategy, tune = record.strategy, record.tune
    made = [
        ("run", record.id),
        ("command", " ".join(["wick", *record.command]) if record.command else "from Python"),
        ("strategy", f"{strategy.path}, {strategy.source_hash[:12]}"),
        ("version", record.version),
        ("made", f"{show_time(record.created_ms // 60_000 * 60_000)} UTC"),
        ("result", record.result_hash[:12]),
    ]
    if tune:
        made += [
            ("search", f"{tune.trials} trials, {tune.sampler}, seed {record.seed}"),
            ("objective", f"{tune.objective}, best {tune.best_value:.4g} in sample"),
            ("in sample", f"{show_time(tune.train_from_ms)} to {show_time(tune.split_ms)}"),
            (
                "hold-out" if tune.holdout else "out of sample",
                f"{show_time(tune.split_ms)} to {show_time(tune.test_to_ms)}",
            ),
        ]
        if tune.out_of_sample_hash:
            made.append(("result out of sample", tune.out_of_sample_hash[:12]))
    money = [
        ("balance", f"{record.balance:,.2f}"),
        ("fee", f"{record.fee_rate * 1e4:g} bps a fill"),
        ("slippage", f"{record.slippage * 1e4:g} bps a market order"),
        *cost_lines(record),
    ]
    risk = [(name, f"{value:g}" if value else "off") for name, value in record.risk.items()]
    params = [(name, f"{value:g}") for name, value in record.params.items()]
    tables = [("Parameters", params), ("Risk", risk), ("Money", money), ("Run", made)]
    tables += [(data.symbol, _data(data)) for data in record.data]
    return "".join(table(title, [], _facts(rows)) for title, rows in tables)


def _data(data: DataRecord) -> list[tuple[str, str]]:
    return [
        ("market", f"{data.market} {data.timeframe}"),
        ("first candle", f"{show_time(data.first_ms)} UTC"),
        ("end", f"{show_time(data.end_ms)} UTC"),
        ("candles", f"{data.candles:,}"),
        ("missing", f"{data.missing:,}"),
        ("fingerprint", data.fingerprint[:12]),
        ("tick, step", f"{data.rules.tick_size}, {data.rules.step_size}"),
        ("exchange rules", data.rules.seen or "undated"),
        ("funding", f"{data.funding.instants:,} instants" if data.funding else "none booked"),
    ]


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(row(name, value) for name, value in rows)


def _shown(figure: FigureRecord) -> str:
    return escape(shown(figure))


def _sign(figure: FigureRecord) -> str:
    signed = figure.key.endswith("return") or figure.key in {"cagr", "expectancy", "expectancy_r"}
    return sign_of(figure.value) if signed and figure.value is not None else ""


def _by_key(found: Sequence[FigureRecord]) -> dict[str, FigureRecord]:
    return {figure.key: figure for figure in found}
