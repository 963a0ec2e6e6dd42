"""What the slow engine works on: a symbol's rules, candles, waiting orders and trades."""

import math
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Rules:
    """What the exchange prescribes for a symbol, as its decimal texts."""

    tick: str
    step: str
    min_qty: str = "0"
    max_qty: str = "0"
    min_notional: str = "0"

    def price(self, ticks: int) -> float:
        return float(ticks * Fraction(self.tick))

    def qty(self, steps: int) -> float:
        return float(steps * Fraction(self.step))

    def floor(self, price: float) -> float:
        count = price / float(self.tick)
        return self.price(math.floor(count + (1e-9 + 1e-15 * count)))

    def ceil(self, price: float) -> float:
        count = price / float(self.tick)
        return self.price(math.ceil(count - (1e-9 + 1e-15 * count)))

    @property
    def min_steps(self) -> int:
        return max(1, math.ceil(Fraction(self.min_qty) / Fraction(self.step)))

    @property
    def max_steps(self) -> int:
        most = math.floor(Fraction(self.max_qty) / Fraction(self.step))
        exact = 2**53 // Fraction(self.step).numerator  # larger counts are not whole in a float
        return min(most, exact) if most > 0 else exact


@dataclass(frozen=True, slots=True)
class Said:
    """What the strategy says at a close."""

    long: bool = False
    short: bool = False
    exit_long: bool = False
    exit_short: bool = False
    stop: float = math.nan
    take: float | None = None
    trail: float | None = None  # None without a rule for it
    priority: float = 0.0
    limit: float | None = None  # how far from the close an entry rests; None without a rule for it


@dataclass(frozen=True, slots=True)
class Candle:
    """A candle and what the strategy says at its close."""

    time: int
    open: float
    high: float
    low: float
    close: float
    said: Said
    volume: float = 1.0


@dataclass(frozen=True, slots=True)
class FinerCandle:
    """A candle inside another one; without volume nothing traded in it."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Instant:
    """A funding instant: its rate, and its mark price, NaN where that is not known."""

    time: int
    rate: float
    price: float


@dataclass(slots=True)
class Trade:
    """A closed trade, with the fields of the engine's record."""

    symbol: int
    side: int
    entry_time: int
    entry_candle: int
    steps: int
    qty: float
    entry_price: float
    stop: float
    take: float
    fees: int
    slippage: float
    risked: float
    reversal: int
    last_stop: float
    exit_time: int = 0
    exit_candle: int = 0
    exit_price: float = 0.0
    pnl: int = 0
    funding: int = 0
    charged: float = 0.0  # of it, what the margin of what is still held has borne
    mae: float = 0.0
    mfe: float = 0.0
    exit_reason: str = ""
    ambiguous: int = 0
    ordered: int = 0
    parts: int = 0
    maker: int = 0


@dataclass(slots=True)
class Part:
    """An exit of a part or of the rest, with the fields of the engine's record."""

    symbol: int
    trade: int
    time: int
    candle: int
    steps: int
    qty: float
    price: float
    pnl: int
    fee: int


@dataclass(slots=True)
class Entry:
    """An approved entry that waits for the symbol's next open, or rests at a limit."""

    side: int
    steps: int
    stop: float
    take: float | None
    reversal: bool
    limit: float | None = None
    placed: int = 0  # the candle it was decided at
    rests: bool = False
    arrives: int | None = None


@dataclass(slots=True)
class Market:
    """One symbol: its candles, its position and its waiting orders."""

    at: int
    rules: Rules
    candles: list[Candle]
    funding: list[Instant] = field(default_factory=list)
    finer: list[FinerCandle] = field(default_factory=list)
    finer_ms: int = 0
    spreads: list[tuple[int, float]] = field(default_factory=list)  # known from, half
    ranges: list[float] = field(default_factory=list)  # ATR by candle; only where costs.atr asks
    trade: Trade | None = None  # the open position
    left: int = 0  # steps of it that are still held
    distance: float = 0.0  # its stop's, as decided
    moved: str = "stop"  # why its stop lies where it lies
    stops: list[tuple[int, float, str]] = field(default_factory=list)  # arrival, level, why
    guarded: int = 0  # when stop and takes have arrived
    ladder: list[tuple[float, int]] = field(default_factory=list)  # level and steps, nearest first
    parts: list[Part] = field(default_factory=list)  # what was closed of it
    extremes: list[float] = field(default_factory=list)
    rests_until: int = 0  # the first candle that may enter after a loss
    exit: str | None = None
    exit_arrives: int | None = None
    closing: str = ""  # the rest of an exit is on its way: "ordered" or "triggered"
    filled: list[tuple[int, int]] = field(default_factory=list)  # candle and steps, where it counts
    entry: Entry | None = None
    mark: float = 0.0
    closed: int = 0  # candles of it

    by_time: dict[int, tuple[int, Candle]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_time = {one.time: (position, one) for position, one in enumerate(self.candles)}

    def candle(self, time: int) -> tuple[int, Candle] | None:
        return self.by_time.get(time)

    def notional(self) -> float:
        return self.rules.qty(self.left) * self.mark if self.trade else 0.0

    def unrealized(self) -> float:
        t = self.trade
        return t.side * self.rules.qty(self.left) * (self.mark - t.entry_price) if t else 0.0
