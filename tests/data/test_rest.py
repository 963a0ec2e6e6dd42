"""REST gives the rows asked for and no others, or says in one sentence why it does not."""

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.manifest import Series
from data.rest.client import Pool
from data.rest.rows import NotListed, Rest, Unreachable
from data.synthetic import synthetic_market
from data.table import REQUIRED, column, table_of
from strategy.candles import Candles
from strategy.errors import RunRefused, WickError
from tests.data.conftest import DAY_MS, JAN_2023, ArchiveServer
from tests.data.served import HOUR_MS, kline_rows

BTC = Series("um", "BTCUSDT", "1h")
FUNDING = Series("um", "BTCUSDT", "", "funding")
TRADES = Series("um", "BTCUSDT", "", "aggTrades")
NOW = JAN_2023 + 89 * DAY_MS + DAY_MS // 2


class Waiting:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s, self.waits = 1000.0, list[float]()

    def clock(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        self.now_s += wait_s


@pytest.fixture
def waiting() -> Waiting:
    """Give a clock that nobody waits for."""
    return Waiting()


@pytest.fixture
def rest(archive_server: ArchiveServer, waiting: Waiting) -> Iterator[Rest]:
    """Ask the loopback server, whose clock stands at the 90th day's noon."""
    archive_server.now_ms = NOW
    url = archive_server.url
    with Rest(url, url, sleep=waiting.sleep, clock=waiting.clock, timeout_s=5.0) as made:
        yield made


def trades(count: int, start_ms: int, step_ms: int) -> list[dict[str, object]]:
    return [
        {
            "a": 100 + i,
            "p": f"{16_000 + i % 7}.10",
            "q": "0.010",
            "nq": "0.010",
            "f": 2 * i,
            "l": 2 * i + 1,
            "T": start_ms + i * step_ms,
            "m": i % 2 == 0,
        }
        for i in range(count)
    ]


@pytest.mark.parametrize(("market", "pages"), [("um", 2), ("spot", 3)])
def test_klines_come_page_by_page_and_equal_the_archive_to_the_bit(
    rest: Rest, archive_server: ArchiveServer, hourly: Candles, market: str, pages: int
) -> None:
    archive_server.klines[market, "BTCUSDT", "1h"] = hourly
    seen = list[int]()
    table = rest.rows(
        Series(market, "BTCUSDT", "1h"), JAN_2023, NOW, lambda size, reached: seen.append(reached)
    )
    assert table.equals(table_of(hourly.slice(0, 89 * 24 + 12)))
    asked = [path for path, _ in archive_server.queries if path.endswith("klines")]
    assert len(asked) == pages
    assert max(seen) > JAN_2023


def test_the_start_is_wanted_and_the_end_is_not(
    rest: Rest, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    table = rest.rows(BTC, JAN_2023 + HOUR_MS, JAN_2023 + 3 * HOUR_MS)
    assert table.equals(table_of(hourly.slice(1, 3)))
    assert archive_server.queries[-1][1]["limit"] == "3"
    assert len(rest.rows(BTC, JAN_2023 + 1, JAN_2023 + HOUR_MS)) == 0


@pytest.mark.parametrize("late_ms", [0, 1, HOUR_MS - 1])
def test_a_candle_is_closed_by_the_clock_of_the_server(
    rest: Rest, archive_server: ArchiveServer, hourly: Candles, late_ms: int
) -> None:
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.now_ms = JAN_2023 + 5 * HOUR_MS + late_ms
    table = rest.rows(BTC, JAN_2023, JAN_2023 + 80 * DAY_MS)
    assert table.equals(table_of(hourly.slice(0, 5)))


def test_months_are_asked_for_as_1M_and_end_with_the_calendar(
    rest: Rest, archive_server: ArchiveServer, hourly: Candles
) -> None:
    month = hourly.resample("1M")
    fields = {n: getattr(month, n).values for n in (*REQUIRED[1:], "quote_volume", "trades")}
    candles = Candles.from_arrays(
        symbol="BTCUSDT",
        market="um",
        timeframe="1M",
        open_time=month.open_time,
        taker_buy=month.taker_buy.values,
        **fields,
    )
    archive_server.klines["um", "BTCUSDT", "1M"] = candles
    table = rest.rows(Series("um", "BTCUSDT", "1M"), JAN_2023, NOW)
    assert column(table, "open_time").tolist() == candles.open_time[:2].tolist()
    assert archive_server.queries[-1][1]["interval"] == "1M"


def test_a_mark_price_has_no_volume(
    rest: Rest, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.marks["BTCUSDT", "1h"] = hourly
    table = rest.rows(Series("um", "BTCUSDT", "1h", "mark"), JAN_2023, JAN_2023 + DAY_MS)
    names = ["open_time", "open", "high", "low", "close"]
    assert table.equals(table_of(hourly.slice(0, 24)).select(names))


def test_special_funding_of_an_instant_is_added_to_the_regular_one_even_across_pages(
    rest: Rest, archive_server: ArchiveServer
) -> None:
    rows = [
        {
            "symbol": "BTCUSDT",
            "fundingRate": "0.00010000",
            "fundingTime": JAN_2023 + i * HOUR_MS,
            "markPrice": "" if i < 3 else f"{16_000 + i}.5",
            "rateType": "Regular",
        }
        for i in range(1100)
    ]
    special = dict(rows[999], fundingRate="-0.00030000", rateType="Special", markPrice="1")
    archive_server.fundings["BTCUSDT"] = [*rows[:1000], special, *rows[1000:]]
    table = rest.rows(FUNDING, JAN_2023, NOW)
    assert column(table, "time").tolist() == [row["fundingTime"] for row in rows]
    rates = column(table, "rate")
    assert rates[999] == -0.0002
    assert set(np.delete(rates, 999)) == {0.0001}
    assert table["mark_price"].to_pylist()[:4] == [None, None, None, 16_003.5]
    assert table["mark_price"][999].as_py() == 16_999.5


def test_trades_of_two_days_come_by_id_after_the_first_hour_that_has_any(
    rest: Rest, archive_server: ArchiveServer
) -> None:
    start = NOW - 40 * HOUR_MS
    archive_server.trades["um", "BTCUSDT"] = trades(5000, start + 3 * HOUR_MS + 5, 9_000)
    table = rest.rows(TRADES, start, NOW - 28 * HOUR_MS)
    times = column(table, "time")
    assert times[0] == start + 3 * HOUR_MS + 5
    assert NOW - 28 * HOUR_MS - 9_000 <= times[-1] < NOW - 28 * HOUR_MS
    assert np.all(np.diff(column(table, "agg_id")) == 1)
    assert table["buyer_maker"].type == pa.bool_()
    asked = [sent for path, sent in archive_server.queries if path.endswith("aggTrades")]
    assert sum("startTime" in sent for sent in asked) == 4
    assert len(asked) == 4 + 4


def test_trades_that_rest_has_forgotten_are_refused_not_called_absent(rest: Rest) -> None:
    with pytest.raises(RunRefused, match="of the last 48 hours only, asked for from 2023-03-29"):
        rest.rows(TRADES, NOW - 49 * HOUR_MS, NOW)
    assert rest.earliest_ms(TRADES) == NOW - 48 * HOUR_MS + 300_000
    assert rest.earliest_ms(BTC) == 0


@pytest.mark.parametrize("kind", ["metrics", "bookDepth"])
def test_kinds_without_rest_say_so(rest: Rest, kind: str) -> None:
    with pytest.raises(WickError, match="only the archive has them"):
        rest.rows(Series("um", "BTCUSDT", "", kind), JAN_2023, NOW)


def test_a_symbol_of_other_letters_is_percent_encoded(
    rest: Rest, archive_server: ArchiveServer, hourly: Candles
) -> None:
    archive_server.klines["um", "币安人生USDT", "1h"] = hourly
    assert len(rest.rows(Series("um", "币安人生USDT", "1h"), JAN_2023, JAN_2023 + DAY_MS)) == 24


def test_an_unknown_symbol_is_an_answer_of_its_own(rest: Rest) -> None:
    with pytest.raises(NotListed, match="does not list LUNAUSDT in the market um") as said:
        rest.rows(Series("um", "LUNAUSDT", "1h"), JAN_2023, NOW)
    assert said.value.hint


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 408, "cut", "torn", "html"])
def test_a_passing_fault_is_asked_again_after_growing_waits(
    rest: Rest,
    archive_server: ArchiveServer,
    hourly: Candles,
    waiting: Waiting,
    fault: int | str,
) -> None:
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    archive_server.faults["v1/klines"] = [fault] * 3
    assert len(rest.rows(BTC, JAN_2023, JAN_2023 + DAY_MS)) == 24
    assert waiting.waits == [1.0, 2.0, 4.0]


def test_a_server_that_is_slower_than_the_timeout_is_given_up(
    archive_server: ArchiveServer, waiting: Waiting
) -> None:
    archive_server.faults["time"] = ["slow"] * 9
    url = archive_server.url
    with (
        Rest(url, url, sleep=waiting.sleep, timeout_s=0.01, attempts=2) as rest,
        pytest.raises(Unreachable, match=r"did not answer \(ReadTimeout\)"),
    ):
        rest.now_ms("um")


def test_429_waits_as_long_as_it_asks(
    rest: Rest, archive_server: ArchiveServer, waiting: Waiting
) -> None:
    archive_server.headers["Retry-After"] = "17"
    archive_server.faults["time"] = [429]
    assert rest.now_ms("um") == NOW
    assert waiting.waits == [17.0]


def test_a_wait_that_nobody_sits_through_is_said_at_once(
    rest: Rest, archive_server: ArchiveServer, waiting: Waiting
) -> None:
    archive_server.headers["Retry-After"] = "7200"
    archive_server.faults["time"] = [429]
    with pytest.raises(Unreachable, match=r"answered 429 .* and asks for a pause of 7200 s"):
        rest.now_ms("um")
    assert waiting.waits == []


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (418, {"Retry-After": "600"}, "has banned this address for another 600 s"),
        (418, {}, "has banned this address: too many"),
        (403, {}, r"is closed to this address \(status 403\)"),
        (451, {}, r"is closed to this address \(status 451\)"),
        (404, {}, r"refused the question \(status 404, code 0\)"),
    ],
)
def test_a_lasting_refusal_is_one_sentence_after_one_question(
    rest: Rest,
    archive_server: ArchiveServer,
    waiting: Waiting,
    status: int,
    headers: dict[str, str],
    sentence: str,
) -> None:
    archive_server.headers = headers
    archive_server.faults["time"] = [status] * 9
    with pytest.raises(Unreachable, match=sentence) as said:
        rest.now_ms("um")
    assert said.value.hint
    assert (archive_server.asked["fapi/v1/time"], waiting.waits) == (1, [])


