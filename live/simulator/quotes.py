"""Market data over REST: klines, and the little of a book that candles can tell."""

from collections.abc import Mapping
from typing import Any

from live.simulator.checks import needed, refuse, whole
from live.simulator.replay import Replay
from live.simulator.venue import Venue

USUAL_ROWS, MOST_ROWS = 500, 1_500


class Quotes:
    """Answers to questions about prices, as of the venue's time.

    Parameters
    ----------
    venue : Venue
        Whose time it is.
    replay : Replay
        Where the prices come from.
    """

    def __init__(self, venue: Venue, replay: Replay) -> None:
        self._venue = venue
        self._replay = replay

    def klines(self, given: Mapping[str, str]) -> list[list[int | str]]:
        """Answer klines: all closed candles and the running one."""
        return self._rows(self._symbol(given, "symbol"), given)

    def continuous_klines(self, given: Mapping[str, str]) -> list[list[int | str]]:
        """Answer continuousKlines; the perpetual contract is all there is."""
        pair = self._symbol(given, "pair")
        return self._rows(pair, given) if given.get("contractType") == "PERPETUAL" else []

    def depth(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Answer a book of one level at the last price: candles do not tell more."""
        price, now = self._price(self._symbol(given, "symbol")), self._venue.now
        level = [[price, "1000"]]
        return {"lastUpdateId": now, "E": now, "T": now, "bids": level, "asks": level}

    def prices(self, given: Mapping[str, str]) -> dict[str, Any] | list[dict[str, Any]]:
        """Answer the last price of one symbol or of all."""
        wanted = [self._symbol(given, "symbol")] if given.get("symbol") else self._replay.symbols
        found = [
            {"symbol": symbol, "price": self._price(symbol), "time": self._venue.now}
            for symbol in wanted
        ]
        return found[0] if given.get("symbol") else found

    def _price(self, symbol: str) -> str:
        last = self._venue.book_ticker({"symbol": symbol})
        assert isinstance(last, dict)
        return str(last["bidPrice"])

    def _rows(self, symbol: str, given: Mapping[str, str]) -> list[list[int | str]]:
        timeframe = needed(given, "interval")
        if not self._replay.has_timeframe(timeframe):
            raise refuse(-1120, "Invalid interval.")
        limit = whole(given, "limit", USUAL_ROWS)
        if not 0 < limit <= MOST_ROWS:
            raise refuse(-1130, "Data sent for parameter 'limit' is not valid.")
        start_ms, end_ms = whole(given, "startTime", -1), whole(given, "endTime", -1)
        rows = self._replay.rows(
            symbol,
            timeframe,
            self._venue.now,
            start_ms if start_ms >= 0 else None,
            end_ms if end_ms >= 0 else None,
            limit,
        )
        return [one.row for one in rows]

    def _symbol(self, given: Mapping[str, str], name: str) -> str:
        symbol = needed(given, name)
        if symbol not in self._replay.symbols:
            raise refuse(-1121, "Invalid symbol.")
        return symbol
