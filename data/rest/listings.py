"""How the exchange describes its symbols: its saved or sent answers, read.

exchangeInfo      every symbol's grids, sizes, status and dates; of USDⓈ-M futures, or of spot
leverageBracket   margin by size of a position; also in ccxt's unified form, as freqtrade keeps it

Fields that are not needed are ignored, since the exchange adds some every few months; decimals stay
its text, without zeros at the end.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from data.dates import show_day
from strategy.errors import WickError

# The exchange lists hundreds of symbols. An answer of fewer was asked for by name, or comes from a
# simulator, and says nothing about symbols that it does not name.
WHOLE = 100
# Perpetual contracts carry a day in 2100 as their delivery.
_NEVER_MS = 4_102_444_800_000
_DECIMAL = re.compile(r"\d{1,30}(\.\d{1,30})?")
_SYMBOL = re.compile(r"\w{1,40}")  # as a series of candles is named
_WANTED = "an answer of exchangeInfo, or leverage brackets of leverageBracket or ccxt, is wanted"


class Lot(msgspec.Struct, frozen=True, array_like=True):
    """Grid and bounds of a quantity, decimal text in base currency; a bound of 0 is none."""

    step: str
    least: str
    most: str


class Listing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the exchange says about one symbol.

    Attributes
    ----------
    tick_size, min_notional : str
        Grid of prices, and least price × quantity.
    lot, market_lot : Lot
        Of limit orders, and of market orders where those differ.
    status, contract : str
        Such as TRADING and PERPETUAL, in the exchange's words; spot has no contract.
    listed_ms, delivery_ms : int
        UTC ms; 0 where it names none.
    liquidation_fee, trigger_protect : str
        Shares of the notional and of the price; empty where it names none.
    """

    tick_size: str
    min_notional: str
    lot: Lot
    status: str
    market_lot: Lot | None = None
    contract: str = ""
    listed_ms: int = 0
    delivery_ms: int = 0
    liquidation_fee: str = ""
    trigger_protect: str = ""


class Bracket(msgspec.Struct, frozen=True, array_like=True):
    """Margin of a position whose notional lies from `floor` to below `cap`, in quote currency.

    The maintenance margin is notional × `maintenance` − `cum`; `leverage` is the most allowed.
    """

    floor: str
    cap: str
    maintenance: str
    cum: str
    leverage: int


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _Filter(_Answer, frozen=True):
    filter_type: str
    tick_size: str | None = None
    step_size: str | None = None
    min_qty: str | None = None
    max_qty: str | None = None
    notional: str | None = None
    min_notional: str | None = None


class Symbol(_Answer, frozen=True):
    """One symbol of an exchangeInfo answer."""

    symbol: str
    status: str
    quote_asset: str
    filters: tuple[_Filter, ...]
    contract_type: str = ""
    onboard_date: int | None = 0
    delivery_date: int | None = 0
    liquidation_fee: Any = ""
    trigger_protect: Any = ""
    contract_size: float | None = None  # in coin-margined futures alone

    def listing(self) -> Listing:
        """Return what is kept of it.

        Raises
        ------
        WickError
            A value is no decimal number.
        """
        by_type = {one.filter_type: one for one in self.filters}
        none = _Filter("")
        lot = by_type.get("LOT_SIZE", none)
        market = by_type.get("MARKET_LOT_SIZE", none)
        worth = by_type.get("MIN_NOTIONAL") or by_type.get("NOTIONAL", none)
        general = Lot(*(self._text(one) for one in (lot.step_size, lot.min_qty, lot.max_qty)))
        # Zero in the market orders' filter means that the general one counts.
        ours = Lot(
            self._text(market.step_size, general.step),
            self._text(market.min_qty, general.least),
            self._text(market.max_qty, general.most),
        )
        delivery_ms = self.delivery_date or 0
        return Listing(
            tick_size=self._text(by_type.get("PRICE_FILTER", none).tick_size),
            min_notional=self._text(worth.notional or worth.min_notional),
            lot=general,
            market_lot=None if ours == general else ours,
            status=self.status,
            contract=self.contract_type,
            listed_ms=self.onboard_date or 0,
            delivery_ms=0 if delivery_ms >= _NEVER_MS else delivery_ms,
            liquidation_fee=_share(self.liquidation_fee),
            trigger_protect=_share(self.trigger_protect),
        )

    def _text(self, text: str | None, otherwise: str = "0") -> str:
        return decimal(text or "0", self.symbol, otherwise)


