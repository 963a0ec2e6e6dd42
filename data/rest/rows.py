"""Rows of a series from the exchange's REST, for the days that the archive does not have.

URL/fapi/v1/klines, markPriceKlines, fundingRate, aggTrades, time
SPOT_URL/api/v3/klines, aggTrades, time
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from data.dates import show_day, show_time
from data.kinds import AGG_TRADES, FUNDING, KLINES, MARK
from data.manifest import REST, Series, Source
from data.quality import first_fault
from data.rest.answers import (
    Funding,
    Kline,
    Time,
    Trade,
    added_up,
    empty_table,
    table_of_rows,
)
from data.rest.client import NotListed, Pool, RestClient, Unreachable
from data.rest.listings import ExchangeInfo
from data.table import column, with_schema
from strategy.errors import RunRefused, WickError
from strategy.timeframes import DAY_MS, EXCHANGE_TIMEFRAMES, MONTH, close_times, timeframe_ms

__all__ = ["REST_KINDS", "NotListed", "Rest", "Unreachable", "source_of"]

REST_KINDS = (KLINES.name, MARK.name, FUNDING.name, AGG_TRADES.name)
_HOUR_MS = 3_600_000
# The futures' REST forgets trades after this.
TRADES_KEPT_MS = 48 * _HOUR_MS
_SPARE_MS = 300_000
_KLINE_WEIGHTS = ((99, 1), (499, 2), (1000, 5), (1500, 10))
OnPage = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Question:
    """How rows of a kind are asked for in a market."""

    method: str
    limit: int
    weight: int


_TIME = {"um": _Question("futures_time", 0, 1), "spot": _Question("get_server_time", 0, 1)}
_INFO = {
    "um": _Question("futures_exchange_info", 0, 1),
    "spot": _Question("get_exchange_info", 0, 20),
}
_QUESTIONS = {
    ("um", KLINES.name): _Question("futures_klines", 1500, 10),
    ("um", MARK.name): _Question("futures_mark_price_klines", 1500, 10),
    ("um", FUNDING.name): _Question("futures_funding_rate", 1000, 1),
    ("um", AGG_TRADES.name): _Question("futures_aggregate_trades", 1000, 20),
    ("spot", KLINES.name): _Question("get_klines", 1000, 2),
    ("spot", AGG_TRADES.name): _Question("get_aggregate_trades", 1000, 4),
}


class Rest:
    """The exchange's public REST; close it, or use it in a `with`.

    Parameters
    ----------
    url, spot_url : str
        The settings `rest_url` and `spot_rest_url`.
    sleep, clock : callable
        To wait, and seconds that only grow.
    retry_wait_s, attempts, timeout_s : numbers
        How long to wait before the second attempt, doubling from there; how many; for each.
    """

    def __init__(
        self,
        url: str,
        spot_url: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        retry_wait_s: float = 1.0,
        attempts: int = 5,
        timeout_s: float = 10.0,
    ) -> None:
        self._client = RestClient(url, spot_url, sleep, clock, retry_wait_s, attempts, timeout_s)
        self._pools = {"um": Pool(2400), "spot": Pool(6000)}
        self._funding_pool = Pool(500, 300.0)
        self._known_now: dict[str, int] = {}

    def __enter__(self) -> "Rest":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def now_ms(self, market: str) -> int:
        """Ask the exchange for its time, UTC ms.

        Raises
        ------
        Unreachable
            There is no usable answer.
        """
        said = self._ask(market, _TIME[market], Time, self._pools[market], _no_page, {})
        self._known_now[market] = said.time
        return said.time

    def exchange_info(self, market: str) -> ExchangeInfo:
        """Ask for all symbols of a market with their rules.

        Raises
        ------
        Unreachable
            There is no usable answer.
        """
        pool = self._pools[market]
        info: ExchangeInfo = self._ask(market, _INFO[market], ExchangeInfo, pool, _no_page, {})
        return info

    def earliest_ms(self, series: Series) -> int:
        """Return from when on REST has rows of this kind: of futures' trades two days, else all."""
        if (series.market, series.kind) != ("um", AGG_TRADES.name):
            return 0
        # Some minutes, so that the first question is not too late already.
        return self.now_ms(series.market) - TRADES_KEPT_MS + _SPARE_MS

    def rows(
        self, series: Series, start_ms: int, end_ms: int, on_page: OnPage | None = None
    ) -> pa.Table:
        """Ask for all rows of a series in a range.

        Parameters
        ----------
        series : Series
            What to ask for.
        start_ms, end_ms : int
            First time wanted and first not wanted, UTC ms.
        on_page : callable, optional
            Told the bytes of each answer and the time up to which rows have come.

        Returns
        -------
        pa.Table
            Columns of the series' kind, sorted, each key once; may be empty. Candles that have not
            closed by the exchange's own clock are not in it.

        Raises
        ------
        NotListed
            The exchange does not know the symbol: delisted, or never there.
        Unreachable
            There is no usable answer.
        RunRefused
            Trades that REST has forgotten were asked for.
        WickError
            REST has no such rows at all.
        """
        question = _question(series)
        on_page = on_page or _no_page
        # Asked first: what has closed by now has done so when the rows are asked for.
        now_ms = self._known_now.get(series.market, 0)
        if end_ms > now_ms:
            now_ms = self.now_ms(series.market)
        if start_ms < self.earliest_ms(series) - _SPARE_MS:
            raise RunRefused(
                f"REST has {series} of the last 48 hours only, asked for from"
                f" {show_time(start_ms)} UTC",
                "older ones are in the archive, a day after their day",
            )
        pages = _PAGES[series.kind](self, series, question, start_ms, min(end_ms, now_ms), on_page)
        tables = [page for page in pages if len(page)]
        if not tables:
            return empty_table(series.its_kind)
        table = with_schema(pa.concat_tables(tables, promote_options="default"), series.its_kind)
        if series.its_kind.has_candles:
            closes = close_times(column(table, "open_time"), series.timeframe)
            table = table.slice(0, int(np.searchsorted(closes, now_ms, "right")))
        self._refuse_faults(table, series, start_ms, end_ms)
        return table

    def _ask(
        self,
        market: str,
        question: _Question,
        answer: Any,
        pool: Pool,
        on_page: OnPage,
        parameters: dict[str, str | int],
    ) -> Any:
        if question.limit:
            parameters["limit"] = question.limit
        return self._client.ask(
            market,
            question.method,
            answer,
            pool,
            question.weight,
            lambda size_bytes: on_page(size_bytes, 0),
            **parameters,
        )

    def _candles(
        self, its: Series, question: _Question, start_ms: int, end_ms: int, on_page: OnPage
    ) -> Iterator[pa.Table]:
        while start_ms < end_ms:
            sized = _sized(question, its, start_ms, end_ms)
            rows = self._ask(
                its.market,
                sized,
                list[Kline],
                self._pools[its.market],
                on_page,
                _span(its, start_ms, end_ms) | {"interval": its.timeframe},
            )
            page = table_of_rows(rows, its.its_kind)
            # Of rows that are out of order the last would lead the next question astray.
            self._refuse_faults(page, its, start_ms, end_ms)
            yield page
            if len(rows) < sized.limit:
                return
            last = np.array([rows[-1].open_time])
            start_ms = _after(int(close_times(last, its.timeframe)[0]), start_ms, its)
            on_page(0, start_ms)

    def _fundings(
        self, its: Series, question: _Question, start_ms: int, end_ms: int, on_page: OnPage
    ) -> Iterator[pa.Table]:
        while start_ms < end_ms:
            rows = self._ask(
                its.market,
                question,
                list[Funding],
                self._funding_pool,
                on_page,
                _span(its, start_ms, end_ms),
            )
            last = len(rows) < question.limit
            if not last:
                # The last instant may have another rate on the next page.
                following = rows[-1].time
                rows = [row for row in rows if row.time != following]
            yield table_of_rows(added_up(rows), FUNDING)
            if last:
                return
            start_ms = _after(following, start_ms, its)
            on_page(0, start_ms)

    def _trades(
        self, its: Series, question: _Question, start_ms: int, end_ms: int, on_page: OnPage
    ) -> Iterator[pa.Table]:
        following: int | None = None
        while start_ms < end_ms:
            by_id = following is not None
            # With both ends the exchange takes less than an hour.
            stop_ms = min(start_ms + _HOUR_MS - 1, end_ms)
            given = _span(its, start_ms, stop_ms)
            if following is not None:
                given = {"symbol": its.symbol, "fromId": following}
            rows = self._ask(
                its.market, question, list[Trade], self._pools[its.market], on_page, given
            )
            if rows:
                following = rows[-1].agg_id + 1
                yield table_of_rows([r for r in rows if r.time < end_ms], AGG_TRADES)
                start_ms = max(start_ms, rows[-1].time)
                on_page(0, start_ms)
            if len(rows) < question.limit and by_id:
                return
            if not rows:
                start_ms = stop_ms

    def _refuse_faults(self, table: pa.Table, its: Series, start_ms: int, end_ms: int) -> None:
        kind = its.its_kind
        columns = {name: column(table, name) for name in kind.required}
        fault = first_fault(columns, its.timeframe) if kind.has_candles else None
        if fault is not None:
            raise self._broken(its, fault.why)
        times, keys = columns[kind.time], columns[kind.key[0]]
        if len(times) and (times.min() < start_ms or times.max() >= end_ms):
            raise self._broken(its, f"a row of {show_time(int(times[-1]))} UTC was not asked for")
        if np.any(np.diff(times) < 0) or np.any(np.diff(keys) <= 0):
            raise self._broken(its, "rows are out of order")
        if not all(np.isfinite(v).all() for v in columns.values() if v.dtype.kind == "f"):
            raise self._broken(its, "a value is no finite number")

    def _broken(self, its: Series, why: str) -> Unreachable:
        return Unreachable(
            f"REST at {self._client.urls[its.market]} answered for {its}: {why}",
            "nothing of this answer was stored; try again later",
        )


