"""wick doctor."""

import json
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)
_MARKS = {"ok": "ok     ", "warning": "warning", "failed": "failed "}


@app.command(epilog="Example: wick doctor --no-warm")
def doctor(
    warm: Annotated[
        bool, typer.Option("--warm/--no-warm", help="Compile all kernels, once after an install.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at the installation, caches, folders, Redis, clocks, keys and data."""
    from rich.console import Console

    from research.doctor import Finding, examine

    findings: list[Finding] = []
    with Console(stderr=True).status("looking at the installation") as status:
        found = examine(warm=warm, note=lambda name: status.update(f"compiling: {name}"))
        for one in found:
            findings.append(one)
            if not as_json:
                typer.echo(f"{_MARKS[one.state]}  {one.check:<15}  {one.said}")
                if one.hint:
                    typer.echo(f"         hint: {one.hint}")
    failed = any(one.state == "failed" for one in findings)
    if as_json:
        typer.echo(json.dumps([one._asdict() for one in findings], indent=2))
    if failed:
        raise typer.Exit(1)
