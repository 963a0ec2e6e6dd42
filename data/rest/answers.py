"""What REST answers, row by row, and how it becomes a table."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from data.kinds import AGG_TRADES, Kind
from data.rest.client import Unreachable


# The fields that are also columns of a kind carry the column's name.
class Time(msgspec.Struct, rename={"time": "serverTime"}):
    time: int


class Kline(msgspec.Struct, array_like=True):
    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time: int
    quote_volume: str
    trades: int
    taker_buy: str


class Trade(
    msgspec.Struct,
    rename=dict(zip(AGG_TRADES.columns, "a p q f l T m".split(), strict=True)),
):
    agg_id: int
    price: str
    qty: str
    first_id: int
    last_id: int
    time: int
    buyer_maker: bool


class Funding(
    msgspec.Struct,
    rename={
        "time": "fundingTime",
        "rate": "fundingRate",
        "mark_price": "markPrice",
        "rate_type": "rateType",
    },
):
    time: int
    rate: str
    mark_price: str = ""
    rate_type: str = "Regular"


def table_of_rows(rows: Sequence[msgspec.Struct], kind: Kind) -> pa.Table:
    """Turn text to prices by Arrow, as files are read: the double nearest to the decimal."""
    if not rows:
        return empty_table(kind)
    return pa.table(
        {
            name: _numbers(pa.array([getattr(row, name) for row in rows]), kind.columns[name])
            for name in kind.columns
            if name in rows[0].__struct_fields__
        }
    )


def _numbers(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_string(values.type):
        return values.cast(kind)
    try:
        # Old funding rates have no mark price.
        return pc.if_else(pc.equal(values, ""), None, values).cast(kind)
    except pa.ArrowInvalid as error:
        raise Unreachable(
            f"REST answered with {str(error).splitlines()[0]!r} where a number was expected",
            "nothing of this answer was stored; try again later",
        ) from error


def added_up(rows: Sequence[Funding]) -> list[Funding]:
    """Add the special rates of an instant, dividends of stocks, to the regular one."""
    by_time: dict[int, Funding] = {}
    for row in rows:
        there = by_time.get(row.time)
        if there is None:
            by_time[row.time] = row
            continue
        regular = there if there.rate_type == "Regular" else row
        total = Decimal(there.rate) + Decimal(row.rate)
        by_time[row.time] = msgspec.structs.replace(regular, rate=f"{total:f}")
    return list(by_time.values())


def empty_table(kind: Kind) -> pa.Table:
    return pa.table({name: pa.array([], kind.columns[name]) for name in kind.required})
