"""The kinds of market data that are stored, and how the public archive lays each one out."""

from dataclasses import dataclass, field

import pyarrow as pa

from strategy.errors import WickError, did_you_mean

_FLOAT, _INT = pa.float64(), pa.int64()


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of market data.

    Attributes
    ----------
    name : str
        What `--kind` takes.
    plural : str
        The rows in a sentence, such as candles.
    archive : str
        Its folder in the archive; without a timeframe also its word in the names of files.
    columns : dict of Arrow types
        All columns in stored order.
    optional : tuple of str
        Columns that a source may lack.
    key : tuple of str
        Columns that tell one row from another. Rows are stored in the order of `time`, then key.
    time : str
        The column of the instant, UTC ms.
    layout : tuple of str
        Columns of the archive's files in order; "" for one that is not kept.
    words : dict of str
        Header words of files and exports, in small letters, and the column each one means.
    periods : tuple of str
        How often the archive publishes it: "monthly", "daily".
    has_timeframe : bool
        There is a series for each length of candle.
    markets : tuple of str
        Where it exists.
    by_day : bool
        A stored file holds a UTC day; a month of trades would not fit into memory.
    """

    name: str
    plural: str
    archive: str
    columns: dict[str, pa.DataType]
    key: tuple[str, ...]
    time: str
    layout: tuple[str, ...]
    words: dict[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    periods: tuple[str, ...] = ("monthly", "daily")
    has_timeframe: bool = False
    markets: tuple[str, ...] = ("um",)
    by_day: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that every row has."""
        return tuple(name for name in self.columns if name not in self.optional)

    @property
    def has_candles(self) -> bool:
        """Rows have a time on a grid and four prices."""
        return self.time == "open_time"

    def counted(self, count: int) -> str:
        """Write a count of rows: 1 candle, 2 candles."""
        return f"{count:,} {self.plural.removesuffix('s') if count == 1 else self.plural}"

    def column_of(self, word: str) -> str:
        """Return the column that a header's word means, "" for none."""
        word = word.strip().strip('"<>').strip().lower().replace(" ", "_")
        return word if word in self.columns else self.words.get(word, "")


_TIMES = dict.fromkeys("timestamp time date datetime unix".split(), "open_time")
_OHLC = {"open_time": _INT} | dict.fromkeys("open high low close".split(), _FLOAT)

