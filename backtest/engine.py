"""The backtester: candles and a strategy in, trades and equity out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from backtest.detail import finer_of
from backtest.joining import join, offsets, timeline_of
from backtest.kernels.late import no_orders
from backtest.kernels.market import Desk, Finer, Market, Record, Words, begin
from backtest.kernels.simulate import simulate
from backtest.signals import Signals, all_signals, check_threads
from data.dates import show_time
from strategy.account import MOST, check_balance
from strategy.candles import Candles
from strategy.dated import Changes, RuleChange, SymbolTiers, dated_rules
from strategy.errors import RunRefused, WickError
from strategy.fills import Costs, checked_costs
from strategy.funding import Funding, check_funding, instants_of, no_funding
from strategy.grid import fine_grid
from strategy.load import Strategy
from strategy.margin import Margin, Marks, Tiers, check_marks
from strategy.options import check_together
from strategy.records import ACCOUNT, ORDER, PART, POSITION, SAID, TRADE, UNIT
from strategy.risk import REFUSALS, Risk, checked
from strategy.slippage import Spread, check_spread, slippage_columns
from strategy.timeframes import timeframe_ms

Grids = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Result:
    """What one backtest gave.

    Attributes
    ----------
    strategy : Strategy
    params : NamedTuple
    risk : Risk
    costs : Costs
    balance : float
        Quote currency at the start.
    candles : tuple of Candles
        One per symbol, in configured order.
    trades : record array of TRADE
        In the order they were closed.
    time : int64 (n,)
        UTC ms of the opens of all candles of the run, the union over symbols.
    equity : float64 (n,)
        Account value at the close of each of them.
    refused : int64 (symbols, len(REFUSALS))
        How many entries were refused, by reason.
    parts : record array of PART
        The exits of trades that were closed in parts, in the order of the trades.
    funding : tuple of Funding
        The instants of each symbol that lie within its candles.
    finer : int64 (symbols, 3)
        Of candles with a touched level, how many were walked through on finer candles and how many
        lacked them; and of how many trades that resolved the ambiguity.
    """

    strategy: Strategy
    params: Any
    risk: Risk
    costs: Costs
    balance: float
    candles: tuple[Candles, ...]
    grids: Grids
    trades: Any
    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    refused: NDArray[np.int64]
    parts: Any
    funding: tuple[Funding, ...]
    finer: NDArray[np.int64]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The run's symbols in configured order."""
        return tuple(candles.symbol for candles in self.candles)


