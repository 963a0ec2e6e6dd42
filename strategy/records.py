"""What an account is made of: its records, as NumPy and the compiled code share them, and the words
for their numbers."""

import numpy as np

UNIT = 1e8

# "end" is the end of the candles, "flatten" a person's wish; "trailing" and "break_even" are a stop
# that had moved, "time" a position's age, "daily_limit" the daily loss limit.
EXIT_REASONS = (
    "",
    "stop",
    "take",
    "signal",
    "reversal",
    "end",
    "flatten",
    "trailing",
    "break_even",
    "time",
    "daily_limit",
    "liquidation",
)
(
    BY_STOP,
    BY_TAKE,
    BY_SIGNAL,
    BY_REVERSAL,
    BY_END,
    BY_FLATTEN,
    BY_TRAILING,
    BY_BREAK_EVEN,
    BY_TIME,
    BY_DAILY_LIMIT,
    BY_LIQUIDATION,
) = range(1, len(EXIT_REASONS))

ACCOUNT = np.dtype(
    [
        ("wallet", np.int64),  # units of 1e-8
        ("equity", np.float64),  # at the last mark
        ("day", np.int64),  # UTC day the limit counts for, -1 before the first decision
        ("day_open", np.float64),  # equity the day began with
        ("blocked", np.int64),  # 1 once the daily loss limit was reached
        ("transfers", np.int64),  # paid in since the day began, less what was taken out; units
    ],
    align=True,
)
POSITION = np.dtype(
    [
        ("steps", np.int64),  # signed: long above 0
        ("entry", np.float64),
        ("stop_level", np.float64),
        ("stop_reason", np.int64),  # why it lies where it lies: BY_STOP, or what moved it
        ("take_level", np.float64),  # 0 for none
        ("part_level_1", np.float64),  # partial take-profits, in no order; 0 for none or done
        ("part_level_2", np.float64),
        ("part_steps_1", np.int64),
        ("part_steps_2", np.int64),
        ("mark", np.float64),  # last close of the symbol
        ("cooldown_until", np.int64),  # the symbol's first candle that may enter again
        # the open trade's story
        ("entry_time", np.int64),
        ("entry_candle", np.int64),
        ("entry_steps", np.int64),
        ("reversal", np.int64),
        ("maker", np.int64),
        ("fees", np.int64),
        ("funding", np.int64),  # paid above 0, received below; units
        ("charged", np.float64),  # of it, what the margin of what is still held has borne
        ("slippage", np.float64),
        ("stop_distance", np.float64),  # as decided
        ("risked", np.float64),
        ("lowest", np.float64),
        ("highest", np.float64),
        ("first_stop", np.float64),
        # what was closed in parts before the rest
        ("parts", np.int64),
        ("realized", np.int64),  # units
        ("part_price", np.float64),  # of the first
        ("part_prices_vary", np.int64),
        ("part_value", np.float64),  # sum of steps * price
        # where a share of the volume bounds what fills, see backtest.kernels.capped
        ("closing", np.int64),  # what the rest of an exit is of that is on its way, 0 for none
        ("ambiguous", np.int64),  # that exit met stop and take in one candle
        ("filled_candle", np.int64),  # of all symbols', the one that `filled_steps` counts for
        ("filled_steps", np.int64),
    ],
    align=True,
)
# What a decision asks for on one symbol: an exit, an entry, or both for a reversal. It stays until
# it has filled or failed, which may be later than the next instant.
ORDER = np.dtype(
    [
        ("close_reason", np.int64),  # an exit, 0 for none
        ("side", np.int64),  # an entry: 1 long, -1 short, 0 for none
        ("steps", np.int64),
        ("stop_distance", np.float64),
        ("take_distance", np.float64),  # 0 for none
        ("reversal", np.int64),
        ("decided_at", np.int64),  # UTC ms
        ("price", np.float64),  # close at the decision
        ("limit", np.float64),  # of an entry that rests; 0 for a market order
        ("candle", np.int64),  # which one of its symbol's an entry was decided at
        ("rests", np.int64),  # 1 once a limit order is in the book
    ],
    align=True,
)
TRADE = np.dtype(
    [
        ("symbol", np.int64),  # position in the run's list of symbols
        ("side", np.int64),
        ("entry_time", np.int64),
        ("exit_time", np.int64),
        ("entry_candle", np.int64),
        ("exit_candle", np.int64),
        ("steps", np.int64),  # as entered
        ("qty", np.float64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),  # the mean over its parts
        ("stop", np.float64),  # as placed at the entry
        ("last_stop", np.float64),  # where it lay at the exit
        ("take", np.float64),
        ("pnl", np.int64),  # before fees and funding, units of 1e-8
        ("fees", np.int64),
        ("funding", np.int64),  # paid above 0, received below
        ("slippage", np.float64),  # cost contained in the prices, quote currency
        ("mae", np.float64),  # worst and best excursion, share of the entry price
        ("mfe", np.float64),
        ("risked", np.float64),  # quote currency at the stop's level, without costs
        ("exit_reason", np.int64),
        ("ordered", np.int64),  # closed by a market order of a decision
        ("reversal", np.int64),  # entered by a reversal
        ("ambiguous", np.int64),  # stop and take touched in one candle
        ("parts", np.int64),  # partial take-profits before the exit
        ("maker", np.int64),  # entered by a limit order that had rested
    ],
    align=True,
)
# One exit of a trade that was closed in parts: its partial take-profits, and last what closed the
# rest.
PART = np.dtype(
    [
        ("symbol", np.int64),
        ("trade", np.int64),  # position among the trades
        ("time", np.int64),
        ("candle", np.int64),
        ("steps", np.int64),
        ("qty", np.float64),
        ("price", np.float64),
        ("pnl", np.int64),  # before fees, units of 1e-8
        ("fee", np.int64),
    ],
    align=True,
)
# What the strategy says of one symbol at one close. No field is called flags or take: with the
# compiler off a record is NumPy's own, where these are names of methods.
SAID = np.dtype(
    [
        ("present", np.int64),  # the symbol has a candle closing now
        ("candle", np.int64),  # which one of the symbol's it is
        ("signals", np.int64),  # bits of strategy.rules
        ("stop_distance", np.float64),
        ("take_distance", np.float64),
        ("trail_distance", np.float64),  # of the rule, NaN for none
        ("priority", np.float64),  # of the rule: larger ones enter first, NaN last; 0 without one
        ("slippage", np.float64),  # share of the price that an entry decided now may lose
        ("limited", np.int64),  # entries rest as limit orders
        ("limit_distance", np.float64),  # how far from the close
    ],
    align=True,
)
