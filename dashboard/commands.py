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
        str | None, typer.Option("--session", help="A name or a part of it; default: the newest.")
    ] = None,
) -> None:
    """Show sessions and runs in the browser; only this machine can see it.

    Ctrl-C ends it. Sessions go on without it.
    """
    query = "" if session is None else f"?session={_found(session)}"
    _check_free(port)
    from streamlit.web import cli

    typer.echo(f"dashboard on http://{HOST}:{port}/{query}  (Ctrl-C ends it)")
    cli.main(
        ["run", str(APP), "--server.address", HOST, "--server.port", str(port)],
        prog_name="wick dashboard",
        standalone_mode=False,
    )


def _found(session: str) -> str:
    from urllib.parse import quote

    from data.settings import load_settings
    from live.folders import find

    return quote(find(load_settings().sessions, session).name)


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