def backtest(
    strategy: Strategy,
    candles: Candles | Sequence[Candles],
    *,
    params: Any = None,
    risk: Risk | None = None,
    costs: Costs = Costs(),
    balance: float = 10_000.0,
    grids: Grids | None = None,
    funding: Funding | Sequence[Funding | None] | None = None,
    detail: Sequence[Candles | None] | None = None,
    spreads: Sequence[Spread | None] | None = None,
    threads: int | None = None,
    progress: Callable[[], None] | None = None,
    tiers: SymbolTiers | Sequence[SymbolTiers | None] | None = None,
    marks: Marks | Sequence[Marks | None] | None = None,
    changes: Sequence[Sequence[RuleChange]] | None = None,
    history: Sequence[Candles] | None = None,
    signals: Sequence[Signals] | None = None,
) -> Result:
    """Run a strategy over the candles of one or more symbols on one balance.

    Parameters
    ----------
    strategy : Strategy
        From `strategy.load.load`.
    candles : Candles or sequence of Candles
        Of the strategy's timeframe; the order is the order of decisions and fills.
    params : NamedTuple, optional
        Values for the strategy's Params; its defaults otherwise.
    risk : Risk, optional
        The strategy's RISK otherwise.
    costs : Costs
        Fee and slippage as fractions.
    balance : float
        Quote currency to start with.
    grids : array of GRID, optional
        Ticks, steps and limits per symbol; fine enough not to matter otherwise.
    funding : Funding or sequence of Funding, optional
        The instants per symbol, None for none; those outside the candles find no position.
    detail : sequence of Candles, optional
        Finer candles per symbol, None for none; read only if costs.intrabar asks for them.
    spreads : sequence of Spread, optional
        Half spreads per symbol, None for none; of use where `Costs.spread` is above 0.
    threads : int, optional
        Symbols whose signals are computed at the same time, one a core by default; the result does
        not depend on it.
    progress : callable, optional
        Called whenever a symbol's signals have been computed.
    tiers : SymbolTiers or sequence of SymbolTiers, optional
        Maintenance tiers per symbol, None for none. Without any, nothing is liquidated and no
        bracket bounds a position.
    marks : Marks or sequence of Marks, optional
        Mark prices per symbol, at which liquidation looks; None for the candles themselves.
    changes : sequence of sequences of RuleChange, optional
        Grids and tiers that a symbol takes later, at the first decision from their time on at which
        it is flat with no order waiting.
    history : sequence of Candles, optional
        Each symbol's candles with those from before `candles` in front: indicators read all of
        them, so that they are warm at the first decision.
    signals : sequence of Signals, optional
        What is said of each symbol, instead of what the strategy's rules say.

    Returns
    -------
    Result

    Raises
    ------
    WickError
        Wrong timeframe, params, risk, funding, finer candles or spreads, or fewer candles than the
        indicators need.
    RunRefused
        The equity fell to zero or below; where there are tiers, below zero.
    """
    every = (candles,) if isinstance(candles, Candles) else tuple(candles)
    params = strategy.params() if params is None else params
    risk = checked(
        strategy.risk if risk is None else risk,
        has_trail=strategy.has_trail,
        has_limit=strategy.has_limit,
    )
    costs = checked_costs(costs)
    check_threads(threads)
    check_together(risk, costs, has_limit=strategy.has_limit)
    _refuse_unseen(costs, strategy.timeframe)
    if costs.limit_through and not strategy.has_limit:
        raise WickError(
            f"costs.limit_through is 1, but {strategy.name} has no rule limit_distance",
            "--set costs.limit_through=0, or add the rule",
        )
    check_balance(balance)
    if grids is None:
        grids = np.concatenate([fine_grid(one.arrays["open"][:1].sum() or 1.0) for one in every])
    if len(grids) != len(every):
        raise WickError(f"{len(grids)} grids for {len(every)} symbols", "give one grid a symbol")
    grids = grids.view(np.recarray)
    paid = tuple(map(_within, _per_symbol("fundings", funding, Funding, every), every))
    rules = dated_rules(
        grids,
        _per_symbol("tiers", tiers, SymbolTiers, every),
        [[]] * len(every) if changes is None else changes,
        risk.leverage,
    )
    seen = _per_symbol("marks", marks, Marks, every)
    for one, its in zip(every, seen, strict=True):
        if its is not None:
            check_marks(its, one.symbol)
    conditions = _Conditions(
        grids, paid, rules, seen, _slips(costs, every, spreads), finer_of(every, detail, costs)
    )
    if signals is None:
        signals = all_signals(strategy, every, params, threads, progress, history or every)
    return _run(strategy, every, params, risk, costs, balance, conditions, signals)


class _Conditions(NamedTuple):
    # What the exchange and the market impose, of all symbols in configured order.
    grids: Grids
    funding: tuple[Funding, ...]
    rules: tuple[Any, Tiers, Changes]
    marks: Sequence[Marks | None]
    slips: tuple[NDArray[np.float64], NDArray[np.float64]]
    finer: Finer


def _per_symbol(what: str, given: Any, kind: type, every: Sequence[Candles]) -> list[Any]:
    if given is None:
        return [None] * len(every)
    each = [given] if isinstance(given, kind) else list(given)
    if len(each) != len(every):
        raise WickError(
            f"{len(each)} {what} for {len(every)} symbols", "give one, or None, a symbol"
        )
    return each


def _within(funding: Funding | None, candles: Candles) -> Funding:
    # What lies outside finds no position; a run names only what it could have paid.
    times = candles.arrays["open_time"]
    if funding is None or not len(times):
        return no_funding()
    check_funding(funding, candles.symbol)
    return funding.within(int(times[0]), int(times[-1]) + candles.timeframe_ms)


def _refuse_unseen(costs: Costs, timeframe: str) -> None:
    if costs.latency_ms and timeframe_ms(timeframe) >= _MINUTE_MS:
        raise WickError(
            f"costs.latency_ms is {costs.latency_ms:g}, which candles of {timeframe} do not show: "
            "expected candles shorter than a minute",
            "make them of trades with wick data tumble SYMBOL --timeframe 1s, or "
            "--set costs.latency_ms=0",
        )


