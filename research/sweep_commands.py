"""wick sweep."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from backtest import commands as flags
from backtest.running import check_name, compiling
from research.commands import Cluster
from strategy.errors import WickError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backtest.sweeps.running import Many
    from backtest.sweeps.session import Session

_GO_ALONG = (
    "strategy", "resume", "threads", "cluster", "memory", "top", "as_json", "store", "runs"
)  # fmt: skip
app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: wick sweep rsi_macd_atr --grid rsi=5:40:1,oversold=10:45:2.5 --symbols BTCUSDT"
)
def sweep(
    context: typer.Context,
    strategy: Annotated[
        str | None,
        typer.Argument(metavar="STRATEGY", help="A shipped strategy's name or a .py file."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid", help="rsi=5:40:1,risk.trail=0|2|3: start:stop:step or choices; repeatable."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", help="Only combinations for which it holds: fast < slow; repeatable."
        ),
    ] = None,
    random: Annotated[
        int | None, typer.Option("--random", help="Draw so many combinations of the grid.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of --random: same seed, same draw.")] = 0,
    objective: Annotated[
        str, typer.Option("--objective", help="Figure to rank by, such as sharpe or calmar.")
    ] = "sharpe",
    top: Annotated[int, typer.Option("--top", help="How many of the best to show.")] = 20,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with an unfinished sweep: its id or last.")
    ] = None,
    memory: Annotated[
        str, typer.Option("--memory", help="What shared tables may take, such as 500MiB.")
    ] = "1GiB",
    threads: Annotated[
        int | None, typer.Option("--threads", help="Default: one for each processor.")
    ] = None,
    cluster: Cluster = None,
    heat: Annotated[
        str | None, typer.Option("--heat", help="Two axes a,b: draw only their map in the report.")
    ] = None,
    symbols: flags.Symbols = None,
    market: flags.Market = None,
    timeframe: flags.Timeframe = None,
    start: flags.From = None,
    end: flags.To = None,
    changes: flags.Changes = None,
    params: flags.Params = None,
    balance: flags.Balance = None,
    fee_bps: flags.FeeBps = None,
    maker_fee_bps: flags.MakerFeeBps = None,
    fees: flags.Fees = None,
    slippage_bps: flags.SlippageBps = None,
    intrabar: flags.Intrabar = None,
    detail: flags.Detail = None,
    strict: flags.Strict = False,
    name: flags.Name = None,
    store: flags.Store = None,
    runs: flags.Runs = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary and the best rows as JSON.")
    ] = False,
) -> None:
    """Run every combination of a grid over the same candles, and rank them.

    The same command, or --resume, goes on with what a stopped sweep left.
    """
    from backtest.detail import intrabar_changes
    from data.settings import load_settings

    _check_resume(context, strategy, resume)
    settings = load_settings(store=store, runs=runs)
    asked = None
    if strategy is not None:
        changes = [*(changes or ()), *intrabar_changes(intrabar, detail is not None)]
        asked = flags.asked_for(
            strategy, symbols, market, timeframe, start, end, changes, params, balance, fee_bps,
            slippage_bps, strict, maker_fee_bps=maker_fee_bps, fees=fees, detail=detail,
        )  # fmt: skip
    check_name(name)
    if random is None and resume is None and _was_given(context, "seed"):
        raise WickError("--seed is of --random, which is not given", "--random 1000 --seed 1")
    with compiling(), contextlib.redirect_stdout(sys.stderr):
        from backtest.sweeps.asked import GridAsked
        from backtest.sweeps.options import options_of
        from backtest.sweeps.session import open_session
        from backtest.sweeps.where import joined

        given = GridAsked(tuple(grid or ()), joined(where or ()), random, seed)
        options = options_of(objective, top, memory, threads, heat)
        session = open_session(
            asked, given, resume, options, settings.store, settings.runs, name, sys.argv[1:]
        )
    with contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no result
        _say_size(session)
        with _many_on(cluster, threads, options.memory) as many:
            run, summary = session.run(many)
    if as_json:
        import json

        from backtest.sweeps.show import as_json as summary_json

        typer.echo(json.dumps(summary_json(run, summary), indent=2))
        return
    from backtest.sweeps.show import print_sweep

    print_sweep(run, summary, strategy)


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _check_resume(context: typer.Context, strategy: str | None, resume: str | None) -> None:
    # A sweep that goes on is what it was; with the whole command, everything is compared.
    if resume is None:
        return
    for one in context.command.params:
        given = _was_given(context, one.name or "")
        if given and one.name not in _GO_ALONG and (strategy is None or one.name == "name"):
            raise WickError(
                f"{one.opts[0]} has no meaning with --resume {resume}: a sweep goes on as it began",
                f"wick sweep --resume {resume}, with --cluster, --threads, --memory, --top, --json,"
                " --store and --runs only",
            )


@contextlib.contextmanager
def _many_on(cluster: str | None, threads: int | None, memory: int) -> "Iterator[Many | None]":
    if cluster is None:
        yield None
        return
    from research.cluster.joining import joined
    from research.cluster.pool import Job

    with joined(cluster, threads) as pool:
        yield lambda plan, parts, count: pool.stream(
            (Job(at, plan, values) for at, values in parts), count, memory=memory
        )


def _say_size(session: "Session") -> None:
    for line in session.says():
        typer.echo(line, err=True)
