"""Market data over REST: klines, and the little of a book that candles can tell."""

from collections.abc import Mapping
from typing import Any

from live.simulator.replay import Replay, text
from live.simulator.signing import missing
from live.simulator.venue import ApiError, Venue

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
        price = self._price(self._symbol(given, "symbol"))
        now = self._venue.now
        return {
            "lastUpdateId": now,
            "E": now,
            "T": now,
            "bids": [[price, "1000"]],
            "asks": [[price, "1000"]],
        }

    def prices(self, given: Mapping[str, str]) -> dict[str, Any] | list[dict[str, Any]]:
        """Answer the last price of one symbol or of all."""
        wanted = [self._symbol(given, "symbol")] if given.get("symbol") else self._replay.symbols
        found = [
            {"symbol": symbol, "price": self._price(symbol), "time": self._venue.now}
            for symbol in wanted
        ]
        return found[0] if given.get("symbol") else found

    def _price(self, symbol: str) -> str:
        newest = self._replay.rows(symbol, self._replay.timeframe, self._venue.now, None, None, 1)
        return text(newest[0].close) if newest else "0"

    def _rows(self, symbol: str, given: Mapping[str, str]) -> list[list[int | str]]:
        timeframe = given.get("interval", "")
        if not timeframe:
            raise missing("interval")
        if not self._replay.has_timeframe(timeframe):
            raise ApiError(400, -1120, "Invalid interval.")
        limit = _whole(given, "limit")
        if limit is not None and not 0 < limit <= MOST_ROWS:
            raise ApiError(400, -1130, "Data sent for parameter 'limit' is not valid.")
        start_ms, end_ms = _whole(given, "startTime"), _whole(given, "endTime")
        rows = self._replay.rows(
            symbol, timeframe, self._venue.now, start_ms, end_ms, limit or USUAL_ROWS
        )
        return [one.row for one in rows]

    def _symbol(self, given: Mapping[str, str], name: str) -> str:
        symbol = given.get(name, "")
        if not symbol:
            raise missing(name)
        if symbol not in self._replay.symbols:
            raise ApiError(400, -1121, "Invalid symbol.")
        return symbol


def _whole(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise missing(name)
    return int(text)
