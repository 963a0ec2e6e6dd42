"""wick exchange."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from data.symbols import SymbolRules
    from live.simulator.server import Simulator
    from strategy.candles import Candles

app = typer.Typer(no_args_is_help=True, add_completion=False)

# Candles before --from that klines are answered with; no warm-up may be longer.
HISTORY = 1 << 17
NEW_KEYS = (
    "a new pair: export WICK_API_KEY=$(openssl rand -hex 32)"
    " WICK_API_SECRET=$(openssl rand -hex 32)"
)


@app.callback()
def _exchange() -> None:
    """A Binance USDⓈ-M exchange on this machine, over stored candles."""


@app.command(
    epilog="Example: wick exchange serve --symbols BTCUSDT --from 2025-05-01 --to 2025-05-02"
    " --speed 60"
)
def serve(
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", help="Such as BTCUSDT,ETHUSDT; default: the only one stored."),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option("--market", help="um (USDⓈ-M futures) or spot; default: um if stored."),
    ] = None,
    timeframe: Annotated[str, typer.Option("--timeframe", help="Of the candles.")] = "1m",
    start: Annotated[
        str | None, typer.Option("--from", help="First day, UTC, such as 2025-05-01; default: all.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="First day not wanted any more, UTC.")
    ] = None,
    balance: Annotated[float, typer.Option("--balance", help="USDT of the account.")] = 10_000.0,
    fee_bps: Annotated[
        float | None, typer.Option("--fee-bps", help="Taker fee; default 5 (0.05 %).")
    ] = None,
    slippage_bps: Annotated[
        float | None, typer.Option("--slippage-bps", help="Slippage of a market order; default 1.")
    ] = None,
    speed: Annotated[
        str,
        typer.Option("--speed", help="Times the wall clock's speed, or lockstep."),
    ] = "1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Begin when a private socket is connected.")
    ] = False,
    faults: Annotated[
        Path | None, typer.Option("--faults", help="A .toml file of what goes wrong.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Folder of candles; default var/store.")
    ] = None,
) -> None:
    """Serve stored candles as an exchange until interrupted; prints its addresses as JSON."""
    from strategy.errors import WickError

    rate = _rate(speed)
    key, secret = (os.environ.get(name, "") for name in ("WICK_API_KEY", "WICK_API_SECRET"))
    if not (key and secret):
        raise WickError(
            "the exchange's only account needs WICK_API_KEY and WICK_API_SECRET", NEW_KEYS
        )
    if not 0 <= port <= 65_535:
        raise WickError(f"--port is {port}, expected 0 to 65535", "--port 0 takes a free one")
    if not 0.0 < balance < 1e12:
        raise WickError(f"--balance is {balance:g}, expected more than 0 USDT", "--balance 10000")

    from data.funding import funding_of_store
    from data.overrides import share_of_bps
    from data.settings import load_settings
    from live.simulator.faults import Faults, read_faults
    from live.simulator.server import Simulator
    from strategy.fills import Costs

    folder = load_settings(store=store).store
    candles, start_ms, end_ms = _candles(folder, symbols, market, timeframe, start, end)
    of_market = candles[0].market == "um"
    funding = [funding_of_store(folder, one) for one in candles] if of_market else None
    simulator = Simulator(
        candles,
        [_rules(folder, one, start_ms) for one in candles],
        Costs(
            share_of_bps("--fee-bps", fee_bps, Costs().fee_rate),
            share_of_bps("--slippage-bps", slippage_bps, Costs().slippage),
        ),
        balance,
        api_key=key,
        api_secret=secret,
        start_ms=start_ms,
        end_ms=end_ms,
        faults=Faults() if faults is None else read_faults(faults),
        funding=funding,
    )
    asyncio.run(_serve(simulator, port, rate, wait))


async def _serve(simulator: "Simulator", port: int, rate: float | None, wait: bool) -> None:
    import msgspec

    from strategy.errors import WickError

    try:
        try:
            addresses = await simulator.start(port=port)
        except OSError as error:
            raise WickError(
                f"port {port} cannot be opened: {error.strerror}", "--port 0 takes a free one"
            ) from error
        typer.echo(msgspec.json.encode(addresses))
        await (simulator.run_lockstep() if rate is None else simulator.run_at(rate, wait=wait))
        typer.echo("the replay is over; Ctrl-C ends the exchange", err=True)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()


def _candles(
    folder: Path,
    symbols: str | None,
    market: str | None,
    timeframe: str,
    start: str | None,
    end: str | None,
) -> "tuple[list[Candles], int, int]":
    from data import store
    from data.dates import parse_time, show_time
    from data.find import select
    from data.selection import market_of, only_symbol, refuse_twice
    from strategy.errors import WickError
    from strategy.timeframes import timeframe_ms

    start_ms = None if start is None else parse_time(start, "--from")
    end_ms = None if end is None else parse_time(end, "--to")
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise WickError(
            f"--from {show_time(start_ms)} is not before --to {show_time(end_ms)}",
            "--from is the first day wanted, --to the first one not wanted any more",
        )
    if symbols is None:
        symbols = only_symbol(folder, market, timeframe)
    names = [name.strip().upper() for name in symbols.split(",")]
    refuse_twice(names)
    market = market or market_of(folder, names[0], timeframe)
    first_ms = None
    if start_ms is not None:
        first_ms = start_ms - HISTORY * timeframe_ms(timeframe)
        stored = select(folder, names, market, timeframe)
        if stored and max(one.last_open_time for one in stored) < start_ms:
            raise WickError(
                f"no candle of {symbols} is stored from {show_time(start_ms)} UTC on",
                "wick data show lists what is stored",
            )
    candles = [store.load(folder, market, name, timeframe, first_ms, end_ms) for name in names]
    opens = [one.arrays["open_time"] for one in candles]
    if start_ms is None:
        start_ms = min(int(times[0]) for times in opens)
    last_ms = max(int(times[-1]) for times in opens)
    return candles, start_ms, last_ms + candles[0].timeframe_ms


def _rules(folder: Path, candles: "Candles", start_ms: int) -> "SymbolRules":
    from data.symbols import RuleBook, fine_rules

    first = float(candles.arrays["open"][0])
    known = RuleBook(folder, candles.market).rules(candles.symbol, start_ms)
    return known or fine_rules(candles.market, candles.symbol, first)


def _rate(speed: str) -> float | None:
    from strategy.errors import WickError

    if speed == "lockstep":
        return None
    try:
        rate = float(speed)
    except ValueError:
        rate = 0.0
    if not 0.0 < rate <= 1e6:
        raise WickError(
            f"--speed {speed} is neither a number above 0 nor lockstep",
            "--speed 60 plays a minute in a second",
        )
    return rate
