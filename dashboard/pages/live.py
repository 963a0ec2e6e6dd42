"""The live page: one session, as it is now."""

from pathlib import Path
from typing import Literal

import streamlit as st

from dashboard.figures import candles_figure, equity_figure
from dashboard.load import Reader, Seen, damaged, session_reader, sessions
from dashboard.shown import nothing_yet, sentences
from dashboard.tables import (
    account_tiles,
    fills_table,
    positions_table,
    roles_table,
    trades_table,
)
from dashboard.texts import plain, time_text
from data.settings import load_settings
from live.control import Command
from strategy.errors import WickError

Color = Literal["blue", "orange", "red", "gray", "violet"]

REFRESH_S = 2.0
BARE = {"displayModeBar": False}
COUNTS = (120, 360, 1440)
STATES: dict[str, tuple[Color, str]] = {
    "running": ("blue", ":material/play_circle:"),
    "paused": ("orange", ":material/pause_circle:"),
    "blocked": ("orange", ":material/block:"),
    "halted": ("red", ":material/error:"),
    "starting": ("gray", ":material/hourglass_empty:"),
    "ended": ("gray", ":material/stop_circle:"),
}
ON: dict[str, Color] = {"paper": "gray", "testnet": "violet", "live": "red"}

_opened = st.cache_resource(max_entries=8, show_spinner=False)(session_reader)


def page() -> None:
    """Choose a session and show it."""
    with sentences():
        folder = load_settings().sessions
        names = sessions(folder)
        if not names:
            nothing_yet("There is no session yet.", "wick live rsi_macd_atr --on paper")
            return
        if bad := damaged(folder, names):
            st.warning(f"{plain(', '.join(bad))}: session.json is damaged or of another version")
        names = [name for name in names if name not in bad] or names
        name = st.selectbox("Session", names, key="session", bind="query-params", width=420)
        now(folder, name)


@st.fragment(run_every=REFRESH_S)
def now(folder: Path, name: str) -> None:
    """Show the session as it is; called again by itself."""
    with sentences():
        reader = _opened(folder, name)
        seen = reader.read()
        heading(reader, seen)
        balances(seen)
        st.subheader("Positions")
        positions(reader, seen)
        left, right = st.columns([5, 3])
        with left:
            candles(reader, seen)
        with right:
            equity(seen)
        history(reader, seen)
        processes(seen)


def heading(reader: Reader, seen: Seen) -> None:
    """Say what runs where, in which state, and offer what can be asked for."""
    session, its = reader.session, seen.view
    words, buttons = st.columns([3, 2], vertical_alignment="center")
    with words.container(horizontal=True, vertical_alignment="center"):
        color, icon = STATES[its.state]
        st.badge(its.state, color=color, icon=icon)
        st.badge(session.on, color=ON[session.on])
        name = Path(session.strategy).stem
        st.markdown(f"**{plain(name)}** · {', '.join(session.symbols)} · {session.timeframe}")
        st.caption(f"{time_text(its.time)} UTC" if its.time else "no record yet")
    with buttons.container(horizontal=True, horizontal_alignment="right"):
        controls(reader, seen)
    if seen.troubles:
        st.warning(plain(seen.troubles))
    if its.why:
        st.caption(plain(its.why))


def controls(reader: Reader, seen: Seen) -> None:
    """Offer to pause, to resume, and to close everything after a second click."""
    able = seen.view.state != "ended"
    held = seen.view.state in ("paused", "halted")
    if st.button("Pause", icon=":material/pause:", disabled=not able or held):
        ask(reader, "pause")
    if st.button("Resume", icon=":material/play_arrow:", disabled=not able or not held):
        ask(reader, "resume")
    with st.popover("Flatten", icon=":material/close_fullscreen:", disabled=not able):
        st.write("Closes every position at the market price, then pauses.")
        if st.button("Close every position", type="primary"):
            ask(reader, "flatten")


def ask(reader: Reader, command: Command) -> None:
    """Send a wish to the trader and say whether it has taken note."""
    try:
        reader.ask(command)
    except WickError as error:
        st.toast(f"{plain(error.message)}  \nhint: {plain(error.hint)}", icon=":material/error:")
    else:
        st.toast(f"the trader has taken note of {command}", icon=":material/check:")


def balances(seen: Seen) -> None:
    """Show the account in figures."""
    its = seen.view
    for column, (label, value, beside) in zip(st.columns(5), account_tiles(its), strict=True):
        column.metric(
            label, value, beside, delta_color="off", delta_arrow="off", border=True,
            height="stretch",
        )  # fmt: skip


def positions(reader: Reader, seen: Seen) -> None:
    """Show the open positions."""
    if seen.view.positions:
        st.table(positions_table(seen.view, reader.session), border="horizontal", hide_index=True)
    else:
        st.caption("No open position.")


def candles(reader: Reader, seen: Seen) -> None:
    """Show a symbol's candles, fills, stop and take."""
    symbol, count = choose_candles(reader, seen)
    bars = reader.bars(seen, symbol, count)
    if not len(bars.time):
        st.caption("No candle yet.")
        return
    figure = candles_figure(bars, seen.view.fills, seen.view.position_of(symbol), symbol)
    st.plotly_chart(figure, key="candles", config=BARE)
    if not bars.whole:
        st.caption("Closes at the decisions, from the journal; candles are in Redis while it runs.")


def choose_candles(reader: Reader, seen: Seen) -> tuple[str, int]:
    """Ask for symbol and number of candles; a symbol with a position comes first."""
    symbols = reader.session.symbols
    held = [i for i, symbol in enumerate(symbols) if seen.view.position_of(symbol)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Candles")
        symbol = st.selectbox(
            "Symbol", symbols, (held or [0])[0], key=f"symbol of {reader.session.id}", width=200,
            label_visibility="collapsed",
        )  # fmt: skip
        count = st.segmented_control(
            "Candles", COUNTS, default=COUNTS[1], required=True, label_visibility="collapsed"
        )
    return symbol, count or COUNTS[1]


def equity(seen: Seen) -> None:
    """Show the equity curve."""
    st.subheader("Equity")
    if seen.view.equities:
        figure = equity_figure(seen.view.equity_times, seen.view.equities, seen.view.start)
        st.plotly_chart(figure, key="equity", config=BARE)
    else:
        st.caption("No decision yet.")


def history(reader: Reader, seen: Seen) -> None:
    """Show trades and fills, newest first."""
    trades, fills = st.tabs(["Trades", "Fills"])
    its, session = seen.view, reader.session
    with trades:
        table(trades_table(its, session), len(its.trades), "No closed trade yet.")
    with fills:
        table(fills_table(its, session), len(its.fills), "No fill yet.")


def table(styled: object, count: int, empty: str) -> None:
    """Show a sortable table, or a sentence."""
    if count:
        st.dataframe(styled, hide_index=True)
    else:
        st.caption(empty)


def processes(seen: Seen) -> None:
    """Show the roles and how they fare."""
    st.subheader("Processes")
    if seen.view.roles:
        st.table(roles_table(seen.view), border="horizontal", hide_index=True)
    elif seen.live:
        st.caption("No role has given a sign of life yet.")
    else:
        st.caption("Its Redis does not answer: this is the journal, to its last record.")


page()
