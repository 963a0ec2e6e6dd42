"""The frame of the command line: help, wrong use, errors, closed pipes, and nothing heavy."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import wick
from strategy.errors import RunRefused, WickError

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        wick.main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def failing(error: BaseException) -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @app.command()
    def fail() -> None:
        """Fail."""
        raise error

    return app


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give the table of commands one that fails as a test wishes."""
    commands = wick.COMMANDS | {"fail": ("failing:app", "Fail.")}
    monkeypatch.setattr(wick, "COMMANDS", commands)
    return monkeypatch


def run_failing(fails: pytest.MonkeyPatch, error: BaseException, *flags: str) -> int:
    module = type(sys)("failing")
    module.app = failing(error)  # type: ignore[attr-defined]  # a module made here
    fails.setitem(sys.modules, "failing", module)
    return run("fail", *flags)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    for name, (_, line) in wick.COMMANDS.items():
        assert name in said
        assert line[:40] in said


def test_without_arguments_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "Usage: wick" in capsys.readouterr().out


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("wick")


def test_every_command_can_be_imported_and_has_help_with_an_example() -> None:
    def leaves(command: object, path: str) -> list[tuple[str, object]]:
        children = getattr(command, "commands", None)
        if not children:
            return [(path, command)]
        return [leaf for n, c in children.items() for leaf in leaves(c, f"{path} {n}")]

    for name, (target, _) in wick.COMMANDS.items():
        module, _, attribute = target.partition(":")
        app = getattr(importlib.import_module(module), attribute)
        for path, command in leaves(typer.main.get_command(app), f"wick {name}"):
            assert getattr(command, "help", None), path
            assert f"Example: {path}" in (getattr(command, "epilog", None) or ""), path
            for option in command.params:  # type: ignore[attr-defined]
                assert getattr(option, "help", None), f"{path} {option.name}"


def test_a_wrong_command_gets_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dta") == 2
    assert capsys.readouterr().err == (
        "wick: No such command 'dta'. Did you mean 'data'?\nhint: wick --help\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (WickError("wrong", "do this"), 2, "wick: wrong\nhint: do this\n"),
        (RunRefused("no", "do that"), 1, "wick: no\nhint: do that\n"),
        (KeyboardInterrupt(), 130, "wick: stopped; nothing was left half-written\n"),
        (
            PermissionError(13, "Permission denied", "var/store"),
            1,
            """wick: var/store: Permission denied
hint: folders are set by WICK_STORE, WICK_RUNS and WICK_SESSIONS, or in wick.toml
""",
        ),
        (
            ValueError("odd"),
            1,
            """wick: unexpected ValueError: odd
hint: the same command with --debug shows where
""",
        ),
    ],
)
def test_errors_are_sentences_with_their_exit_code(
    fails: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    assert run_failing(fails, error) == code
    assert capsys.readouterr().err == said


def test_debug_shows_the_traceback_wherever_it_stands(fails: pytest.MonkeyPatch) -> None:
    module = type(sys)("failing")
    module.app = failing(WickError("wrong", "do this"))  # type: ignore[attr-defined]
    fails.setitem(sys.modules, "failing", module)
    for arguments in (["--debug", "fail"], ["fail", "--debug"]):
        with pytest.raises(WickError, match="wrong"):
            wick.main(arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["data", "fetch", "--help"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str]) -> None:
    command = [sys.executable, str(ROOT / "wick.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(30) == 0
    process.stderr.close()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_answer(closed: str, tmp_path: Path) -> None:
    words = f'exec "$@" {closed}'
    for given, code in ((["--version"], 0), (["runs", "list"], 0), (["backtest", "nothing"], 2)):
        shell = ["sh", "-c", words, "sh", sys.executable, str(ROOT / "wick.py"), *given]
        done = subprocess.run(shell, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr + done.stdout


def test_help_and_wrong_use_import_nothing_heavy() -> None:
    code = (
        "import sys, wick\n"
        "try: wick.main(['data', 'chek'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'pyarrow', 'pandas', 'requests', 'optuna'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
