"""Margin: what the exchange demands for open positions, the price at which one is liquidated, and
what a liquidation costs."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.account import fee_of, free_margin, money
from strategy.errors import WickError
from strategy.grid import qty_of
from strategy.kernel import borrowing
from strategy.records import UNIT

# A bracket of the exchange: positions whose notional lies from floor to below cap.
TIER = np.dtype(
    [
        ("floor", np.float64),  # quote currency
        ("cap", np.float64),
        ("rate", np.float64),  # maintenance margin = notional * rate - amount
        ("amount", np.float64),
        ("leverage", np.float64),  # the most that may be set
    ],
    align=True,
)
LIQUIDATION_FEE = 0.0125  # share of the notional, where a symbol's own is not known
# How near to a limit rounding could decide; whoever only looks ahead stops before.
_NEAR = 1e-9


class Tiers(NamedTuple):
    """The maintenance tiers of all symbols, one behind the other.

    Attributes
    ----------
    first, end : int64 (symbols,)
        Where the tiers lie that a symbol has now.
    fee : float64 (symbols,)
        What a liquidation costs besides the taker fee, as a share of the notional.
    each : record array of TIER
        Empty where no symbol of a run has any: then nothing is liquidated.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    fee: NDArray[np.float64]
    each: Any


class Margin(NamedTuple):
    """What liquidation looks at.

    Attributes
    ----------
    tiers : Tiers
    o, h, l, c : float64 (n,)
        Mark prices of all candles, one symbol behind the other; the contract's where there are
        none.
    prices : float64 (symbols,)
        What each symbol is valued at, at the open or at the close under the cursor.
    level : float64 (symbols,)
        The liquidation price of each position, as it was at the open under the cursor; NaN where
        it is not reached inside the candle.
    """

    tiers: Tiers
    o: NDArray[np.float64]
    h: NDArray[np.float64]
    l: NDArray[np.float64]  # noqa: E741
    c: NDArray[np.float64]
    prices: NDArray[np.float64]
    level: NDArray[np.float64]


class Marks(NamedTuple):
    """A symbol's mark price candles.

    Attributes
    ----------
    time : int64 (n,)
        UTC ms of their opens, increasing; a candle of the contract takes the one that opens with
        it, and where there is none stands in itself.
    o, h, l, c : float64 (n,)
    """

    time: NDArray[np.int64]
    o: NDArray[np.float64]
    h: NDArray[np.float64]
    l: NDArray[np.float64]  # noqa: E741
    c: NDArray[np.float64]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the exact arrays."""
        digest = hashlib.sha256(len(self.time).to_bytes(8, "little"))
        for array in self:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def rows_of(self, open_time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which mark price candle belongs to each of the contract's, -1 for none."""
        at = np.minimum(np.searchsorted(self.time, open_time), len(self.time) - 1)
        return np.where(self.time[at] == open_time, at, -1) if len(self.time) else at


def check_marks(one: Marks, symbol: str) -> None:
    """Refuse what are no candles.

    Raises
    ------
    WickError
        Times do not increase, or a price is not positive or lies outside its candle.
    """
    lengths = [len(array) for array in one]
    if len(set(lengths)) != 1:
        raise WickError(f"mark prices of {symbol} have lengths {lengths}", "give as many of each")
    good = np.concatenate(([True], np.diff(one.time) > 0)) & np.isfinite(one.h) & (one.l > 0.0)
    good &= (one.l <= np.minimum(one.o, one.c)) & (one.h >= np.maximum(one.o, one.c))
    if not good.all():
        at = int(np.argmin(good))
        raise WickError(
            f"mark price candle {at} of {symbol} is wrong: {[float(array[at]) for array in one]}",
            "times rise, prices are above 0, and low and high span open and close",
        )


@borrowing
def maintenance(notional, tiers, s):
    """Return the maintenance margin of a symbol's position, quote currency: notional × rate −
    amount of the tier that it lies in.

    Source: the exchange's leverage and margin table, where the amounts make it continuous.
    """
    at = tiers.first[s]
    while at + 1 < tiers.end[s] and notional >= tiers.each[at].cap:
        at += 1
    return notional * tiers.each[at].rate - tiers.each[at].amount


@borrowing
def liquidation_price(side, qty, entry, collateral, tiers, s):
    """Return the price at which collateral + side × qty × (price − entry) is the maintenance
    margin; 0.0 for a long that no price liquidates.

    What a position has left above its maintenance margin rises with the price for a long and falls
    for a short, so there is one such price, and one tier in which it lies. A short whose collateral
    is used up at any price has one at or below 0.

    Parameters
    ----------
    side : int
        1 long, -1 short.
    qty : float
        Without sign, base currency.
    collateral : float
        What the position's loss can eat, quote currency; for a position that shares the wallet,
        that is the wallet with the others' profit less their maintenance margin.
    """
    price = 0.0
    for at in range(tiers.first[s], tiers.end[s]):
        tier = tiers.each[at]
        price = (collateral + tier.amount - side * qty * entry) / (qty * tier.rate - side * qty)
        if qty * price < tier.cap:
            break
    return max(price, 0.0) if side > 0 else price