def test_the_end_of_a_ban_is_read_from_its_text(rest: Rest, archive_server: ArchiveServer) -> None:
    text = f"Way too many requests; IP banned until {JAN_2023 + 90_000}."
    archive_server.refusals["time"] = (418, json.dumps({"code": -1003, "msg": text}).encode())
    with pytest.raises(Unreachable, match="until 2023-01-01 00:01 UTC"):
        rest.now_ms("um")


@pytest.mark.parametrize("body", [b"[1]", b'"no"', b"", b"{", b'{"code": "x", "msg": 3}'])
def test_error_bodies_may_be_anything(
    rest: Rest, archive_server: ArchiveServer, body: bytes
) -> None:
    archive_server.refusals["time"] = (400, body)
    with pytest.raises(Unreachable, match=r"status 400, code 0"):
        rest.now_ms("um")


def test_a_broken_server_is_given_up_after_five_attempts(
    rest: Rest, archive_server: ArchiveServer, waiting: Waiting
) -> None:
    archive_server.faults["time"] = [503] * 9
    with pytest.raises(Unreachable, match="answered 503 Service Unavailable"):
        rest.now_ms("um")
    assert waiting.waits == [1.0, 2.0, 4.0, 8.0]


def test_no_server_at_all_is_one_sentence(waiting: Waiting) -> None:
    with (
        Rest("http://127.0.0.1:9", "http://127.0.0.1:9", sleep=waiting.sleep) as rest,
        pytest.raises(Unreachable, match=r"REST at http://127\.0\.0\.1:9 did not answer"),
    ):
        rest.now_ms("spot")