KLINES = Kind(
    name="klines",
    plural="candles",
    archive="klines",
    columns=_OHLC | {"volume": _FLOAT, "quote_volume": _FLOAT, "trades": _INT, "taker_buy": _FLOAT},
    optional=("quote_volume", "trades", "taker_buy"),
    key=("open_time",),
    time="open_time",
    layout=(
        *"open_time open high low close volume".split(),
        "",
        "quote_volume",
        "trades",
        "taker_buy",
        "",
        "",
    ),
    # Of archives, exchange libraries and common exports.
    words=_TIMES
    | {
        "quote_asset_volume": "quote_volume",
        "vol": "volume",
        "count": "trades",
        "tradecount": "trades",
        "number_of_trades": "trades",
        "taker_buy_volume": "taker_buy",
        "taker_buy_base": "taker_buy",
        "taker_buy_base_volume": "taker_buy",
        "taker_buy_base_asset_volume": "taker_buy",
    },
    has_timeframe=True,
    markets=("um", "spot"),
)
MARK = Kind(
    name="mark",
    plural="mark price candles",
    archive="markPriceKlines",
    columns=_OHLC,
    key=("open_time",),
    time="open_time",
    # The volumes of a mark price are all 0.
    layout=(*"open_time open high low close".split(), *[""] * 7),
    words=_TIMES,
    has_timeframe=True,
)
AGG_TRADES = Kind(
    name="aggTrades",
    plural="aggregate trades",
    archive="aggTrades",
    columns={
        "agg_id": _INT,
        "price": _FLOAT,
        "qty": _FLOAT,
        "first_id": _INT,
        "last_id": _INT,
        "time": _INT,
        "buyer_maker": pa.bool_(),
    },
    key=("agg_id",),
    time="time",
    layout=("agg_id", "price", "qty", "first_id", "last_id", "time", "buyer_maker"),
    words={
        "agg_trade_id": "agg_id",
        "quantity": "qty",
        "first_trade_id": "first_id",
        "last_trade_id": "last_id",
        "transact_time": "time",
        "timestamp": "time",
        "is_buyer_maker": "buyer_maker",
    },
    markets=("um", "spot"),
    by_day=True,
)
FUNDING = Kind(
    name="funding",
    plural="funding rates",
    archive="fundingRate",
    columns={"time": _INT, "rate": _FLOAT, "interval_hours": _INT, "mark_price": _FLOAT},
    optional=("interval_hours", "mark_price"),
    key=("time",),
    time="time",
    layout=("time", "interval_hours", "rate"),
    words={
        "calc_time": "time",
        "funding_time": "time",
        "fundingtime": "time",
        "date": "time",
        "timestamp": "time",
        "ts": "time",
        "datetime": "time",
        "funding_interval_hours": "interval_hours",
        "last_funding_rate": "rate",
        "funding_rate": "rate",
        "fundingrate": "rate",
        "markprice": "mark_price",
    },
    periods=("monthly",),
)
METRICS = Kind(
    name="metrics",
    plural="metrics",
    archive="metrics",
    columns={
        "time": _INT,
        "open_interest": _FLOAT,
        "open_interest_value": _FLOAT,
        "top_trader_accounts_ratio": _FLOAT,
        "top_trader_positions_ratio": _FLOAT,
        "accounts_ratio": _FLOAT,
        "taker_volume_ratio": _FLOAT,
    },
    # Single cells are empty in the archive.
    optional=(
        "open_interest",
        "open_interest_value",
        "top_trader_accounts_ratio",
        "top_trader_positions_ratio",
        "accounts_ratio",
        "taker_volume_ratio",
    ),
    key=("time",),
    time="time",
    layout=(
        "time",
        "",
        "open_interest",
        "open_interest_value",
        "top_trader_accounts_ratio",
        "top_trader_positions_ratio",
        "accounts_ratio",
        "taker_volume_ratio",
    ),
    words={
        "create_time": "time",
        "sum_open_interest": "open_interest",
        "sum_open_interest_value": "open_interest_value",
        "count_toptrader_long_short_ratio": "top_trader_accounts_ratio",
        "sum_toptrader_long_short_ratio": "top_trader_positions_ratio",
        "count_long_short_ratio": "accounts_ratio",
        "sum_taker_long_short_vol_ratio": "taker_volume_ratio",
    },
    periods=("daily",),
)
BOOK_DEPTH = Kind(
    name="bookDepth",
    plural="book depths",
    archive="bookDepth",
    columns={"time": _INT, "percentage": _FLOAT, "depth": _FLOAT, "notional": _FLOAT},
    key=("time", "percentage"),
    time="time",
    layout=("time", "percentage", "depth", "notional"),
    words={"timestamp": "time"},
    periods=("daily",),
)
# A day of the archive's best bids and asks holds millions; what is stored is reduced to minutes.
QUOTES = Kind(
    name="quotes",
    plural="quotes",
    archive="bookTicker",
    columns={"time": _INT, "bid": _FLOAT, "ask": _FLOAT, "half": _FLOAT},
    optional=("half",),  # of the minute; a file of single quotes has none
    key=("time",),
    time="time",
    layout=("", "bid", "", "ask", "", "time", ""),
    words={
        "best_bid_price": "bid",
        "best_ask_price": "ask",
        "transaction_time": "time",
    },
    periods=("daily",),
)
KINDS = {k.name: k for k in (KLINES, MARK, AGG_TRADES, FUNDING, METRICS, BOOK_DEPTH, QUOTES)}


def known_kind(name: str) -> Kind:
    """Return the kind of a name, its own or that of the archive.

    Raises
    ------
    WickError
        There is none such.
    """
    name = next((kind.name for kind in KINDS.values() if kind.archive == name), name)
    if name not in KINDS:
        raise WickError(f"unknown kind {name!r}", did_you_mean(name, list(KINDS)))
    return KINDS[name]
