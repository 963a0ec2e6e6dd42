"""A run between the worst and the best that its candles leave open."""

from collections.abc import Callable

from backtest.engine import Result
from backtest.kernels.detailed import RESOLVED, WALKED, WANTING
from data.run_json import EndRecord, IntervalRecord
from strategy.errors import RunRefused
from strategy.fills import BEST, WORST, Costs
from strategy.metrics import drawdown


def interval_of(result: Result, run: Callable[[Costs], Result]) -> IntervalRecord | None:
    """Run again with the other assumptions about candles that touch stop and take.

    Parameters
    ----------
    result : Result
    run : callable
        Runs the same inputs with other costs.

    Returns
    -------
    IntervalRecord or None
        None where no candle of the run was ambiguous: the others would be the same.
    """
    ambiguous, resolved = int(result.trades.ambiguous.sum()), int(result.finer[:, RESOLVED].sum())
    if not ambiguous and not resolved:
        return None

    def end(case: int) -> EndRecord | None:
        if result.costs.intrabar == case:
            return _end(result)
        try:
            return _end(run(result.costs._replace(intrabar=case)))
        except RunRefused:
            return None

    return IntervalRecord(
        trades=len(result.trades),
        ambiguous=ambiguous,
        resolved=resolved,
        walked=int(result.finer[:, WALKED].sum()),
        wanting=int(result.finer[:, WANTING].sum()),
        worst=end(WORST),
        best=end(BEST),
    )


def _end(result: Result) -> EndRecord:
    equity, balance = result.equity, result.balance
    return EndRecord(
        equity=float(equity[-1]),
        total_return=float(equity[-1] / balance - 1.0),
        max_drawdown=float(drawdown(equity, balance).min()),
        trades=len(result.trades),
        ambiguous=int(result.trades.ambiguous.sum()),
    )
