"""What the exchange says, against what we believe: before the first decision and after every
(re)connect."""

import logging
from collections.abc import Sequence

from live.clock import Clock
from live.exchange.errors import GONE
from live.exchange.port import (
    Accepted,
    AlgoState,
    Balance,
    Exchange,
    Rejected,
    SymbolInfo,
    Unavailable,
)
from live.inquiries import READ_LAG_MS
from live.journal_records import Began
from live.ledger import Ledger
from live.order_ids import MARKET_LEGS
from live.trade_executor import TradeExecutor
from live.writer import Writer
from strategy.errors import WickError, did_you_mean
from strategy.risk import Risk

log = logging.getLogger(__name__)


async def check_account(exchange: Exchange) -> None:
    """Refuse an account that the rules of this project do not fit.

    Raises
    ------
    WickError
        Hedge mode, multi-assets mode, fees paid in BNB, or no permission to trade.
    """
    mode = await exchange.account_mode()
    if not mode.can_trade:
        raise WickError("this account or key may not trade", "allow futures trading for the key")
    if mode.hedge:
        raise WickError(
            "the account is in hedge mode, expected one-way mode",
            "switch it on the exchange: Preferences, Position Mode, One-way Mode",
        )
    if mode.multi_assets:
        raise WickError(
            "the account is in multi-assets mode, expected single-asset mode",
            "switch it on the exchange: Preferences, Asset Mode, Single-Asset Mode",
        )
    if mode.fee_in_bnb:
        raise WickError(
            "the account pays fees in BNB, so its USDT wallet would not tell what trades cost",
            "switch off 'Using BNB for fees' on the exchange",
        )


async def check_symbols(exchange: Exchange, symbols: tuple[str, ...]) -> dict[str, SymbolInfo]:
    """Return what the exchange says of these symbols.

    Raises
    ------
    WickError
        It does not know one, or does not trade it now, or it is not settled in USDT.
    """
    known = await exchange.symbols()
    for symbol in symbols:
        info = known.get(symbol)
        if info is None:
            traded = [name for name, one in known.items() if one.status == "TRADING"]
            raise WickError(
                f"the exchange does not know the symbol {symbol}",
                _few(did_you_mean(symbol, traded)),
            )
        if info.status != "TRADING":
            raise WickError(
                f"{symbol} cannot be traded now: its status is {info.status}, expected TRADING",
                "leave it out with --symbols",
            )
        if info.quote_asset != "USDT":
            raise WickError(
                f"{symbol} is settled in {info.quote_asset}, expected USDT",
                "leave it out with --symbols",
            )
    return {symbol: known[symbol] for symbol in symbols}


async def refuse_foreign(exchange: Exchange, symbol: str) -> None:
    """Refuse a symbol on which the account already holds or orders something.

    Raises
    ------
    WickError
        A position or an open order is there.
    """
    held = [one for one in await exchange.holdings() if one.symbol == symbol]
    if held and float(held[0].qty) != 0.0:
        raise WickError(
            f"the account already holds {held[0].qty} {symbol} that is not this session's",
            "close it on the exchange, or leave the symbol out with --symbols",
        )
    count = len(await exchange.open_orders(symbol))
    count += len(await exchange.open_algos(symbol))
    if count:
        raise WickError(
            f"the account already has {count} open orders on {symbol}",
            "cancel them on the exchange, or leave the symbol out with --symbols",
        )


def _few(hint: str) -> str:
    return hint if len(hint) < 300 else hint[:300].rsplit(",", 1)[0] + ", …"