@borrowing
def set_aside(p, g, leverage):
    """Return the margin of an isolated position, quote currency: its notional at the entry ÷
    leverage, less the funding that it has paid; what was closed in parts took its share of both
    along."""
    return qty_of(abs(p.steps), g) * p.entry / leverage - p.charged / UNIT


@borrowing
def free_balance(account, positions, grids, who, risk):
    """Return the balance that no open position among ``who`` binds: for isolated ones the wallet
    less their margins, for others as `strategy.account.free_margin` says."""
    if risk.isolated == 0.0:
        return free_margin(account, positions, grids, who, risk.leverage)
    free = account.wallet / UNIT
    for s in who:
        if positions[s].steps != 0:
            free -= set_aside(positions[s], grids[s], risk.leverage)
    return free


@borrowing
def excess(p, g, price, tiers, s):
    """Return a position's unrealized profit less its maintenance margin at a price."""
    qty = qty_of(p.steps, g)
    return qty * (price - p.entry) - maintenance(abs(qty) * price, tiers, s)


@borrowing
def pool(account, positions, grids, who, margin):
    """Return what the whole account has above the maintenance margin of all positions, which are
    among ``who``, at `margin.prices`."""
    left = account.wallet / UNIT
    for s in who:
        if positions[s].steps != 0:
            left += excess(positions[s], grids[s], margin.prices[s], margin.tiers, s)
    return left


@borrowing
def liquidation_level(left, p, g, risk, margin, s):
    """Return the liquidation price of an open position.

    Parameters
    ----------
    left : float
        Of `pool`; of no use for isolated positions.
    """
    if risk.isolated != 0.0:
        collateral = set_aside(p, g, risk.leverage)
    else:
        collateral = left - excess(p, g, margin.prices[s], margin.tiers, s)
    side = 1 if p.steps > 0 else -1
    return liquidation_price(side, qty_of(abs(p.steps), g), p.entry, collateral, margin.tiers, s)


@borrowing
def reaches(p, price, level):
    """Say whether a mark price lies at or beyond a position's liquidation price; never where that
    is NaN."""
    return price <= level if p.steps > 0 else price >= level


@borrowing
def collateral_of(account, positions, grids, who, risk, margin, s):
    """Return the most that the liquidation of a position can take from the wallet, in units of
    1e-8: its margin if it is isolated, else the wallet with the others' unrealized profit."""
    if risk.isolated != 0.0:
        left = set_aside(positions[s], grids[s], risk.leverage)
    else:
        left = account.wallet / UNIT
        for other in who:
            p = positions[other]
            if other != s and p.steps != 0:
                left += qty_of(p.steps, grids[other]) * (margin.prices[other] - p.entry)
    return max(money(left), np.int64(0))


@borrowing
def charge_liquidation(account, p, g, fee_rate, collateral, trade, part):
    """Book what a liquidation costs beyond the closing fill that has just been booked.

    The liquidation fee comes on top of the taker fee; together they are at most what the loss has
    left of the collateral. A loss beyond the collateral is the insurance fund's: it takes the
    position over at the price at which the collateral is used up.

    Parameters
    ----------
    fee_rate : float
        Share of the notional.
    collateral : int
        Of `collateral_of`, from before the fill.
    trade, part : records of TRADE and PART
        As `strategy.booking.close_position` left them.
    """
    pnl, fee, price = part.pnl, part.fee, part.price
    qty = qty_of(part.steps, g)
    if collateral + pnl < 0:
        pnl, fee = -collateral, np.int64(0)
        price = trade.entry_price - trade.side * (collateral / UNIT) / qty
        trade.exit_price = price
        if p.parts > 0:
            trade.exit_price = (p.part_value + part.steps * price) / p.entry_steps
    else:
        fee = min(fee + fee_of(fee_rate, qty, price), collateral + pnl)
    account.wallet += (pnl - fee) - (part.pnl - part.fee)
    trade.pnl += pnl - part.pnl
    trade.fees += fee - part.fee
    part.pnl, part.fee, part.price = pnl, fee, price


@borrowing
def comes_near(p, margin, level, i):
    """Say whether candle i comes so near to a position's liquidation price that rounding could
    decide."""
    if p.steps > 0:
        return margin.l[i] <= level * (1.0 + _NEAR)
    return margin.h[i] >= level * (1.0 - _NEAR)


@borrowing
def worst_excess(p, g, margin, s, i):
    """Return `excess` at the worst mark price of candle i, less what rounding could make of it."""
    price = margin.l[i] if p.steps > 0 else margin.h[i]
    slop = _NEAR * abs(qty_of(p.steps, g)) * max(price, p.entry)
    return excess(p, g, price, margin.tiers, s) - slop
