"""What the exchange says, against what we believe: before the first decision and after every
(re)connect."""

import logging

from live.exchange.port import Balance, Exchange, Rejected, SymbolInfo, Unknown
from live.journal import Answered, Began, Halted
from live.ledger import Ledger, Sent
from live.order_ids import parse
from live.trade_executor import READ_LAG_MS, TradeExecutor
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
        self, ledger: Ledger, writer: Writer, exchange: Exchange, executor: TradeExecutor
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._exchange = exchange
        self._executor = executor

    async def begin(self, now_ms: int, risk: Risk) -> None:
        """Check the account, set leverage, and write the session's first record.

        Raises
        ------
        WickError
            The account, a symbol, or something that is there already does not allow a start.
        """
        await check_account(self._exchange)
        infos = await check_symbols(self._exchange, self._ledger.symbols)
        self._check_rules(infos)
        if self._ledger.began:
            return  # what is held may need a stop: nothing more comes before that
        for symbol in self._ledger.symbols:
            await refuse_foreign(self._exchange, symbol)
        for symbol in self._ledger.symbols:
            await self._set_leverage(symbol, int(risk.leverage))
        newest = {}
        for symbol in self._ledger.symbols:
            trades = await self._exchange.trades(symbol)
            newest[symbol] = max((trade.trade_id for trade in trades), default=-1)
        balance = await self._exchange.balance()
        self._writer.write(
            Began(n=0, time=now_ms, wallet=balance.wallet, last_trade=newest), needed=True
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
        if isinstance(outcome, Rejected):
            raise WickError(
                f"the exchange refuses leverage {leverage} for {symbol}:"
                f" {outcome.text} ({outcome.code})",
                "--set risk.leverage=10",
            )
        if isinstance(outcome, Unknown):
            log.warning("symbol=%s leverage=unknown text=%s", symbol, outcome.text)

    async def catch_up(self, now_ms: int) -> Balance:
        """Book what was missed, look at every open order, and return the balance.

        A position that differs after that halts entries.
        """
        for symbol in self._ledger.symbols:
            await self._executor.fetch_trades(symbol)
            await self._look_at_orders(symbol, now_ms)
        balance = await self._exchange.balance()
        if await self._differing():
            for symbol in self._ledger.symbols:  # once more, from the newest fills
                for trade in await self._exchange.trades(symbol):
                    self._executor.book(trade)
            if wrong := await self._differing():
                reason = f"{wrong[0]}: the exchange's position is not the sum of our fills"
                if not self._ledger.halted:
                    self._writer.write(Halted(n=0, reason=reason, time=now_ms))
        return balance

    async def _differing(self) -> list[str]:
        holdings = await self._exchange.holdings()
        self._executor.hear_holdings(holdings, complete=True)
        reported = self._executor.reported
        return [
            symbol
            for symbol in self._ledger.symbols
            if reported[symbol] != int(self._ledger.position(symbol).steps)
        ]

    async def _look_at_orders(self, symbol: str, now_ms: int) -> None:
        sent = [s for s in self._ledger.books[symbol].sent.values() if s.state == "accepted"]
        if not sent:
            return
        there = {algo.client_id for algo in await self._exchange.open_algos(symbol)}
        for one in sent:
            if one.intent.leg in "stp":
                if one.intent.id not in there:
                    algo = await self._exchange.algo(one.intent.id)
                    fresh = algo is None and now_ms - one.intent.time < READ_LAG_MS
                    self._close_if(one, fresh or (algo is not None and algo.is_open), now_ms)
            else:
                await self._executor.look_at_order(one)

    def _close_if(self, sent: Sent, still_open: bool, now_ms: int) -> None:
        if still_open or not sent.open:
            return
        self._writer.write(
            Answered(
                n=0,
                id=sent.intent.id,
                symbol=sent.intent.symbol,
                state="gone",
                exchange_id=0,
                code=0,
                text="no longer open",
                time=now_ms,
            )
        )


def is_foreign(client_id: str, tag: str) -> bool:
    """Whether an order was sent by someone else than this session."""
    known = parse(client_id)
    return known is None or known.tag != tag
