"""What the exchange demands of a request's parameters, and the errors that say so."""

import re
from collections.abc import Mapping
from decimal import Decimal

from data.symbols import SymbolRules
from live.simulator.texts import places

Params = Mapping[str, str]

_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_MOST_ROWS = 1_000


class ApiError(Exception):
    """A request that is refused.

    Parameters
    ----------
    status : int
        Of HTTP.
    code : int
        The exchange's own, negative.
    msg : str
    """

    def __init__(self, status: int, code: int, msg: str) -> None:
        super().__init__(f"{code} {msg}")
        self.status = status
        self.code = code
        self.msg = msg


def refuse(code: int, msg: str) -> ApiError:
    """Return the usual kind of error."""
    return ApiError(400, code, msg)


def needed(p: Params, name: str) -> str:
    """Return a parameter that must be there."""
    value = p.get(name, "")
    if not value:
        raise refuse(
            -1102,
            f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
        )
    return value


def whole(p: Params, name: str, otherwise: int) -> int:
    """Return a parameter that must be a whole number where it is sent.

    Raises
    ------
    ApiError
        -1102 for anything else.
    """
    text = p.get(name, "")
    if not text:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise refuse(-1102, f"Parameter '{name}' was malformed.")
    return int(text)


def rows(p: Params, usual: int) -> int:
    """Return how many rows a request wants at most."""
    limit = whole(p, "limit", usual)
    if not 0 < limit <= _MOST_ROWS:
        raise refuse(-1130, "Data sent for parameter 'limit' is not valid.")
    return limit


def window(p: Params) -> tuple[int, int]:
    """Return the first and last time that a request asks for."""
    return whole(p, "startTime", 0), whole(p, "endTime", 2**62)


def decimal(p: Params, name: str) -> Decimal:
    """Return a parameter that must be a plain decimal number."""
    text = needed(p, name)
    if not _DECIMAL.fullmatch(text):
        raise refuse(-1100, f"Illegal characters found in parameter '{name}'.")
    return Decimal(text)


def word(p: Params, name: str) -> bool:
    """Return a parameter that is the word true or false, false where it is not sent."""
    text = (p.get(name) or "false").lower()
    if text not in ("true", "false"):
        raise refuse(-1130, f"Data sent for parameter '{name}' is not valid.")
    return text == "true"


def client_id(p: Params, name: str, made: str) -> str:
    """Return the client's id of an order, or the one made for it."""
    text = p.get(name, "") or made
    if len(text) > 36:
        raise refuse(-4015, "Client order id length should be less than 36 chars.")
    if not _ID.fullmatch(text):
        raise refuse(-1100, f"Illegal characters found in parameter '{name}'.")
    return text


def side(p: Params) -> int:
    """Return 1 for BUY and -1 for SELL."""
    text = needed(p, "side")
    if text not in ("BUY", "SELL"):
        raise refuse(-1117, "Invalid side.")
    return 1 if text == "BUY" else -1


def one_way(p: Params, hedge: bool) -> None:
    """Refuse an order whose position side does not fit the account's mode; in hedge mode none is
    traded here."""
    given = p.get("positionSide") or "BOTH"
    if given not in ("BOTH", "LONG", "SHORT"):
        raise refuse(-4060, "Invalid position side.")
    if (given == "BOTH") == hedge:
        raise refuse(-4061, "Order's position side does not match user's setting.")
    if hedge:
        raise refuse(-1014, "Orders in hedge mode are not simulated.")


def quantity(p: Params, rules: SymbolRules) -> int:
    """Return an order's quantity in steps."""
    value = decimal(p, "quantity")
    if value <= 0:
        raise refuse(-4003, "Quantity less than or equal to zero.")
    steps = _on_grid(value, rules.step_size, -4023, "Quantity not increased by step size.")
    if value < Decimal(rules.min_qty):
        raise refuse(-4004, "Quantity less than min quantity.")
    if 0 < Decimal(rules.max_qty) < value:
        raise refuse(-4005, "Quantity greater than max quantity.")
    return steps


def trigger(p: Params, rules: SymbolRules) -> float:
    """Return a trigger price; it must lie on the tick."""
    value = decimal(p, "triggerPrice")
    if value <= 0:
        raise refuse(-4006, "Stop price less than or equal to zero.")
    _on_grid(value, rules.tick_size, -4014, "Price not increased by tick size.")
    return float(value)


def _on_grid(value: Decimal, size: str, code: int, text: str) -> int:
    # As sent: a zero beyond the grid's decimals is one too many as well.
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if -exponent > places(size):
        raise refuse(-1111, "Precision is over the maximum defined for this asset.")
    count = value / Decimal(size)
    if count != count.to_integral_value():
        raise refuse(code, text)
    return int(count)
