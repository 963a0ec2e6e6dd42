"""wick live, wick role and wick session."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from data.settings import Settings

live_app = typer.Typer(add_completion=False)
role_app = typer.Typer(add_completion=False)
session_app = typer.Typer(no_args_is_help=True, add_completion=False)

Sessions = Annotated[
    Path | None, typer.Option("--sessions", help="Folder of sessions; default var/sessions.")
]
Redis = Annotated[
    str | None, typer.Option("--redis", help="redis://HOST:PORT/0; default: one comes along.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Wanted = Annotated[
    str, typer.Argument(metavar="SESSION", help="A session's name, part of it, or last.")
]


@live_app.command(epilog="Example: wick live rsi_macd_atr --on paper --symbols BTCUSDT --speed 60")
def live(
    strategy: Annotated[
        str, typer.Argument(metavar="STRATEGY", help="A shipped strategy's name or a .py file.")
    ],
    on: Annotated[
        str, typer.Option("--on", help="paper (stored candles replayed) or testnet (demo futures).")
    ],
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", help="Such as BTCUSDT,ETHUSDT; default: the only one stored."),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option("--market", help="Of the stored candles: um or spot; default: um if stored."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Start of a replay, UTC; default: the last day.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End of a replay, UTC; default: the last candle.")
    ] = None,
    speed: Annotated[
        str,
        typer.Option(
            "--speed", help="Of a replay: times the wall clock's, or lockstep (as fast as it goes)."
        ),
    ] = "60",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="rsi=21 or risk.per_trade=0.02; may be repeated."),
    ] = None,
    params: Annotated[
        str | None,
        typer.Option("--params", help="A .toml file with tables params, risk and costs, or a run."),
    ] = None,
    balance: Annotated[
        float | None, typer.Option("--balance", help="Start balance on paper; default 10000.")
    ] = None,
    fee_bps: Annotated[
        float | None, typer.Option("--fee-bps", help="Taker fee on paper; default 5 (0.05 %).")
    ] = None,
    slippage_bps: Annotated[
        float | None, typer.Option("--slippage-bps", help="Slippage on paper; default 1.")
    ] = None,
    redis: Redis = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the session; a testnet session goes on by it.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Folder of candles; default var/store.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", help="Folder of runs; default var/runs.")
    ] = None,
    sessions: Sessions = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the run's record as JSON.")
    ] = False,
) -> int:
    """Run a strategy live: candles, signals, orders, each role in a process of its own."""
    from data.dates import parse_time
    from data.settings import load_settings
    from live.start import Asked

    settings = load_settings(store=store, runs=runs, sessions=sessions, redis=redis)
    asked = Asked(
        strategy,
        on,
        _names(symbols),
        market,
        tuple(changes or ()),
        params,
        balance,
        fee_bps,
        slippage_bps,
        None if start is None else parse_time(start, "--from"),
        None if end is None else parse_time(end, "--to"),
        speed,
        name,
    )
    return _live(asked, settings, as_json)


def _names(symbols: str | None) -> tuple[str, ...] | None:
    from strategy.errors import WickError

    if symbols is None:
        return None
    names = tuple(name.strip().upper() for name in symbols.split(","))
    if "" in names:
        raise WickError(f"--symbols {symbols!r} has an empty name", "--symbols BTCUSDT,ETHUSDT")
    return names


def _live(asked: Any, settings: "Settings", as_json: bool) -> int:
    import asyncio
    import signal

    from data.dates import now_ms
    from data.runs import check_writable
    from live.running import Wish, run_session
    from live.show import Lines, print_ended
    from live.start import draft

    drafted = draft(asked, settings, now_ms(), sys.argv[1:])
    check_writable(settings.sessions, "sessions")
    check_writable(settings.runs)
    keys = _keys(drafted.session.on)
    with Lines(drafted) as lines:
        wish = Wish(settings, settings.redis, keys, lines.show)
        ended = asyncio.run(run_session(drafted, wish))
    print_ended(ended, settings.runs, as_json)
    return 130 if ended.by == signal.SIGINT else 0


def _keys(on: str) -> tuple[str, str]:
    import secrets

    from live.roles import KEYS, keys
    from strategy.errors import WickError

    if on == "paper":  # of the simulated exchange, made for this session alone
        return secrets.token_hex(32), secrets.token_hex(32)
    if not all(keys()):
        raise WickError(
            f"--on {on} needs an API key, and {' or '.join(KEYS)} is not set",
            f"make one at demo.binance.com, then: export {KEYS[0]}=… {KEYS[1]}=…",
        )
    return keys()


@role_app.command(
    epilog="Example: wick role trader --session var/sessions/20250501-120000-paper-mine-BTCUSDT"
)
def role(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ROLE",
            help="market-data, signal-generator, trader or performance-tracker.",
        ),
    ],
    session: Annotated[Path, typer.Option("--session", help="The session's folder.")],
) -> int:
    """Run one role of a session, as wick live does for each of them."""
    from live.roles import ROLES, run_role
    from strategy.errors import WickError, did_you_mean

    if name not in ROLES:
        raise WickError(f"there is no role {name!r}", did_you_mean(name, ROLES))
    return run_role(name, session)


@session_app.callback()
def _session() -> None:
    """Look at a session and steer it."""


@session_app.command("list", epilog="Example: wick session list")
def list_(sessions: Sessions = None, as_json: Json = False) -> None:
    """List all sessions."""
    from data.settings import load_settings
    from live.show import print_list

    print_list(load_settings(sessions=sessions).sessions, as_json)


@session_app.command(epilog="Example: wick session status last")
def status(session: Wanted = "last", sessions: Sessions = None, as_json: Json = False) -> None:
    """Show the account, its positions, and every role's process."""
    from data.settings import load_settings
    from live.control import status_of
    from live.folders import find
    from live.show import print_status

    print_status(status_of(find(load_settings(sessions=sessions).sessions, session)), as_json)


@session_app.command(epilog="Example: wick session pause last")
def pause(session: Wanted = "last", sessions: Sessions = None, as_json: Json = False) -> None:
    """Send no more entries; exits and stops go on."""
    _ask("pause", session, sessions, as_json)


@session_app.command(epilog="Example: wick session resume last")
def resume(session: Wanted = "last", sessions: Sessions = None, as_json: Json = False) -> None:
    """Send entries again, also after a halt."""
    _ask("resume", session, sessions, as_json)


@session_app.command(epilog="Example: wick session flatten last")
def flatten(session: Wanted = "last", sessions: Sessions = None, as_json: Json = False) -> None:
    """Close all positions at market, then pause."""
    _ask("flatten", session, sessions, as_json)


def _ask(command: Any, session: str, sessions: Path | None, as_json: bool) -> None:
    from data.settings import load_settings
    from live.control import ask, status_of
    from live.folders import find
    from live.show import print_status

    folder = find(load_settings(sessions=sessions).sessions, session)
    ask(folder, command, "command line")
    print_status(status_of(folder), as_json)
