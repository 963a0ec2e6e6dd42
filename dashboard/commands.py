"""wick dashboard."""

import socket
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

HOST = "127.0.0.1"
APP = Path(__file__).with_name("app.py")


@app.command(epilog="Example: wick dashboard --port 8600")
def dashboard(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="On this machine.")] = 8501,
    session: Annotated[
        str | None, typer.Option("--session", help="Begin with this one; default: the newest.")
    ] = None,
) -> None:
    """Show sessions and runs in the browser; only this machine can see it.

    Ctrl-C ends it. Sessions go on without it.
    """
    from urllib.parse import quote

    query = ""
    if session is not None:
        _check_session(session)
        query = f"?session={quote(session)}"
    _check_free(port)
    from streamlit.web import cli

    typer.echo(f"dashboard on http://{HOST}:{port}/{query}  (Ctrl-C ends it)")
    cli.main(
        ["run", str(APP), "--server.address", HOST, "--server.port", str(port)],
        prog_name="wick dashboard",
        standalone_mode=False,
    )


def _check_session(name: str) -> None:
    from dashboard.load import sessions
    from data.settings import load_settings
    from strategy.errors import WickError, did_you_mean

    folder = load_settings().sessions
    known = sessions(folder)
    if name not in known:
        hint = did_you_mean(name, known) if known else "wick live rsi_macd_atr --on paper"
        raise WickError(f"there is no session {name!r} in {folder}", hint)


def _check_free(port: int) -> None:
    from strategy.errors import RunRefused

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RunRefused(
                f"port {port} cannot be used: {error.strerror}",
                f"wick dashboard --port {min(port + 1, 65535)}",
            ) from error
