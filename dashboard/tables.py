"""Tables for the pages: what stands in a row, and how its numbers are written."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from dashboard.figures import BLUE, ORANGE
from dashboard.texts import age_text, time_text
from dashboard.view import View
from data.run_json import RunRecord
from data.show import shown
from live.session import Session
from strategy.metrics import DEFINITIONS

# Figures by which runs are compared at a glance.
MAIN = ("total_return", "max_drawdown", "sharpe", "profit_factor", "trades")
NEWEST = 200  # rows that are enough to look at; the journal has all

_MONEY = ("unrealized", "pnl", "net")
_RUN_TRADES = {
    "exit_time": "exit (UTC)",
    "symbol": "symbol",
    "side": "side",
    "qty": "qty",
    "entry_price": "entry",
    "exit_price": "exit",
    "net": "net",
    "fees": "fees",
    "funding": "funding",
    "r": "R",
    "exit_reason": "reason",
    "entry_time": "entry (UTC)",
}


def account_tiles(seen: View) -> list[tuple[str, str, str]]:
    """Return label, value and what stands beside it for the account's main figures."""
    risk = f"entries stop at -{seen.limit:.2%}" if seen.limit else "no daily limit"
    count = len(seen.positions)
    return [
        ("Balance", f"{seen.wallet:,.2f}", f"began with {seen.start:,.2f}"),
        ("Equity", f"{seen.equity:,.2f}", f"{seen.equity - seen.start:+,.2f} since the start"),
        ("Unrealized", f"{seen.unrealized:+,.2f}", f"{count} open position{'s' * (count != 1)}"),
        ("Today", f"{seen.today:+.2%}", risk),
        ("Closed trades", f"{len(seen.trades)}", f"{seen.realized:+,.2f} after fees and funding"),
    ]


def positions_table(seen: View, session: Session) -> Any:
    """Lay out the open positions."""
    rows = [
        {
            "symbol": one.symbol,
            "side": one.side,
            "qty": one.qty,
            "entry": one.entry,
            "mark": one.mark,
            "unrealized": one.unrealized,
            "stop": one.stop or None,
            "take": one.take or None,
            "since (UTC)": time_text(one.since),
        }
        for one in seen.positions
    ]
    return _styled(rows, session, ("entry", "mark", "stop", "take"))


def trades_table(seen: View, session: Session) -> Any:
    """Lay out the newest closed trades."""
    rows = [
        {
            "exit (UTC)": time_text(one.exit_time),
            "symbol": one.symbol,
            "side": one.side,
            "qty": one.qty,
            "entry": one.entry,
            "exit": one.exit,
            "net": one.net,
            "fees": one.fees,
            "funding": one.funding,
            "reason": one.reason,
            "entry (UTC)": time_text(one.entry_time),
        }
        for one in reversed(seen.trades[-NEWEST:])
    ]
    return _styled(rows, session, ("entry", "exit"))


def fills_table(seen: View, session: Session) -> Any:
    """Lay out the newest fills."""
    rows = [
        {
            "time (UTC)": time_text(one.time),
            "symbol": one.symbol,
            "order": one.leg,
            "side": one.side,
            "qty": one.qty,
            "price": one.price,
            "pnl": None if one.opens else one.pnl,
            "fees": one.fee,
            "reason": one.reason,
        }
        for one in reversed(seen.fills[-NEWEST:])
    ]
    return _styled(rows, session, ("price",))


def roles_table(seen: View) -> pd.DataFrame:
    """Lay out the processes of the session."""
    rows = [(one.name, one.state, age_text(one.age_ms), one.note) for one in seen.roles]
    return pd.DataFrame(rows, columns=["role", "state", "last sign", "note"])