class Reconciler:
    """Bring the ledger to what the exchange says."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        exchange: Exchange,
        executor: TradeExecutor,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._exchange = exchange
        self._executor = executor
        self._inquiries = executor.inquiries
        self._clock = clock

    async def check(self) -> None:
        """Refuse an account or an exchange that does not fit this session.

        Raises
        ------
        WickError
            Its mode, a symbol, or a symbol's grid.
        """
        await check_account(self._exchange)
        self._check_rules(await check_symbols(self._exchange, self._ledger.symbols))

    async def begin(self, risk: Risk) -> None:
        """Check the account, set leverage, and write the session's first record.

        Raises
        ------
        WickError
            The account, a symbol, or something that is there already does not allow a start.
        """
        await self.check()
        for symbol in self._ledger.symbols:
            await refuse_foreign(self._exchange, symbol)
        for symbol in self._ledger.symbols:
            await self._set_leverage(symbol, int(risk.leverage))
        newest = {}
        for symbol in self._ledger.symbols:
            trades = await self._exchange.trades(symbol)
            newest[symbol] = max((trade.trade_id for trade in trades), default=-1)
        balance = await self._exchange.balance()
        now_ms = self._clock.now_ms()
        self._writer.write(
            Began(n=0, time=now_ms, wallet=balance.wallet, last_trade=newest),
            durable=True,
            needed=True,
        )

    def _check_rules(self, infos: dict[str, SymbolInfo]) -> None:
        for symbol, info in infos.items():
            ours, theirs = self._ledger.rules[symbol], info.rules
            for name in ("tick_size", "step_size"):
                if float(getattr(ours, name)) != float(getattr(theirs, name)):
                    raise WickError(
                        f"{symbol} has the {name} {getattr(theirs, name)} on the exchange,"
                        f" the session was started with {getattr(ours, name)}",
                        "start a new session",
                    )

    async def _set_leverage(self, symbol: str, leverage: int) -> None:
        outcome = await self._exchange.set_leverage(symbol, leverage)
        if isinstance(outcome, Rejected) and not outcome.retry:
            raise WickError(
                f"the exchange refuses leverage {leverage} for {symbol}:"
                f" {outcome.text} ({outcome.code})",
                "--set risk.leverage=10",
            )
        if not isinstance(outcome, Accepted):  # to set it twice does no harm
            raise Unavailable(f"leverage of {symbol}: {outcome.text}")

    async def catch_up(self) -> Balance:
        """Book what was missed, look at every open order, and return the balance.

        A position that differs after that halts entries.
        """
        for symbol in self._ledger.symbols:
            await self._inquiries.fetch_trades(symbol)
            await self.look_at_orders(symbol)
        balance = await self._exchange.balance()
        # What has just filled may be in one answer of the exchange and not yet in the other.
        until = self._clock.now_ms() + READ_LAG_MS
        while wrong := await self._differing():
            if self._clock.now_ms() >= until:
                if not self._ledger.halted:
                    self._inquiries.halt(
                        f"{wrong[0]}: the exchange's position is not the sum of our fills"
                    )
                break
            for symbol in wrong:
                await self._inquiries.fetch_trades(symbol, newest=True)
            await self._clock.pass_until(self._clock.now_ms() + 500)
        return balance

    async def _differing(self) -> list[str]:
        heard = dict(self._executor.heard)
        self._executor.take_holdings(await self._exchange.holdings(), heard)
        reported = self._executor.reported
        return [
            symbol
            for symbol in self._ledger.symbols
            if reported[symbol] != int(self._ledger.position(symbol).steps)
        ]

    async def look_at_orders(self, symbol: str) -> None:
        """Look whether what the ledger holds for open on a symbol is."""
        there = await self._exchange.open_algos(symbol)
        if self._ledger.position(symbol).steps:
            self._inquiries.adopt(symbol, there)
        else:
            await self._cancel_strays(symbol, there)
        listed = {algo.client_id for algo in there}
        for one in list(self._ledger.books[symbol].sent.values()):
            if one.state != "accepted":
                continue
            if one.intent.leg in MARKET_LEGS:
                await self._inquiries.look_at_order(one)
            elif one.intent.id not in listed:
                await self._inquiries.look_at_algo(one)

    async def _cancel_strays(self, symbol: str, there: Sequence[AlgoState]) -> None:
        # A machine that dies may take with it the last intents of stops and takes, which are not
        # waited for until they are on the disk. They would close the next position.
        for algo in there:
            known = algo.client_id in self._ledger.books[symbol].sent
            if known or not self._inquiries.is_ours(algo.client_id):
                continue
            log.warning("symbol=%s cancelled=%s reason=not in the journal", symbol, algo.client_id)
            outcome = await self._exchange.cancel_algo(algo.client_id)
            is_gone = isinstance(outcome, Rejected) and outcome.code == GONE
            if not (is_gone or isinstance(outcome, Accepted)):
                raise Unavailable(f"{algo.client_id} may not be cancelled: {outcome.text}")
