"""What travels over Redis: candles, signals, and the names of the streams.

candles:{symbol}:{timeframe}  by market_data, for signal_generator: one ClosedCandle, id = its open
signals                       by signal_generator, for the trader: one Batch an instant, id = it
control                       by people, for the trader: one Control
orders, fills, account        by the trader, for everyone: journal records, id = their number;
                              fills has the funding payments too
equity                        by performance_tracker, for the dashboard: one EquityPoint, id = time
health:{role}                 by every role: one Health, a plain key
alive:{role}                  by every role, once a second: one Beat, a plain key that expires
identity                      by whoever comes first: whose all these are (live.session)

All names carry the session in front, so that two sessions can share one Redis. An entry has one
field, `m`, with the record as msgpack: every float arrives with all its bits, NaN too.
"""

from typing import Literal

import msgspec

CANDLES = "candles:{symbol}:{timeframe}"
SIGNALS, CONTROL, ORDERS, FILLS, ACCOUNT, EQUITY = (
    "signals",
    "control",
    "orders",
    "fills",
    "account",
    "equity",
)
HEALTH, ALIVE, IDENTITY, TAPE = "health:{role}", "alive:{role}", "identity", "tape:{symbol}"


class ClosedCandle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One closed candle; prices and volumes stay the exchange's decimal text until one float()."""

    symbol: str
    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str = "0"
    trades: int = 0
    taker_buy: str = "0"


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the strategy says of one symbol when a candle closes, also when it says nothing.

    Attributes
    ----------
    open_time : int
        Of the candle that closed.
    high, low, close : float
        Its prices.
    row : tuple of float
        The fields that the rules read (`CompiledRules.fields`), NaN where not warm yet.
    signals : int
        Bits of `strategy.rules`: ENTER_LONG 1, ENTER_SHORT 2, EXIT_LONG 4, EXIT_SHORT 8.
    stop_distance, take_distance : float
        In price, evaluated where an entry bit is set, NaN elsewhere; take is NaN for a strategy
        without one.
    trail_distance : float
        In price, of the rule for it; NaN for a strategy without one.
    hash : str
        Over everything above, bit for bit: equal hashes are equal decisions.
    """

    symbol: str
    open_time: int
    high: float
    low: float
    close: float
    row: tuple[float, ...]
    signals: int
    stop_distance: float
    take_distance: float
    trail_distance: float
    hash: str


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All symbols at one instant, in configured order; `late` ones did not arrive in time."""

    time: int
    signals: tuple[Signal, ...]
    late: tuple[str, ...] = ()


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person asks of the trader.

    Attributes
    ----------
    until_ms : int
        Real time, UTC ms, after which it is not what that person wants any more; 0 for never.
    """

    command: Literal["pause", "resume", "flatten"]
    by: str
    until_ms: int = 0


class EquityPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The account's value at one instant."""

    time: int
    equity: float


class Health(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign of life of one role: its process, the session's time, and what it is doing."""

    role: str
    pid: int
    time: int
    state: Literal["starting", "catching up", "running", "waiting", "halted", "ended"]
    note: str = ""


class Beat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a role's process is there, and where."""

    host: str
    pid: int
