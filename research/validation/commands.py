"""wick walkforward."""

import contextlib
import re
import sys
from typing import Annotated

import typer

from backtest import commands as flags
from backtest.running import check_name, compiling
from research import commands as searching

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: wick walkforward rsi_macd_atr --symbols BTCUSDT --train 180d --test 30d"
)
def walkforward(
    strategy: flags.StrategyName,
    symbols: flags.Symbols = None,
    market: flags.Market = None,
    timeframe: flags.Timeframe = None,
    start: flags.From = None,
    end: flags.To = None,
    scheme: Annotated[
        str, typer.Option("--scheme", help="rolling, anchored, kfold or cpcv; default rolling.")
    ] = "rolling",
    train: Annotated[
        str | None, typer.Option("--train", help="Such as 180d; default: 40 % of the span.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", help="Such as 30d; default: 10 % of the span.")
    ] = None,
    groups: Annotated[
        int | None, typer.Option("--groups", help="Of kfold and cpcv; default 6.")
    ] = None,
    test_groups: Annotated[
        int | None, typer.Option("--test-groups", help="Of cpcv, tested together; default 2.")
    ] = None,
    purge: Annotated[
        str | None, typer.Option("--purge", help="Left out before a test span; default 1d.")
    ] = None,
    embargo: Annotated[
        str | None, typer.Option("--embargo", help="Left out behind a test span; default 1d.")
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", help="How many params to try for each window.")
    ] = 100,
    objective: searching.Objectives = None,
    constraint: searching.Constraints = None,
    sampler: searching.Sampler = "tpe",
    seed: searching.Seed = 0,
    changes: flags.Changes = None,
    params: flags.Params = None,
    balance: flags.Balance = None,
    fee_bps: flags.FeeBps = None,
    maker_fee_bps: flags.MakerFeeBps = None,
    fees: flags.Fees = None,
    slippage_bps: flags.SlippageBps = None,
    strict: flags.Strict = False,
    threads: flags.Threads = None,
    cluster: searching.Cluster = None,
    name: flags.Name = None,
    store: flags.Store = None,
    runs: flags.Runs = None,
    as_json: flags.Json = False,
) -> None:
    """Search on one span and judge on the next, again and again: one out-of-sample curve."""
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    asked = flags.asked_for(
        strategy, symbols, market, timeframe, start, end, changes, params, balance, fee_bps,
        slippage_bps, strict, maker_fee_bps=maker_fee_bps, fees=fees, threads=threads,
    )  # fmt: skip
    check_name(name)
    with compiling(), contextlib.redirect_stdout(sys.stderr):
        from backtest.inputs import gather
        from data.runs import check_writable
        from research.tuning.asked import TuneAsked, check_asked, pinned
        from research.validation.keep import run_walk
        from research.validation.walkforward import WalkAsked

        how = WalkAsked(
            scheme,
            train_ms=_length("--train", train),
            test_ms=_length("--test", test),
            groups=groups,
            test_groups=test_groups,
            purge_ms=_length("--purge", purge),
            embargo_ms=_length("--embargo", embargo),
        )
        wanted = TuneAsked(
            trials, tuple(objective or ["sharpe"]), tuple(constraint or ()), sampler, seed
        )
        check_asked(wanted)
        check_writable(settings.runs)
        inputs = pinned(gather(asked, settings.store, settings.runs), asked)
    with searching.evaluating_on(cluster, threads) as (evaluate, at_once):
        run = run_walk(
            inputs, settings.runs, how, wanted, name=name, command=sys.argv[1:],
            evaluate=evaluate, threads=threads, at_once=at_once,
        )  # fmt: skip
    from research.report_commands import write_report_of

    write_report_of(run, settings.store)
    if as_json:
        typer.echo((run.folder / "run.json").read_text(), nl=False)
        return
    from research.validation.show import print_walk

    print_walk(run)


def _length(flag: str, text: str | None) -> int | None:
    from strategy.errors import WickError
    from strategy.timeframes import timeframe_ms

    if text is None:
        return None
    if re.fullmatch("0+[a-zA-Z]?", text):
        return 0
    try:
        return timeframe_ms(text)
    except WickError as error:
        raise WickError(
            f"{flag} {text!r} is no length of time", f"{flag} 30d, or so many m, h, d or w"
        ) from error