def test_an_address_without_http_is_refused() -> None:
    with pytest.raises(WickError, match="rest_url is 'fapi', expected an address"):
        Rest("fapi", "http://127.0.0.1:9")
    with pytest.raises(WickError, match="spot_rest_url is 'api'"):
        Rest("http://127.0.0.1:9", "api")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[0].__setitem__(2, "1.0"), "high 1.0 is below low"),
        (lambda rows: rows[0].__setitem__(1, "x"), "where a number was expected"),
        (lambda rows: rows[0].__setitem__(1, "nan"), "a value is no finite number"),
        (lambda rows: rows[0].__setitem__(0, JAN_2023 + 60_000), "is not on the grid"),
        (lambda rows: rows[0].__setitem__(0, JAN_2023 * 1000), "microseconds"),
        (lambda rows: rows[0].__setitem__(0, JAN_2023 - HOUR_MS), "was not asked for"),
        (lambda rows: rows.reverse(), "rows are out of order"),
        (lambda rows: rows.insert(0, rows[0]), "rows are out of order"),
    ],
)
def test_rows_that_cannot_be_are_refused(
    rest: Rest, archive_server: ArchiveServer, hourly: Candles, change: object, sentence: str
) -> None:
    rows = kline_rows(hourly.slice(0, 24))
    assert callable(change)
    change(rows)
    archive_server.bodies["v1/klines"] = json.dumps(rows).encode()
    with pytest.raises(Unreachable, match=sentence):
        rest.rows(BTC, JAN_2023, JAN_2023 + DAY_MS)