def _slips(
    costs: Costs, every: tuple[Candles, ...], spreads: Sequence[Spread | None] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    spreads = [None] * len(every) if spreads is None else spreads
    if len(spreads) != len(every):
        raise WickError(
            f"{len(spreads)} spreads for {len(every)} symbols", "give one, or None, a symbol"
        )
    if not (costs.spread or costs.atr):
        return np.empty(0), np.empty(0)
    for one, spread in zip(every, spreads, strict=True):
        if spread is not None:
            check_spread(spread, one.symbol)
    columns = [slippage_columns(costs, *pair) for pair in zip(every, spreads, strict=True)]
    slip, ahead = (join(list(part)) for part in zip(*columns, strict=True))
    return slip, ahead


def _run(
    strategy: Strategy,
    every: tuple[Candles, ...],
    params: Any,
    risk: Risk,
    costs: Costs,
    balance: float,
    conditions: _Conditions,
    signals: Sequence[Signals],
) -> Result:
    grids, funding, rules, marks, slips, finer = conditions
    symbols = len(every)
    first = offsets([len(one.arrays["open_time"]) for one in every])
    times, o, h, l, c = (join([one.arrays[name] for one in every]) for name in _FIELDS)  # noqa: E741
    volume = np.empty(0)
    if costs.impact or costs.volume_share:
        volume = join([one.arrays["volume"] for one in every])
    market = Market(first, times, o, h, l, c, *slips, volume)
    flags, at, *rest = (join(list(part)) for part in zip(*signals, strict=True))
    words = Words(flags, offsets([len(part.at) for part in signals]), at, *rest)
    timeline = timeline_of([one.arrays["open_time"] for one in every], every[0].timeframe_ms)
    account = np.zeros(1, ACCOUNT).view(np.recarray)
    account[0].wallet = round(balance * UNIT)
    account[0].equity, account[0].day = account[0].wallet / UNIT, -1
    blank = (np.zeros(symbols, kind).view(np.recarray) for kind in (POSITION, ORDER, SAID))
    now, tiers, changes = rules
    o, h, l, c = _marked(market, marks)  # noqa: E741
    margin = Margin(tiers, o, h, l, c, np.zeros(symbols), np.full(symbols, np.nan))
    positions, orders, said = blank
    late = no_orders(int(costs.latency_ms), symbols, every[0].timeframe_ms)
    desk = Desk(risk, costs, now, positions, orders, said, margin, changes, late)
    # Every trade needs an entry signal of its own, so there cannot be more; untouched pages cost
    # nothing.
    trades = np.empty(len(at) + 1, TRADE).view(np.recarray)
    parts = np.empty(_most_parts(risk, costs, len(trades), len(times)), PART).view(np.recarray)
    equity = np.empty(len(timeline))
    refused = np.zeros((symbols, len(REFUSALS)), np.int64)
    record = Record(trades, parts, equity, refused)
    length = every[0].timeframe_ms
    count, partial, stopped = simulate(
        timeline,
        length,
        market,
        finer,
        words,
        strategy.has_take,
        instants_of(funding),
        desk,
        account,
        record,
        begin(market, words),
    )
    if stopped >= 0:
        _refuse(int(timeline[stopped]) + length, count, float(equity[stopped]))
    return Result(
        strategy,
        params,
        risk,
        costs,
        balance,
        every,
        grids,
        trades[:count],
        timeline,
        equity,
        refused,
        _by_trade(parts[:partial], trades[:count]),
        funding,
        finer.counts,
    )


def _most_parts(risk: Risk, costs: Costs, trades: int, candles: int) -> int:
    # The rest of a trade is a part too, and one record is scratch. What a share of the volume cuts
    # takes all that its candle has left of it.
    each = (risk.part_1 > 0.0) + (risk.part_2 > 0.0)
    most = trades * (each + 1) * (each > 0) + 1
    return most + trades + candles if costs.volume_share else most


def _marked(market: Market, marks: Sequence[Marks | None]) -> list[NDArray[np.float64]]:
    # Of all candles; where there is no mark price, the contract's own stand in.
    prices = [market.o, market.h, market.l, market.c]
    if not any(one is not None for one in marks):
        return prices
    out = [price.copy() for price in prices]
    for s, one in enumerate(marks):
        if one is None:
            continue
        part = slice(int(market.first[s]), int(market.first[s + 1]))
        at = one.rows_of(market.open_time[part])
        known = at >= 0
        for price, values in zip(out, one[1:], strict=True):
            price[part][known] = values[at[known]]
    return out


def _by_trade(parts: Any, trades: Any) -> Any:
    # A symbol's parts and its trades come in the same order; which trade a part belongs to is known
    # when that is closed.
    if len(parts) == 0:
        return parts
    for s in np.unique(parts.symbol):
        its = np.flatnonzero(trades.symbol == s)
        parts.trade[parts.symbol == s] = np.repeat(its, trades.parts[its] + (trades.parts[its] > 0))
    return parts[np.argsort(parts.trade, kind="stable")]


def _refuse(time_ms: int, count: int, equity: float) -> NoReturn:
    when = f"at {show_time(time_ms)} UTC after {count} trade{'' if count == 1 else 's'}"
    if equity > 0.0:
        raise RunRefused(
            f"the equity passed {MOST:.0e} {when}, more than any market could fill",
            "--set risk.max_notional=1000000 keeps positions to a size that could trade",
        )
    raise RunRefused(
        f"the balance was used up {when} (equity {equity:.2f})",
        "lower risk.per_trade or risk.max_leverage, or change the strategy",
    )


_MINUTE_MS = 60_000
_FIELDS = ("open_time", "open", "high", "low", "close")
