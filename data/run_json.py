"""The content of run.json: what a run was, on what data, and what came out."""

import msgspec

from data.symbols import DatedRules, MarginRules, SymbolRules
from data.tune_json import HoldoutRecord, PanelRecord, SearchRecord, WalkRecord
from strategy.fills import Costs


class StrategyRecord(msgspec.Struct, frozen=True):
    """Which strategy module ran: its name, file, and the SHA-256 of its bytes."""

    name: str
    path: str
    source_hash: str


class FundingRecord(msgspec.Struct, frozen=True):
    """The exact funding instants of one symbol: how many, of how many the mark price was known,
    the first and the last, and the SHA-256 over their arrays."""

    instants: int
    marked: int
    first_ms: int
    last_ms: int
    fingerprint: str


class MarksRecord(msgspec.Struct, frozen=True):
    """The exact mark price candles of one symbol: how many of its candles had one, and the SHA-256
    over their arrays."""

    candles: int
    fingerprint: str


class DetailRecord(msgspec.Struct, frozen=True):
    """The exact finer candles of one symbol: their timeframe, how many, and their SHA-256."""

    timeframe: str
    candles: int
    fingerprint: str


class DataRecord(msgspec.Struct, frozen=True):
    """The exact candles of one symbol, and the exchange rules and the funding used with them.

    `fingerprint` is over all `columns`; `prices` over prices and volume alone, empty where there
    are no other ones, and in runs of before."""

    symbol: str
    market: str
    timeframe: str
    first_ms: int
    end_ms: int
    candles: int
    missing: int
    columns: list[str]
    fingerprint: str
    rules: SymbolRules
    funding: FundingRecord | None = None  # None where none was booked
    detail: DetailRecord | None = None  # None where no finer candles were used
    margin: MarginRules | None = None  # None where nothing was liquidated
    changes: list[DatedRules] = []  # of rules and margin, inside the run
    marks: MarksRecord | None = None
    warm_ms: int | None = None  # where the candles begin that only warmed indicators up
    warm_fingerprint: str | None = None  # of these and the run's own
    prices: str = ""


class FigureRecord(msgspec.Struct, frozen=True):
    """One figure; the value is missing where it cannot be given, and the note says why."""

    key: str
    label: str
    value: float | None
    unit: str
    n: int
    formula: str
    note: str


class GroupRecord(msgspec.Struct, frozen=True):
    """The trades with one side, exit reason, symbol or hour of entry; see strategy.metrics."""

    name: str
    n: int
    net: float
    win_rate: float | None
    expectancy_r: float | None


class EndRecord(msgspec.Struct, frozen=True):
    """What a run came to under one assumption about candles that touch stop and take."""

    equity: float
    total_return: float
    max_drawdown: float
    trades: int
    ambiguous: int


class IntervalRecord(msgspec.Struct, frozen=True):
    """How much of a run rests on such candles: trades in all, those that stayed ambiguous, those
    that finer candles resolved; candles with a touched level that were walked through on finer
    ones, and that lacked them; and the whole run in the worst and the best case, missing where the
    balance was used up."""

    trades: int
    ambiguous: int
    resolved: int
    walked: int
    wanting: int
    worst: EndRecord | None
    best: EndRecord | None


class TuneRecord(msgspec.Struct, frozen=True):
    """How the params of a run were found; and of runs from before hold-outs had to be opened, what
    they did on candles the search never saw."""

    objective: str
    trials: int
    sampler: str
    train_from_ms: int
    split_ms: int
    test_to_ms: int
    best_value: float
    out_of_sample: list[FigureRecord] = []
    out_of_sample_hash: str = ""
    search: SearchRecord | None = None
    panel: PanelRecord | None = None
    holdout: HoldoutRecord | None = None


class AxisRecord(msgspec.Struct, frozen=True):
    """One axis of a sweep: a param, risk.NAME or costs.NAME, and the values that it took."""

    name: str
    values: list[float]


class SweepRecord(msgspec.Struct, frozen=True):
    """What a sweep ran; the run itself is that of its best combination by the objective.

    Attributes
    ----------
    objective : str
        Key of the figure that the combinations are ranked by.
    axes : list of AxisRecord
    where : str or None
        The condition that combinations had to fulfil.
    drawn : int or None
        How many were drawn of the grid; None for all of it.
    combinations, left_out : int
        How many ran, and how many the condition left out.
    few_trades : int
        How many had a result of fewer than 10 trades: they stand behind all others.
    without : dict
        How many had no result, by reason.
    number : int
        The combination that this run is.
    best : dict
        The number of the best combination by the key of each figure.
    method : list of str
        How it was computed.
    """

    objective: str
    axes: list[AxisRecord]
    where: str | None
    drawn: int | None
    combinations: int
    left_out: int
    few_trades: int
    without: dict[str, int]
    number: int
    best: dict[str, int]
    method: list[str]


# Of run.json. Readers ignore fields that they do not know, and a field added from here on has a
# default, so that runs stay readable in both directions; any other change counts this up.
SCHEMA = 1


class RunRecord(msgspec.Struct, frozen=True):
    """The content of run.json."""

    schema: int
    id: str
    kind: str
    created_ms: int
    version: str
    kernels: str
    command: list[str]
    strategy: StrategyRecord
    params: dict[str, int | float]
    risk: dict[str, float]
    fee_rate: float
    slippage: float
    balance: float
    seed: int | None
    data: list[DataRecord]
    figures: list[FigureRecord]
    refused: dict[str, int]
    exits: dict[str, int]
    notes: list[str]
    result_hash: str
    tune: TuneRecord | None = None
    breakdowns: dict[str, list[GroupRecord]] = {}
    months: dict[str, float] = {}
    costs: dict[str, float] = {}
    sweep: SweepRecord | None = None
    interval: IntervalRecord | None = None  # None where no candle was ambiguous
    walk: WalkRecord | None = None

    @property
    def all_costs(self) -> Costs:
        """Its costs; a model that a run of before did not know is off."""
        known = self.costs | {"fee_rate": self.fee_rate, "slippage": self.slippage}
        return Costs(**{name: known[name] for name in Costs._fields if name in known})  # type: ignore[arg-type]

    def figure(self, key: str) -> FigureRecord:
        """Return one figure by its key."""
        return next(figure for figure in self.figures if figure.key == key)