def test_a_server_that_repeats_itself_does_not_keep_us_asking(
    rest: Rest, archive_server: ArchiveServer
) -> None:
    minutes = synthetic_market(3, 3000, JAN_2023)
    rows = kline_rows(minutes.slice(0, 1500))
    archive_server.bodies["v1/klines"] = json.dumps(rows).encode()
    with pytest.raises(Unreachable, match="a row of 2023-01-02 00:59 UTC was not asked for"):
        rest.rows(Series("um", "BTCUSDT", "1m"), JAN_2023, JAN_2023 + 3 * DAY_MS)


def test_the_weight_that_others_have_used_makes_us_wait(
    rest: Rest, archive_server: ArchiveServer, waiting: Waiting
) -> None:
    archive_server.headers["X-MBX-USED-WEIGHT-1M"] = "1800"
    rest.now_ms("um")
    archive_server.headers.clear()
    rest.now_ms("um")
    rest.now_ms("spot")
    assert waiting.waits == [60.0]


def test_many_questions_stay_below_the_limit_by_waiting(
    rest: Rest, archive_server: ArchiveServer, waiting: Waiting, hourly: Candles
) -> None:
    archive_server.klines["um", "BTCUSDT", "1h"] = hourly
    for _ in range(130):
        rest.rows(BTC, JAN_2023, NOW)
    spent = 130 * 15
    assert sum(waiting.waits) >= (spent / 1800 - 1) * 60


@given(st.lists(st.tuples(st.integers(1, 20), st.floats(0, 30), st.integers(0, 90)), max_size=60))
def test_no_minute_holds_more_than_three_quarters_of_the_limit(
    steps: list[tuple[int, float, int]],
) -> None:
    pool, now, spent = Pool(100), 0.0, list[tuple[float, int]]()
    for weight, pause_s, others in steps:
        now += pause_s
        while (wait_s := pool.wait_s(weight, now)) > 0:
            now += wait_s
        pool.spend(weight, now)
        spent.append((now, weight))
        pool.learn(others, now)
    for end, _ in spent:
        assert sum(w for at, w in spent if end - 59.99 < at <= end) <= 75