class ExchangeInfo(_Answer, frozen=True):
    """The answer of exchangeInfo."""

    symbols: tuple[Symbol, ...]
    server_time: int = 0

    def market(self) -> str:
        """Say whether it is of um or of spot.

        Raises
        ------
        WickError
            It is of coin-margined futures, or names no symbol.
        """
        if any(one.contract_size is not None for one in self.symbols):
            raise WickError("it holds coin-margined futures, which are not supported", _WANTED)
        if not self.symbols:
            raise WickError("it names no symbol", _WANTED)
        return "um" if any(one.contract_type for one in self.symbols) else "spot"

    def listings(self) -> tuple[dict[str, Listing], list[str]]:
        """Return the symbols that have grids, by name, and the names of those that have none yet.

        Raises
        ------
        WickError
            There are none, or one has a name or a value that makes no sense.
        """
        named = {one.symbol: one.listing() for one in self.symbols}
        _refuse_names(named)
        bare = [name for name, its in named.items() if "0" in (its.tick_size, its.lot.step)]
        return {name: its for name, its in named.items() if name not in bare}, bare

    def refuse_day(self, at_ms: int) -> None:
        """Refuse a day on which this cannot have been said.

        Raises
        ------
        WickError
            A symbol is traded that was listed later.
        """
        traded = [one for one in self.symbols if one.status == "TRADING"]
        last = max(traded, key=lambda one: one.onboard_date or 0, default=None)
        if last is not None and show_day(last.onboard_date or 0) > show_day(at_ms):
            raise WickError(
                f"it cannot be of {show_day(at_ms)}: {last.symbol} is traded in it, and was listed"
                f" on {show_day(last.onboard_date or 0)}",
                "name the day it was taken with --seen",
            )


_Number = int | float | str


class _BinanceBracket(_Answer, frozen=True):
    notional_floor: _Number
    notional_cap: _Number
    maint_margin_ratio: _Number
    cum: _Number
    initial_leverage: int


class _BinanceBrackets(_Answer, frozen=True):
    symbol: str
    brackets: tuple[_BinanceBracket, ...]


class _Tier(_Answer, frozen=True):
    info: _BinanceBracket


Brackets = tuple[Bracket, ...]


def read_answer(raw: bytes) -> ExchangeInfo | dict[str, Brackets]:
    """Read a saved answer: the exchange's symbols, or leverage brackets by symbol.

    Raises
    ------
    WickError
        It is none of them, or a value in it makes no sense.
    """
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WickError(f"it is not whole JSON: {error}", _WANTED) from error
    try:
        if isinstance(found, dict) and "symbols" in found:
            return msgspec.convert(found, ExchangeInfo)
        if isinstance(found, dict) and "brackets" in found:
            found = [found]
        if isinstance(found, dict):
            tiers = msgspec.convert(found, dict[str, tuple[_Tier, ...]])
            return _checked({_name(key): [one.info for one in its] for key, its in tiers.items()})
        answers = msgspec.convert(found, tuple[_BinanceBrackets, ...])
        return _checked({one.symbol: one.brackets for one in answers})
    except msgspec.ValidationError as error:
        raise WickError(f"it is JSON of another kind: {error}", _WANTED) from error


def decimal(value: Any, symbol: str, otherwise: str = "0") -> str:
    """Return a number as plain decimal text, or `otherwise` where it is zero.

    Raises
    ------
    WickError
        It is no decimal number; `symbol` names the place.
    """
    text = value if isinstance(value, str) else format(Decimal(str(value)), "f")
    if _DECIMAL.fullmatch(text) is None:
        raise WickError(f"{text[:40]!r} of {symbol} is no decimal number", _WANTED)
    return format((Decimal(text) or Decimal(otherwise)).normalize(), "f")


def _share(value: Any) -> str:
    # Nothing rests on these yet: a form that is new here must not keep a session from its rules.
    known = isinstance(value, str) and _DECIMAL.fullmatch(value) is not None
    return decimal(value, "") if known else ""


def _checked(found: Mapping[str, Sequence[_BinanceBracket]]) -> dict[str, Brackets]:
    _refuse_names(found)
    brackets = {}
    for name, its in found.items():
        brackets[name] = tuple(
            Bracket(
                decimal(one.notional_floor, name),
                decimal(one.notional_cap, name),
                decimal(one.maint_margin_ratio, name),
                decimal(one.cum, name),
                one.initial_leverage,
            )
            for one in its
        )
        floors = ["0", *(one.cap for one in brackets[name])]
        if not its or [one.floor for one in brackets[name]] != floors[:-1]:
            raise WickError(f"the brackets of {name} do not follow on one another from 0", _WANTED)
    return brackets


def _refuse_names(named: Iterable[str]) -> None:
    names = list(named)
    if not names:
        raise WickError("it names no symbol", _WANTED)
    for name in names:
        if _SYMBOL.fullmatch(name) is None:
            raise WickError(f"it names a symbol {name[:60]!r}", _WANTED)


def _name(unified: str) -> str:
    # BTC/USDT:USDT is the perpetual contract BTCUSDT, BTC/USDT:USDT-260925 the one of that day.
    pair, _, settled = unified.partition(":")
    day = settled.partition("-")[2]
    return pair.replace("/", "") + (f"_{day}" if day else "")
