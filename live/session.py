"""A session: one strategy on one account, and the folder that holds what must survive a crash.

session.json   what was asked for (no secrets)
strategy/      the strategy's file as it was at the start
journal        every decision, intent, outcome and fill (live.journal)
redis/         the embedded server's append-only file, where there is one
logs/          one file a role
"""

from pathlib import Path
from typing import Literal

import msgspec

from data.symbols import SymbolRules
from strategy.errors import WickError
from strategy.load import Strategy, load
from strategy.risk import Risk

FILE = "session.json"


class Addresses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the exchange is.

    Attributes
    ----------
    rest : str
        Without a path, such as http://127.0.0.1:8000.
    stream : str
        Of the WebSocket categories /market, /public and /private, such as ws://127.0.0.1:8000.
    clock : str
        The simulator's clock socket, empty for the wall clock.
    """

    rest: str
    stream: str
    clock: str = ""


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of session.json.

    Attributes
    ----------
    id : str
        Also the prefix of its keys in Redis.
    on : str
        Which exchange: the simulated one (paper, and parity when it is compared with a backtest),
        the demo one, or the real one.
    strategy : str
        The strategy file's name inside the session's folder.
    first_open_time : int
        The candle its indicators begin with, UTC ms.
    trade_from : int
        No entries before this instant: what is older is warm-up.
    straggler_ms : int
        How long an instant waits for the last symbol; in lockstep the simulator says who comes.
    max_decision_age_ms : int
        An entry older than this is not sent any more.
    tag : str
        Six characters in every order id, from strategy, params and id.
    """

    id: str
    on: Literal["paper", "parity", "testnet", "live"]
    strategy: str
    source_hash: str
    market: str
    timeframe: str
    symbols: tuple[str, ...]
    params: dict[str, int | float]
    risk: dict[str, float]
    fee_rate: float
    slippage: float
    balance: float
    rules: tuple[SymbolRules, ...]
    first_open_time: int
    trade_from: int
    created_ms: int
    addresses: Addresses
    redis: str
    tag: str
    command: tuple[str, ...]
    straggler_ms: int = 2_000
    max_decision_age_ms: int = 30_000

    @property
    def identity(self) -> str:
        """What tells it from another session of the same name."""
        return f"{self.created_ms}-{self.tag}"

    @property
    def limits(self) -> Risk:
        """The session's risk settings, as numbers that kernels take."""
        return Risk(*map(float, Risk(**self.risk)))  # type: ignore[arg-type]

    def loaded(self, folder: Path) -> tuple[Strategy, object, Risk]:
        """Load the session's own copy of the strategy, with the session's params and risk.

        Raises
        ------
        WickError
            The copy is not the file that the session was started with.
        """
        strategy = load(str(folder / "strategy" / self.strategy))
        if strategy.source_hash != self.source_hash:
            raise WickError(
                f"{strategy.path} has changed since the session began",
                "start a new session for the changed strategy",
            )
        return strategy, strategy.with_params(self.params), strategy.with_risk(self.risk)


def read_session(folder: Path) -> Session:
    """Read session.json.

    Raises
    ------
    WickError
        There is none, or it is damaged or of another version.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Session)
    except FileNotFoundError as error:
        raise WickError(
            f"there is no session in {folder}", "wick live rsi_macd_atr --on paper starts one"
        ) from error
    except msgspec.MsgspecError as error:
        raise WickError(
            f"{path} is damaged or of another version: {error}", "start a new session"
        ) from error
