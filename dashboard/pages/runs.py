"""The runs page: everything that was tried, and one run in detail."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.figures import run_figure
from dashboard.shown import nothing_yet, sentences
from dashboard.tables import (
    MAIN,
    run_facts,
    run_figures,
    run_tiles,
    run_trades_table,
    runs_table,
)
from dashboard.texts import plain
from data import runs
from data.settings import load_settings

BARE = {"displayModeBar": False}
SHARE = st.column_config.NumberColumn(format="percent")
RATIO = st.column_config.NumberColumn(format="%.2f")
MONEY = st.column_config.NumberColumn(format="%.2f")
COLUMNS = {
    "total return": SHARE,
    "max drawdown": SHARE,
    "Sharpe": RATIO,
    "profit factor": RATIO,
    "trades": st.column_config.NumberColumn(format="localized"),
}
TRADE_COLUMNS = {"net": MONEY, "fees": MONEY, "funding": MONEY, "R": RATIO}


@st.cache_resource(max_entries=4, show_spinner="reading runs")
def table_of(folder: Path, changed_ns: int) -> tuple[pd.DataFrame, list[str]]:
    """Read all runs, and the names of damaged ones; again only when the folder has changed."""
    found = runs.records(folder)
    return runs_table(found.records), [path.name for path in found.damaged]


def page() -> None:
    """List the runs and show the chosen one."""
    with sentences():
        folder = load_settings().runs
        changed_ns = folder.stat().st_mtime_ns if folder.is_dir() else 0
        table, damaged = table_of(folder, changed_ns)
        if damaged:
            st.warning(damage(damaged), icon=":material/warning:")
        if table.empty:
            nothing_yet("There is no run yet.", "wick backtest rsi_macd_atr")
            return
        shown = filtered(table)
        chosen = None if shown.empty else choose(shown)
        if chosen is not None:
            detail(folder, chosen)


def damage(names: list[str]) -> str:
    """Say which runs cannot be shown."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    which = plain(", ".join(names[:3]) + more)
    return f"{which} cannot be read: damaged or of another version  \nhint: wick runs list"


def filtered(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the strategies and kinds that were chosen; all while none is."""
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    strategies = left.multiselect("Strategy", sorted(table["strategy"].unique()))
    kinds = middle.multiselect("Kind", sorted(table["kind"].unique()))
    if strategies:
        table = table[table["strategy"].isin(strategies)]
    if kinds:
        table = table[table["kind"].isin(kinds)]
    right.caption(f"{len(table):,} runs, newest first; choose one at its left edge")
    return table


def choose(table: pd.DataFrame) -> str | None:
    """Show the runs and return the name of the chosen one."""
    event = st.dataframe(
        table,
        hide_index=True,
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [0], "columns": [], "cells": []}},
        # Rows are known by their place: other rows are another table.
        key=f"runs {'|'.join(table['run'].iloc[[0, -1]])} {len(table)}",
    )
    rows = event["selection"]["rows"]
    return str(table["run"].iloc[rows[0]]) if rows and rows[0] < len(table) else None


def detail(folder: Path, name: str) -> None:
    """Show one run: figures, equity with drawdown, trades."""
    run = runs.load(folder, str(folder / name))
    st.subheader(f"{plain(run.record.strategy.name)} · {run.record.kind}")
    st.caption(plain(run_facts(run.record)))
    for column, tile in zip(st.columns(len(MAIN)), run_tiles(run.record), strict=True):
        column.metric(*tile, delta_color="off", delta_arrow="off", border=True)
    for note in run.record.notes:
        st.warning(plain(note), icon=":material/warning:")
    figure = run_figure(run)
    st.plotly_chart(figure, key="curve", config=BARE)
    trades, figures = st.tabs([f"Trades ({run.trades.num_rows:,})", "All figures"])
    trades.dataframe(run_trades_table(run.trades), hide_index=True, column_config=TRADE_COLUMNS)
    figures.table(run_figures(run.record), border="horizontal", hide_index=True)


page()
