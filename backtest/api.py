"""Backtests from Python: in a notebook, or in a script of one's own."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.arguments import Moment, asked_for, check_kind, finer_of

if TYPE_CHECKING:
    import pandas as pd

    from data import runs as kept
    from data.run_json import RunRecord
    from strategy.candles import Candles
    from strategy.load import Strategy


def backtest(
    strategy: "str | Path | Strategy",
    symbols: "str | Candles | Sequence[str] | Sequence[Candles] | None" = None,
    *,
    market: str | None = None,
    timeframe: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    params: "Mapping[str, Any] | Run | str | None" = None,
    risk: Mapping[str, Any] | None = None,
    balance: float | None = None,
    fee_bps: float | None = None,
    slippage_bps: float | None = None,
    intrabar: str | None = None,
    detail: "str | Candles | Sequence[Candles | None] | None" = None,
    maker_fee_bps: float | None = None,
    fees: str | None = None,
    store: Path | str | None = None,
    runs: Path | str | None = None,
    save: bool = False,
    name: str | None = None,
    costs: Mapping[str, Any] | None = None,
    warm_from: Moment | None = None,
) -> "Run":
    """Run a strategy over candles; the same inputs as `wick backtest` give the same result.

    Parameters
    ----------
    strategy : str, Path or Strategy
        A shipped strategy's name, a .py file, or what `strategy.load.load` gave.
    symbols : str, Candles, or a sequence of either; optional
        Such as "BTCUSDT" or ["BTCUSDT", "ETHUSDT"], from the store; or candles in memory. By
        default the only symbol stored.
    market, timeframe : str, optional
        um or spot; and instead of the strategy's own TIMEFRAME.
    start, end : str, date, datetime or int, optional
        First time wanted and the first one not wanted any more, UTC; a number is in milliseconds.
    params : mapping, Run or str, optional
        Values for the strategy's Params. Or a run, its id, `last` or a .toml file, from which
        everything is taken that is not given here.
    risk : mapping, optional
        Values for its RISK.
    balance : float, optional
        Quote currency to start with; 10000.
    fee_bps, slippage_bps : float, optional
        Taker fee and slippage of a market order in basis points; 5 and 1.
    intrabar : str, optional
        What comes first where one candle touches stop and take: "worst" (the stop), "best" (the
        take), or "detail" (what finer candles say).
    detail : str, Candles or sequence of Candles, optional
        Finer candles: a timeframe of the store such as "1s", or candles in memory, one of each
        symbol and None for none.
    maker_fee_bps : float, optional
        Fee of a resting limit order; 2.
    fees : str, optional
        Both fees of one of the exchange's tiers instead: vip0 to vip9, with ,bnb if paid in BNB.
    store, runs : path, optional
        Folders of candles and of runs, by default those of the settings.
    save : bool
        Keep the run, as `wick backtest` does.
    name : str, optional
        Name of the run.
    costs : mapping, optional
        Values for Costs, such as {"atr": 0.05}; what has an argument of its own is taken from that.
    warm_from : str, date, datetime or int, optional
        Before `start`: candles from here on only warm indicators up.

    Returns
    -------
    Run

    Raises
    ------
    WickError
        Something asked for does not exist or does not fit, or the run was refused: what
        `wick backtest` would print.

    Examples
    --------
    >>> from data.synthetic import synthetic_market
    >>> market = synthetic_market(seed=7, minutes=20_000, start_ms=1_672_531_200_000)
    >>> run = backtest("breakout_donchian", market, risk={"per_trade": 0.005})
    >>> run
    breakout_donchian on SYNTHUSDT um 1m, 2023-01-01 00:00 to 2023-01-14 21:20 UTC
    25 trades, total return +1.90%, max drawdown -3.22%
    >>> run.trades[["side", "entry_price", "exit_price", "net"]].head(2).round(2)
        side  entry_price  exit_price    net
    0  short     29390.66    29625.34 -57.01
    1   long     29887.39    30185.59  58.28
    >>> run.equity.iloc[-1:].round(2)
    time
    2023-01-14 21:19:00+00:00    10190.24
    Name: equity, dtype: float64
    """
    from backtest.running import run_asked
    from data.runs import check_writable
    from data.settings import load_settings

    settings = load_settings(store=store, runs=runs)
    if save:
        check_writable(settings.runs)
    asked, given = asked_for(
        strategy, symbols, market, timeframe, start, end, params, risk, balance, fee_bps,
        slippage_bps, maker_fee_bps, fees, intrabar, detail, costs, warm_from,
    )  # fmt: skip
    made, inputs = run_asked(
        asked, settings.store, settings.runs, name=name, given=given, detail=finer_of(detail)
    )
    run = Run(made, settings.store, inputs.candles, inputs.strategy.source)
    return run.save() if save else run


class Run:
    """What a backtest gave, or a run read back with `Run.load`.

    Attributes
    ----------
    record : RunRecord
        Everything in run.json: strategy, data and exchange rules, costs, notes, result_hash.

    Examples
    --------
    >>> from data.synthetic import synthetic_market
    >>> run = backtest("breakout_donchian", synthetic_market(7, 20_000, 1_672_531_200_000))
    >>> run.figures.loc["win_rate", ["label", "value", "n"]].to_dict()
    {'label': 'win rate', 'value': 0.52, 'n': 25}
    >>> run.params
    {'channel': 48, 'roc': 16, 'speed': 0.8, 'atr': 14, 'stop': 2.0, 'take': 6.0}
    >>> int(run.parts["trade"].nunique())  # trades closed in parts
    11
    >>> run.folder is None  # until it is saved
    True
    """

    def __init__(
        self,
        made: "kept.Run",
        store: Path,
        candles: "tuple[Candles, ...] | None" = None,
        source: bytes | None = None,
    ) -> None:
        self._made, self._store = made, store
        # A run read back has its source in its folder.
        self._source, self._is_kept = source, source is None
        if candles is not None:
            self.candles = candles

    @classmethod
    def load(
        cls,
        name: str | Path = "last",
        *,
        store: Path | str | None = None,
        runs: Path | str | None = None,
    ) -> "Run":
        """Read a kept run by its id, any part of one, its path, or `last`.

        Raises
        ------
        WickError
            There is no such run, or a file of it is damaged.
        """
        from data.runs import load
        from data.settings import load_settings

        check_kind("name", name, (str, Path), "a run's id or path")
        settings = load_settings(store=store, runs=runs)
        return cls(load(settings.runs, str(name)), settings.store)

    @property
    def record(self) -> "RunRecord":
        """What run.json holds."""
        return self._made.record

    @property
    def folder(self) -> Path | None:
        """Where the run is kept, None if it is not."""
        return self._made.folder if self._is_kept else None

    @property
    def params(self) -> dict[str, int | float]:
        """The strategy's params by name."""
        return dict(self.record.params)

    @property
    def risk(self) -> dict[str, float]:
        """The risk settings by name."""
        return dict(self.record.risk)

    @property
    def refused(self) -> dict[str, int]:
        """How many entries were refused, by reason."""
        return dict(self.record.refused)

    @cached_property
    def trades(self) -> "pd.DataFrame":
        """One row a trade, in the order they were closed; times in UTC, money in quote currency."""
        return _frame(self._made.trades)

    @cached_property
    def parts(self) -> "pd.DataFrame":
        """Every exit of the trades that were closed in parts; `trade` is the row in `trades`."""
        from data.run_tables import NO_PARTS

        return _frame(NO_PARTS if self._made.parts is None else self._made.parts)

    @cached_property
    def equity(self) -> "pd.Series[float]":
        """The account's value at the close of each candle, by the candle's open in UTC."""
        import pandas as pd

        times = pd.to_datetime(self._made.time, unit="ms", utc=True)
        return pd.Series(self._made.equity, times.rename("time"), name="equity")

    @cached_property
    def figures(self) -> "pd.DataFrame":
        """Label, value, unit, n (of how many), and note by key; NaN where there is no value."""
        import pandas as pd

        fields = ("key", "label", "value", "unit", "n", "note")
        rows = [[getattr(one, field) for field in fields] for one in self.record.figures]
        table = pd.DataFrame(rows, columns=list(fields)).set_index("key")
        return table.astype({"value": float})

    @cached_property
    def interval(self) -> "pd.DataFrame | None":
        """Final equity, total return, max drawdown, trades and ambiguous trades of the whole run in
        the worst and the best case of candles that touch stop and take; NaN where the balance was
        used up. None where no candle did, and for runs of before."""
        import pandas as pd

        its = self.record.interval
        if its is None:
            return None
        columns = ["equity", "total_return", "max_drawdown", "trades", "ambiguous"]
        rows = [
            [math.nan if end is None else getattr(end, name) for name in columns]
            for end in (its.worst, its.best)
        ]
        return pd.DataFrame(rows, ["worst", "best"], columns)

    @cached_property
    def candles(self) -> "tuple[Candles, ...]":
        """The candles it ran on, one of each symbol; those of a run read back from the store.

        Raises
        ------
        WickError
            The store has not exactly these candles any more.
        """
        from backtest.inputs import candles_of

        return candles_of(self.record, self._store)

    def report(self, path: Path | str | None = None) -> Path:
        """Write the report, by default into the folder of a kept run; without a chart of the
        candles where they are gone.

        Raises
        ------
        WickError
            The run is not kept and no path is given, or the file cannot be written.
        """
        from backtest.report import write_report
        from strategy.errors import WickError

        if path is None:
            if not self._is_kept:
                raise WickError(
                    "the run is not kept, so its report has no place",
                    'run.report("report.html"), or run.save() first',
                )
            path = self._made.folder / "report.html"
        try:
            candles = self.candles
        except WickError:
            candles = None
        return write_report(self._made, candles, Path(path))

    def save(self) -> "Run":
        """Keep the run in the folder of runs, once, and return it.

        Raises
        ------
        RunRefused
            The folder cannot be written.
        """
        from data.runs import check_writable, keep

        if not self._is_kept:
            folder = self._made.folder.parent
            check_writable(folder)
            self._made, self._is_kept = keep(folder, self._made, self._source), True
        return self

    def to_vectorbt(self) -> Any:
        """Return the run as a vectorbt Portfolio; see `backtest.portfolio.portfolio_of`."""
        from backtest.portfolio import portfolio_of

        return portfolio_of(self._made, self.candles)

    def __repr__(self) -> str:
        from data.dates import show_time
        from data.show import shown

        record, first = self.record, self.record.data[0]
        start = show_time(min(one.first_ms for one in record.data))
        end = show_time(max(one.end_ms for one in record.data))
        names = ",".join(one.symbol for one in record.data)
        figures = [record.figure(key) for key in ("total_return", "max_drawdown")]
        told = ", ".join(f"{one.label} {shown(one)}" for one in figures)
        return (
            f"{record.strategy.name} on {names} {first.market} {first.timeframe}, {start} to {end}"
            f" UTC\n{len(self._made.trades):,} trades, {told}"
        )


def _frame(table: Any) -> "pd.DataFrame":
    return table.to_pandas()
