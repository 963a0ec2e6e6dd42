"""The report's tables of what came out: months, trades by kind, costs."""

import math

import numpy as np

from backtest.report.markup import money, nothing, row, sign_of, table
from backtest.report.series import positions
from data.runs import Run
from strategy.fills import BEST
from strategy.metrics import ROLLING_DAYS, Group, by_day, day_ends, monthly_returns, split
from strategy.timeframes import timeframe_ms

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def months(run: Run) -> str:
    """Write the return of each UTC month and year."""
    length = timeframe_ms(run.record.data[0].timeframe)
    days = by_day(run.time, run.equity, run.record.balance, length)
    known = dict(zip(*(part.tolist() for part in monthly_returns(days)), strict=True))
    rows = []
    for year in range(min(known) // 12, max(known) // 12 + 1):
        inside = [known.get(at) for at in range(year * 12, year * 12 + 12)]
        cells = ["<td></td>" if value is None else _return_cell(value) for value in inside]
        whole = math.prod(1.0 + value for value in inside if value is not None) - 1.0
        rows.append(
            f"<tr><th scope=row>{1970 + year}</th>{''.join(cells)}{_return_cell(whole)}</tr>"
        )
    return table("", ["", *MONTHS, "year"], "".join(rows), "months")


def few_days(run: Run) -> str:
    """Say that a run is too short for a rolling Sharpe ratio; nothing if it is not."""
    length = timeframe_ms(run.record.data[0].timeframe)
    days = len(day_ends(run.time, length))
    if days >= ROLLING_DAYS:
        return ""
    return f'<p class="hint">A rolling Sharpe ratio needs {ROLLING_DAYS} days, has {days}.</p>'


def _return_cell(value: float) -> str:
    heat = round(min(abs(value) / 0.1, 1.0) * 32)
    return f'<td class="{sign_of(value)}" style="--heat:{heat}%">{value:+.1%}</td>'


def breakdowns(run: Run) -> str:
    """Write trades by exit, by side, by hour and, where there are several, by symbol; and refusals.

    They are split anew from the trades, so that older runs have them too.
    """
    trades, record = run.trades, run.record
    names = {
        "exit_reason": [*record.exits],
        "side": ["long", "short"],
        "symbol": [data.symbol for data in record.data],
    }
    found = split(
        {
            kind: (positions(trades[kind].to_pylist(), known), known)
            for kind, known in names.items()
        },
        trades["entry_time"].cast("int64").to_numpy(),
        trades["net"].to_numpy(),
        trades["r"].to_numpy(),
    )
    titles = {"exit_reason": "Exits by reason", "side": "Sides", "symbol": "Symbols"}
    if len(record.data) == 1:
        del titles["symbol"]
    out = [_groups(title, found[kind]) for kind, title in titles.items()]
    refused = "".join(row(reason, f"{count:,}") for reason, count in record.refused.items())
    out.append(table("Refused entries", ["", "times"], refused or nothing(2, "none")))
    out.append(_groups("Hours of entry, UTC", found["hour"]))
    return "".join(out)


def _groups(title: str, groups: list[Group]) -> str:
    rows = "".join(map(_group_row, groups)) or nothing(5, "no trade")
    return table(title, ["", "trades", "won", "net", "mean R"], rows)


def _group_row(its: Group) -> str:
    few = math.isnan(its.win_rate)
    won, mean = ("–", "–") if few else (f"{its.win_rate:.0%}", f"{its.expectancy_r:+.2f}")
    return row(its.name, f"{its.n:,}", won, money(its.net), mean)


def costs(run: Run) -> str:
    """Write how the profit before all costs becomes the net profit."""
    names = ("pnl", "fees", "funding", "slippage")
    paid = {
        name: float(np.sum(run.trades[name].to_numpy())) if name in run.trades.column_names else 0.0
        for name in names  # runs of before there was funding have no column for it
    }
    before = paid["pnl"] + paid["slippage"]
    lines = (
        ("profit without costs", before),
        ("slippage", -paid["slippage"]),
        ("profit before fees", paid["pnl"]),
        ("fees", -paid["fees"]),
        ("funding", -paid["funding"]),
        ("net profit", paid["pnl"] - paid["fees"] - paid["funding"]),
    )
    widest = max(abs(value) for _, value in lines) or 1.0
    rows = []
    for label, value in lines:
        bar = f'<span class="bar {sign_of(value)}" style="--w:{abs(value) / widest:.1%}"></span>'
        rows.append(f"<tr><th scope=row>{label}</th>{money(value)}<td>{bar}</td></tr>")
    return table("Where the money went", ["", "amount", ""], "".join(rows), "costs")


def doubts(run: Run) -> str:
    """Say how much of the result rests on an order of events that candles do not tell."""
    count, total = int(np.sum(run.trades["ambiguous"].to_numpy())), run.trades.num_rows
    share = f" ({count / total:.1%})" if total else ""
    its, best = run.record.interval, run.record.all_costs.intrabar == BEST
    resolved = f" Finer candles told it in {its.resolved:,} more." if its and its.resolved else ""
    booked = "with the take" if best else "as a stop"
    return (
        f"In {count:,} of {total:,} trades{share} one candle touched stop and take; each was booked"
        f" {booked}, because a candle does not say which came first.{resolved}"
    )


def interval(run: Run) -> str:
    """Write the whole run in the worst and the best case of such candles."""
    its = run.record.interval
    if its is None:
        return ""
    rows = "".join(
        row(name, "used up", "", "")
        if end is None
        else row(
            name,
            f"{end.equity:,.2f}",
            f"{end.total_return:+.2%}",
            f"{end.max_drawdown:.2%}",
        )
        for name, end in (("worst case", its.worst), ("best case", its.best))
    )
    heads = ["", "final equity", "total return", "max drawdown"]
    return table("Between worst and best", heads, rows) + (
        '<p class="hint">Whole runs: a trade that ends otherwise changes the sizes, limits and'
        " cooldowns of later ones, so these two need not be the lowest and the highest that any"
        " mix of outcomes could give.</p>"
    )
