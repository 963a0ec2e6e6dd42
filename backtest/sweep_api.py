"""Sweeps from Python: every combination of a grid as a row of a DataFrame."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.api import Run
from backtest.arguments import Moment, asked_for, finer_of

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import pyarrow as pa

    from backtest.inputs import Inputs
    from backtest.sweeps.grid import Grid
    from strategy.candles import Candles
    from strategy.load import Strategy


def sweep(
    strategy: "str | Path | Strategy",
    symbols: "str | Candles | Sequence[str] | Sequence[Candles] | None" = None,
    grid: Mapping[str, Any] | None = None,
    *,
    where: str | None = None,
    random: int | None = None,
    seed: int = 0,
    objective: str = "sharpe",
    memory: str = "1GiB",
    threads: int | None = None,
    market: str | None = None,
    timeframe: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    params: Mapping[str, Any] | Run | str | None = None,
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
    name: str | None = None,
    costs: Mapping[str, Any] | None = None,
) -> "Sweep":
    """Run every combination of a grid over the same candles; see `backtest` for what is shared.

    Parameters
    ----------
    strategy, symbols
        As for `backtest`.
    grid : mapping, optional
        A sequence of numbers by name: fields of Params, ``risk.NAME`` or ``costs.NAME``. By default
        the strategy's TUNE, where it has lists or steps.
    where : str, optional
        Only combinations for which it holds, in the grammar of rules: "fast < slow".
    random, seed : int, optional
        Draw so many combinations of the grid; the same seed draws the same.
    objective : str
        Figure to rank by.
    memory : str
        What shared tables may take, such as 500MiB.
    threads : int, optional
        One for each processor by default; the result does not depend on it.

    Returns
    -------
    Sweep

    Raises
    ------
    WickError
        Something asked for does not exist or does not fit: what `wick sweep` would print.

    Examples
    --------
    >>> from data.synthetic import synthetic_market
    >>> market = synthetic_market(seed=7, minutes=20_000, start_ms=1_672_531_200_000)
    >>> found = sweep("breakout_donchian", market, {"channel": [24, 48], "stop": [2.0, 3.0]})
    >>> found.table[["channel", "stop", "trades"]]
       channel  stop  trades
    0       24   2.0    32.0
    1       24   3.0    32.0
    2       48   2.0    25.0
    3       48   3.0    25.0
    """
    from backtest.running import check_name
    from backtest.sweeps import running
    from backtest.sweeps.asked import GridAsked, gather_for
    from backtest.sweeps.grid import check_size
    from backtest.sweeps.options import options_of
    from data.settings import load_settings

    check_name(name)
    options = options_of(objective, 1, memory, threads, None)
    settings = load_settings(store=store, runs=runs)
    asked, given = asked_for(
        strategy, symbols, market, timeframe, start, end, params, risk, balance, fee_bps,
        slippage_bps, maker_fee_bps, fees, intrabar, detail, costs,
    )  # fmt: skip
    inputs, wanted = gather_for(
        asked, GridAsked(grid or (), where, random, seed), settings.store, settings.runs, given,
        finer_of(detail),
    )  # fmt: skip
    check_size(wanted)
    parts, says = running.all_parts(inputs, wanted, options.threads, options.memory)
    return Sweep(inputs, wanted, parts, says, objective, seed, settings.store, settings.runs, name)


class Sweep:
    """The rows of a sweep.

    Attributes
    ----------
    objective : str
        The figure that rows are ranked by where nothing else is said.
    method : list of str
        How it was computed.
    folder : Path or None
        Where it is kept, None as long as it is not.
    """

    def __init__(
        self,
        inputs: "Inputs",
        grid: "Grid",
        parts: "list[pa.Table]",
        method: list[str],
        objective: str,
        seed: int,
        store: Path,
        runs: Path,
        name: str | None,
    ) -> None:
        self._inputs, self._grid, self._parts = inputs, grid, parts
        self._seed, self._store, self._runs, self._name = seed, store, runs, name
        self.objective, self.method = objective, method
        self.folder: Path | None = None

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row a combination, by its number: the values of the axes, figures, and note, which
        says why a row has no figures."""
        import pyarrow as pa

        from backtest.sweeps.ranking import NUMBER

        frame: pd.DataFrame = pa.concat_tables(self._parts).to_pandas().set_index(NUMBER)
        return frame.rename_axis(None)

    def top(self, count: int = 20, objective: str | None = None) -> "pd.DataFrame":
        """Return the best rows, the best first; those of fewer than 10 trades come last."""
        import pyarrow as pa

        from backtest.sweeps.options import known_objective
        from backtest.sweeps.ranking import ranked

        key = known_objective(objective or self.objective)
        order = ranked(pa.concat_tables(self._parts), key)[:count]
        return self.table.iloc[order]

    def best(self, objective: str | None = None) -> "pd.Series[Any]":
        """Return the best row; its name is the number of the combination."""
        return self.top(1, objective).iloc[0]

    def run(self, combination: int | None = None) -> Run:
        """Run one combination by itself, by default the best, to the same figures.

        Raises
        ------
        WickError
            There is no combination of this number, or it has no result.
        """
        from backtest.sweeps.alone import run_of

        number = int(self.best().name) if combination is None else combination  # type: ignore[call-overload]
        made = run_of(self._inputs, self._grid, self._parts, number, self._runs)
        return Run(made, self._store, self._inputs.candles, self._inputs.strategy.source)

    def heatmap(
        self, x: str, y: str, figure: str | None = None, *, best: bool = False
    ) -> "go.Figure":
        """Draw a figure over two axes: its median over all other axes, or the best of them.

        Raises
        ------
        WickError
            One of the names is no axis or no figure.
        """
        from backtest.sweeps.heatmap import figure_of
        from backtest.sweeps.maps import maps_of
        from backtest.sweeps.options import known_objective, known_pair

        key = known_objective(figure or self.objective)
        pair = known_pair((x, y), self._grid.names)
        (drawn,) = maps_of(lambda: self._parts, self._grid, [key], len(self.table), pair)
        return figure_of(drawn, key, best)

    def save(self) -> "Sweep":
        """Keep the sweep in the folder of runs, once, as `wick sweep` does, and return it.

        Raises
        ------
        RunRefused
            The folder cannot be written, or no combination has a result.
        """
        from backtest.sweeps.kept import keep

        if self.folder is None:
            self.folder = keep(
                self._inputs, self._grid, self._parts, self.method, self.objective, self._seed,
                self._runs, self._name,
            )  # fmt: skip
        return self

    def __repr__(self) -> str:
        from backtest.sweeps.show import figure
        from data.terminal import counted
        from strategy.metrics import DEFINITIONS

        names = ", ".join(self._grid.names)
        symbols = ",".join(one.symbol for one in self._inputs.candles)
        best = self.best()
        label = DEFINITIONS[self.objective].label
        return (
            f"sweep of {self._inputs.strategy.name} on {symbols}:"
            f" {counted(len(self.table), 'combination')} of {names}\n"
            f"best {label} {figure(self.objective, float(best[self.objective]))}"
        )
