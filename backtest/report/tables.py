"""The report's tables: what ran, figures, months, breakdowns, costs."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.dates import show_time
from data.runs import DataRecord, FigureRecord, Run, RunRecord
from data.show import shown
from strategy.timeframes import timeframe_ms

TILES = ("total_return", "hold_return", "max_drawdown", "sharpe", "profit_factor", "trades")
GROUPS = {
    "Return and risk": (
        "total_return", "hold_return", "cagr", "volatility", "sharpe", "sortino", "calmar",
        "max_drawdown", "drawdown_days",
    ),
    "Trades": (
        "trades", "longs", "win_rate", "profit_factor", "payoff", "expectancy", "expectancy_r",
        "best_trade", "worst_trade", "holding", "exposure",
    ),
    "Costs and doubts": ("gross", "fees", "slippage", "ambiguous", "open_at_end"),
}  # fmt: skip
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Markup(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


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
    cells, where = [], ", in sample" if record.tune else ""
    for figure in (f for key in TILES for f in record.figures if f.key == key):
        below = f"out of sample {shown(other[figure.key])}" if figure.key in other else figure.note
        cells.append(
            f'<div class="tile"><span>{escape(figure.label)}{where}</span>'
            f'<b class="{_sign(figure)}">{_shown(figure)}</b><small>{escape(below)}</small></div>'
        )
    return "".join(cells)


def notes(record: RunRecord) -> str:
    """Write what a reader must know before believing the figures."""
    words = list(record.notes)
    if record.tune:
        words.insert(
            0,
            f"In sample is the best of {record.tune.trials} tries, and flatters; what to expect is"
            f" out of sample. Curves, trades and candles below are in sample, up to"
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
            out.append(_table(title, ["", *heads], rows))
    return f'<div class="grid figures {"pairs" if other else ""}">{"".join(out)}</div>'


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


def months(run: Run) -> str:
    """Write the return of each UTC month and year, from equity at the closes."""
    length = timeframe_ms(run.record.data[0].timeframe)
    month = ((run.time + length - 1).astype("datetime64[ms]")).astype("datetime64[M]")
    ends = np.append(np.flatnonzero(np.diff(month)), len(month) - 1)
    known = dict(zip(month[ends].astype(int).tolist(), run.equity[ends].tolist(), strict=True))
    first, last = min(known) // 12, max(known) // 12
    before = run.record.balance
    rows = []
    for year in range(first, last + 1):
        began, cells = before, []
        for at in range(year * 12, year * 12 + 12):
            after = known.get(at)
            cells.append("<td></td>" if after is None else _return_cell(after / before - 1.0))
            before = before if after is None else after
        whole = _return_cell(before / began - 1.0)
        rows.append(f"<tr><th scope=row>{1970 + year}</th>{''.join(cells)}{whole}</tr>")
    return _table("", ["", *MONTHS, "year"], "".join(rows), "months")


def _return_cell(value: float) -> str:
    heat = round(min(abs(value) / 0.1, 1.0) * 32)
    return f'<td class="{_word(value)}" style="--heat:{heat}%">{value:+.1%}</td>'


def breakdowns(run: Run) -> str:
    """Write trades by exit, by side and, where there are several, by symbol; and refusals."""
    trades = run.trades
    kinds = [("Exits by reason", "exit_reason"), ("Sides", "side")]
    if len(run.record.data) > 1:
        kinds.append(("Symbols", "symbol"))
    out = []
    for title, column in kinds:
        rows = _groups(np.asarray(trades[column].to_pylist(), object), trades)
        heads = ["", "trades", "won", "net", "mean R"]
        out.append(_table(title, heads, rows or _nothing(5, "no trade")))
    refused = "".join(_row(reason, f"{count:,}") for reason, count in run.record.refused.items())
    out.append(_table("Refused entries", ["", "times"], refused or _nothing(2, "none")))
    return "".join(out)


def _groups(names: NDArray[Any], trades: Any) -> str:
    net, r = trades["net"].to_numpy(), trades["r"].to_numpy()
    rows = []
    for name in dict.fromkeys(names.tolist()):
        mine = names == name
        rows.append(
            _row(
                name,
                f"{mine.sum():,}",
                f"{(net[mine] > 0.0).mean():.0%}",
                _money(float(net[mine].sum())),
                f"{r[mine].mean():+.2f}",
            )
        )
    return "".join(rows)


def costs(run: Run) -> str:
    """Write how the profit before all costs becomes the net profit."""
    paid = {
        name: float(np.sum(run.trades[name].to_numpy())) for name in ("pnl", "fees", "slippage")
    }
    before = paid["pnl"] + paid["slippage"]
    lines = (
        ("profit without costs", before),
        ("slippage", -paid["slippage"]),
        ("profit before fees", paid["pnl"]),
        ("fees", -paid["fees"]),
        ("net profit", paid["pnl"] - paid["fees"]),
    )
    widest = max(abs(value) for _, value in lines) or 1.0
    rows = []
    for label, value in lines:
        bar = f'<span class="bar {_word(value)}" style="--w:{abs(value) / widest:.1%}"></span>'
        rows.append(f"<tr><th scope=row>{label}</th>{_money(value)}<td>{bar}</td></tr>")
    return _table("Where the money went", ["", "amount", ""], "".join(rows), "costs")


def doubts(run: Run) -> str:
    """Say how much of the result rests on an order of events that candles do not tell."""
    count, total = int(np.sum(run.trades["ambiguous"].to_numpy())), run.trades.num_rows
    share = f" ({count / total:.1%})" if total else ""
    return (
        f"In {count:,} of {total:,} trades{share} one candle touched stop and take; each was booked"
        " as a stop, because a candle does not say which came first."
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
            ("out of sample", f"{show_time(tune.split_ms)} to {show_time(tune.test_to_ms)}"),
            ("result out of sample", tune.out_of_sample_hash[:12]),
        ]
    money = [
        ("balance", f"{record.balance:,.2f}"),
        ("fee", f"{record.fee_rate * 1e4:g} bps a fill"),
        ("slippage", f"{record.slippage * 1e4:g} bps a market order"),
    ]
    risk = [(name, f"{value:g}" if value else "off") for name, value in record.risk.items()]
    params = [(name, f"{value:g}") for name, value in record.params.items()]
    tables = [("Parameters", params), ("Risk", risk), ("Money", money), ("Run", made)]
    tables += [(data.symbol, _data(data)) for data in record.data]
    return "".join(_table(title, [], _facts(rows)) for title, rows in tables)


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
    ]


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(_row(name, value) for name, value in rows)


def _row(name: str, *cells: str) -> str:
    made = (cell if isinstance(cell, Markup) else f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope=row>{escape(name)}</th>{''.join(made)}</tr>"


def _table(title: str, heads: Sequence[str], rows: str, kind: str = "") -> str:
    top = "".join(f"<th scope=col>{head}</th>" for head in heads)
    head = f"<thead><tr>{top}</tr></thead>" if heads else ""
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<div class="table {kind}"><table>{caption}{head}<tbody>{rows}</tbody></table></div>'


def _nothing(columns: int, words: str) -> str:
    return f'<tr><td colspan="{columns}" class="none">{words}</td></tr>'


def _money(value: float) -> Markup:
    return Markup(f'<td class="{_word(value)}">{value:,.2f}</td>')


def _shown(figure: FigureRecord) -> str:
    return escape(shown(figure))


def _sign(figure: FigureRecord) -> str:
    signed = figure.key.endswith("return") or figure.key in {"cagr", "expectancy", "expectancy_r"}
    return _word(figure.value) if signed and figure.value is not None else ""


def _word(value: float) -> str:
    return "gain" if value > 0.0 else "loss" if value < 0.0 else ""


def _by_key(found: Sequence[FigureRecord]) -> dict[str, FigureRecord]:
    return {figure.key: figure for figure in found}