_PAGES: dict[str, Callable[..., Iterator[pa.Table]]] = {
    KLINES.name: Rest._candles,
    MARK.name: Rest._candles,
    FUNDING.name: Rest._fundings,
    AGG_TRADES.name: Rest._trades,
}


def source_of(table: pa.Table, now_ms: int) -> Source:
    """Name rows that REST gave for the manifest: by their day, with a SHA-256 over their values."""
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(name.encode())
        digest.update(column(table, name).tobytes())
    return Source(f"{REST} {show_day(now_ms)}", digest.hexdigest())


def _question(series: Series) -> _Question:
    if series.kind not in REST_KINDS:
        raise WickError(
            f"REST has no {series.its_kind.plural}, only the archive has them",
            "they come a day late: wick data fetch with a --to of yesterday",
        )
    if series.timeframe not in (*EXCHANGE_TIMEFRAMES, MONTH, ""):
        raise WickError(
            f"unknown timeframe {series.timeframe!r}, the exchange has none such",
            f"known: {' '.join(EXCHANGE_TIMEFRAMES)} {MONTH}",
        )
    return _QUESTIONS[series.market, series.kind]


def _no_page(size_bytes: int, reached_ms: int) -> None:
    """Nobody watches."""


def _span(its: Series, start_ms: int, end_ms: int) -> dict[str, str | int]:
    return {"symbol": its.symbol, "startTime": start_ms, "endTime": end_ms - 1}


def _sized(question: _Question, its: Series, start_ms: int, end_ms: int) -> _Question:
    """Ask for no more candles than there can be: few weigh less."""
    wanted = (end_ms - start_ms) // (
        timeframe_ms(its.timeframe) if its.timeframe != MONTH else DAY_MS
    )
    limit = min(question.limit, wanted + 1)
    if its.market == "spot":
        return replace(question, limit=limit)
    weight = next(weight for most, weight in _KLINE_WEIGHTS if limit <= most)
    return replace(question, limit=limit, weight=weight)


def _after(time_ms: int, asked_ms: int, its: Series) -> int:
    if time_ms <= asked_ms:
        raise Unreachable(
            f"REST answers for {its} with rows from before {show_time(asked_ms)} UTC",
            "is rest_url the exchange's own address?",
        )
    return time_ms
