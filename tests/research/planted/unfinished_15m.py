"""A signal generator that looks into the 15m candle that is still running."""

import wick
from strategy.candles import HigherCandles
from strategy.column import Column

_align = HigherCandles.align


def peeking(self: HigherCandles, column: Column) -> Column:
    # The close of a running candle is the last close of its base.
    aligned = _align(self, column)
    if self.timeframe == "15m" and column is self.close:
        return self._base.close
    return aligned


if __name__ == "__main__":
    HigherCandles.align = peeking  # type: ignore[method-assign]
    wick.main()
