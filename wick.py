"""The command line: one line per command here, its code in the `commands` module of its package."""

import contextlib
import errno
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# Name: the Typer app that serves it, and its line in `wick --help`. An app is imported when its
# command is called, so that help and wrong use answer at once.
COMMANDS = {
    "demo": ("research.commands:demo_app", "From candles to a tuned backtest and its report."),
    "data": ("data.commands:app", "Fetch, import, check, repair and show market data."),
    "indicators": ("research.indicator_commands:app", "List, explain and draw indicators."),
    "new": ("research.new_commands:app", "Write a small strategy to begin with."),
    "check": ("research.check_commands:app", "Look for a view of the future in a strategy."),
    "backtest": ("backtest.commands:backtest_app", "Run a strategy over stored candles."),
    "tune": ("research.commands:tune_app", "Search params, and say how likely it is luck."),
    "holdout": ("research.commands:holdout_app", "Run a tuning's winner on unseen candles, once."),
    "walkforward": (
        "research.validation.commands:app",
        "Tune again and again, judge on what follows.",
    ),
    "sweep": ("research.sweep_commands:app", "Run a grid of params and rank the results."),
    "parity": ("research.parity_commands:app", "Backtest against the live stack, to the bit."),
    "runs": ("research.runs.commands:app", "List, compare, tag, export and delete runs."),
    "report": ("research.report_commands:report_app", "Write a run as one HTML file."),
    "exchange": ("live.simulator.commands:app", "Serve stored candles as an exchange."),
    "live": ("live.commands:live_app", "Run a strategy on paper or testnet, process by process."),
    "session": ("live.commands:session_app", "Look at a running session, pause or flatten it."),
    "role": ("live.commands:role_app", "Run one role of a session alone."),
    "doctor": ("research.doctor_commands:app", "Look at the installation; compile all kernels."),
    "dashboard": ("dashboard.commands:app", "Show sessions and runs in the browser."),
}
INTERRUPTED = 130


class _LazyCommands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, line) in COMMANDS.items():
            self.commands[name] = typer.main.get_command(_stand_in(name, line))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        module, _, attribute = COMMANDS[str(name)][0].partition(":")
        command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        command.name = name
        return name, command, rest


def _stand_in(name: str, line: str) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command(name, help=line)(lambda: None)
    return app


app = typer.Typer(
    cls=_LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    epilog="Example: wick data import ../klines, then wick data check",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"wick {version('candlewick')}")
        except PackageNotFoundError:
            typer.echo("wick, run from its source without being installed")
        raise typer.Exit


@app.callback()
def _wick(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[  # main takes it out
        bool, typer.Option("--debug", help="Show the traceback of an error; works anywhere.")
    ] = False,
) -> None:
    """Candlewick: one strategy file, from backtest to live."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 2 for wrong use, 1 for a refused run."""
    _open_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug, said = "--debug" in given, False
    try:
        code = _run([a for a in given if a != "--debug"])
        sys.stdout.flush()
    except Exception as error:  # the last line: a sentence, no traceback
        if debug:
            raise
        own = getattr(error, "exit_code", None) == INTERRUPTED
        said = own or not _was_interrupted(error)
        code = _explain(error) if said else INTERRUPTED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as stop:
        code = _code_of(stop)
    if code == INTERRUPTED and not said:
        _say("stopped; nothing was left half-written")
    if arguments is None:
        _leave(code)
    sys.exit(code)


def _open_streams() -> None:
    # Of those that a shell has closed nothing is expected; and no file may get their numbers.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115


def _was_interrupted(error: BaseException | None) -> bool:
    # A library's own clean-up may fail over Ctrl-C and hide it (seen with Optuna).
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _leave(code: int) -> None:
    # A process that ran compiled kernels takes 0.35 s to take itself apart, a third of a backtest's
    # whole time. Files are closed and the kernel releases locks, so there is nothing to lose.
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run(arguments: list[str]) -> int:
    result = typer.main.get_command(app).main(arguments, prog_name="wick", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _code_of(stop: SystemExit) -> int:
    # Rich and Typer end with 1 where nobody reads the output any more (| head); it is no error.
    if stop.code is None or isinstance(stop.__context__, BrokenPipeError):
        return 0
    if isinstance(stop.code, int):
        return stop.code
    _say(str(stop.code))
    return 1


def _explain(error: Exception) -> int:
    from strategy.errors import WickError

    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, WickError):
        _say(error.message, error.hint)
        return error.exit_code
    if isinstance(error, typer.TyperException):
        return _explain_usage(error)
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        _say(
            f"{error.filename or 'the system'}: {error.strerror or error}",
            "make room; nothing was left half-written"
            if full
            else "folders are set by WICK_STORE, WICK_RUNS and WICK_SESSIONS, or in wick.toml",
        )
        return 1
    _say(f"unexpected {type(error).__name__}: {error}", "the same command with --debug shows where")
    return 1


def _explain_usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message())
        return 0
    path = context.command_path if context else "wick"
    _say(error.format_message(), f"{path} --help")
    return error.exit_code


def _say(message: str, hint: str | None = None) -> None:
    typer.echo(f"wick: {message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)


if __name__ == "__main__":
    main()