def runs_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Lay out runs, newest first, with the figures by which they are compared."""
    return pd.DataFrame([_run_row(record) for record in reversed(records)])


def run_facts(record: RunRecord) -> str:
    """Say in one line what a run was."""
    row = _run_row(record)
    words = [row["symbols"], row["timeframe"], f"{row['from']} to {row['to']}"]
    days = sorted({data.rules.seen or "undated" for data in record.data})
    words += [f"exchange rules {', '.join(days)}", f"made {row['made (UTC)']} UTC", record.id]
    return " · ".join(map(str, words))


def run_tiles(record: RunRecord) -> list[tuple[str, str, str | None]]:
    """Return label, value and the value on candles that a search never saw, of the main figures."""
    found = {figure.key: figure for figure in record.figures}
    unseen = _unseen(record)
    return [
        (
            DEFINITIONS[key].label,
            shown(found[key]) if key in found else "N/A",
            f"out of sample {unseen[key]}" if key in unseen else None,
        )
        for key in MAIN
    ]


def run_figures(record: RunRecord) -> pd.DataFrame:
    """Lay out all figures of a run, with how they are computed or why they are missing."""
    unseen = _unseen(record)
    rows = [
        (figure.label, shown(figure), unseen.get(figure.key, ""), figure.note or figure.formula)
        for figure in record.figures
    ]
    frame = pd.DataFrame(rows, columns=["figure", "value", "out of sample", "how"])
    return frame if unseen else frame.drop(columns="out of sample")


def _unseen(record: RunRecord) -> dict[str, str]:
    figures = record.tune.out_of_sample if record.tune else []
    return {figure.key: shown(figure) for figure in figures}


def run_trades_table(trades: Any) -> pd.DataFrame:
    """Lay out the trades of a run, newest first."""
    known = [name for name in _RUN_TRADES if name in trades.column_names]  # by the run's age
    frame: pd.DataFrame = trades.select(known).to_pandas().iloc[::-1]
    for name in ("exit_time", "entry_time"):
        frame[name] = frame[name].dt.strftime("%Y-%m-%d %H:%M:%S")
    return frame.rename(columns=_RUN_TRADES)


def _run_row(record: RunRecord) -> dict[str, Any]:
    values = {figure.key: figure.value for figure in record.figures}
    return {
        "made (UTC)": time_text(record.created_ms)[:16],
        "kind": record.kind,
        "strategy": record.strategy.name,
        "symbols": ", ".join(data.symbol for data in record.data),
        "timeframe": record.data[0].timeframe if record.data else "",
        "from": time_text(min((data.first_ms for data in record.data), default=0))[:10],
        "to": time_text(max((data.end_ms for data in record.data), default=0))[:10],
        **{DEFINITIONS[key].label: values.get(key) for key in MAIN},
        "run": record.id,
    }


def _styled(rows: list[dict[str, Any]], session: Session, prices: tuple[str, ...]) -> Any:
    frame = pd.DataFrame(rows)
    styler: Any = frame.style.hide(axis="index")  # Any: its stubs know no name of a column
    if not rows:
        return styler
    money = [name for name in _MONEY if name in frame]
    styler.format("{:+,.2f}", subset=money, na_rep="")
    if "fees" in frame:
        styler.format("{:,.2f}", subset=[name for name in ("fees", "funding") if name in frame])
    for symbol, rules in zip(session.symbols, session.rules, strict=True):
        here = frame.index[frame["symbol"] == symbol]
        styler.format(f"{{:,.{_decimals(rules.tick_size)}f}}", subset=(here, [*prices]), na_rep="–")
        styler.format(f"{{:,.{_decimals(rules.step_size)}f}}", subset=(here, "qty"))
    styler.map(_signed, subset=money).map(_sided, subset="side")
    return styler


def _decimals(grid: str) -> int:
    exponent = Decimal(grid).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _signed(value: float) -> str:
    return f"color: {BLUE if value > 0.0 else ORANGE}" if value else ""


def _sided(side: str) -> str:
    return f"color: {BLUE if side == 'long' else ORANGE}"
