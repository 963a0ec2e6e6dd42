"""What has to be right before a role is started: each thing that is not is one sentence."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from data.dates import show_time
from live.exchange.port import Exchange, Unavailable
from live.reconcile import check_account, check_symbols, refuse_foreign
from live.session import Session
from strategy.errors import WickError

_Result = TypeVar("_Result")


async def check_exchange(session: Session, exchange: Exchange, *, goes_on: bool) -> Session:
    """Refuse an exchange or an account on which this session cannot trade; sends no order.

    Parameters
    ----------
    goes_on : bool
        The session has traded already: what it left on the account is its own, and only a key that
        is refused keeps it from looking after that.

    Returns
    -------
    Session
        With the exchange's rules, where it had none.

    Raises
    ------
    WickError
        It does not answer, the key is wrong, a symbol is not traded, the account is in another
        mode, something foreign is there, or there is too little history.
    """
    await _answered(session, exchange.server_time)
    if goes_on and session.rules:
        # It may hold something: what does not fit any more halts its entries, and no more.
        await _answered(session, exchange.account_mode)
        return session
    await _answered(session, check_account, exchange)
    infos = await _answered(session, check_symbols, exchange, session.symbols)
    for symbol in () if goes_on else session.symbols:
        await _answered(session, refuse_foreign, exchange, symbol)
    for symbol in session.symbols:
        await _check_history(session, exchange, symbol)
    if session.rules:
        return session
    rules = tuple(infos[symbol].rules for symbol in session.symbols)
    return msgspec.structs.replace(session, rules=rules)


async def _check_history(session: Session, exchange: Exchange, symbol: str) -> None:
    ask = session.first_open_time
    found = await _answered(session, exchange.klines, symbol, session.timeframe, ask, 1)
    if found and (session.on == "paper" or found[0].open_time <= ask):
        return  # on paper the store has been looked at, holes and all
    where = f"begin at {show_time(found[0].open_time)}" if found else "are missing"
    raise WickError(
        f"the exchange's {session.timeframe} candles of {symbol} {where}, the indicators need them"
        f" from {show_time(ask)} on",
        "leave the symbol out with --symbols, or shorten the indicators with --set",
    )


async def _answered(
    session: Session, ask: Callable[..., Awaitable[_Result]], *arguments: object
) -> _Result:
    try:
        return await ask(*arguments)
    except Unavailable as error:
        raise WickError(
            f"the exchange at {session.addresses.rest} does not answer: {error}",
            "look at the network, and at the addresses in the settings",
        ) from error
