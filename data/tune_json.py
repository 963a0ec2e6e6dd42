"""What a tuning leaves in run.json: how it searched, and how likely its winner is luck."""

import msgspec


class IntervalOfRecord(msgspec.Struct, frozen=True):
    """A figure with the interval that holds it in `level` of all resampled histories; missing
    where the sample is too small, and the note says so."""

    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    note: str = ""


class FoldRecord(msgspec.Struct, frozen=True):
    """The winner on one of several equally long parts of the span that it was found on."""

    from_ms: int
    to_ms: int
    sharpe: float | None  # annual
    total_return: float
    trades: int


class PlateauRecord(msgspec.Struct, frozen=True):
    """How the objective holds around the winner.

    Attributes
    ----------
    points : int
        Neighbours that were tried.
    scored, holding : int
        How many of them have the objective at all, and how many keep at least `least` of it.
    least : float
        The value that a neighbour must keep.
    share : float
        holding ÷ points.
    """

    points: int
    scored: int
    holding: int
    least: float
    share: float


class OverfitRecord(msgspec.Struct, frozen=True):
    """Probability of backtest overfitting, by combinatorially symmetric cross-validation.

    Attributes
    ----------
    pbo : float or None
        Share of splits in which the best trial in sample was in the lower half out of sample.
    blocks, splits, trials : int
        Parts of the history, ways to halve them, and trials that differ and have returns.
    loss : float or None
        Share of splits in which that trial lost out of sample.
    logits : list of float
        Of the relative rank out of sample: quantiles from 0 to 1 in steps of 0.01.
    note : str
        Why there is none.
    """

    pbo: float | None
    blocks: int
    splits: int
    trials: int
    loss: float | None
    logits: list[float]
    note: str = ""


class PlaceboRecord(msgspec.Struct, frozen=True):
    """The same search over shuffled blocks of candles: `best` are its best scores, NaN-free."""

    block: int  # candles
    best: list[float]
    score: float
    beaten: int  # searches that found as much as the real one
    note: str = ""


class MonteCarloRecord(msgspec.Struct, frozen=True):
    """Trades in other orders (shuffled) and drawn anew in blocks (bootstrap).

    Attributes
    ----------
    levels : list of float
        The quantiles that are given.
    shuffled, drawn : list of float
        Max drawdown, below zero, at these levels, by either way.
    ending : list of float
        Total return, drawn in blocks.
    """

    draws: int
    block: int
    levels: list[float]
    shuffled: list[float]
    drawn: list[float]
    ending: list[float]
    note: str = ""


class EntriesRecord(msgspec.Struct, frozen=True):
    """The winner against entries at random candles, as many a side, with the same exits."""

    draws: int
    total_return: float
    levels: list[float]
    random: list[float]  # total return at these levels
    p: float | None  # share of random ones, the winner counted, that did at least as well
    note: str = ""


class CostsRecord(msgspec.Struct, frozen=True):
    """The winner with fees and slippage doubled; missing where its balance was used up."""

    score: float | None
    sharpe: float | None
    total_return: float | None
    note: str = ""


class ConditionRecord(msgspec.Struct, frozen=True):
    """One condition of the verdict: what it asks for, what was found, and whether it holds."""

    name: str
    asks: str
    value: float | None
    holds: bool


class PanelRecord(msgspec.Struct, frozen=True):
    """How likely the winner of a search is luck; formulas stand in docs/overfitting.md.

    Attributes
    ----------
    trials : int
        Of the whole study, those of earlier processes among them.
    days : int
        Daily returns of the winner.
    sharpe_day, luck_day : float or None
        The winner's Sharpe ratio a day, and what the best of so many trials without any skill is
        expected to have.
    psr, dsr : float or None
        Probability that the true Sharpe ratio is above 0, and above `luck_day`.
    track_days : float or None
        Least number of days that shows a Sharpe ratio above 0 with 95 %.
    intervals : dict
        By the key of the figure.
    edge : bool
        All conditions hold.
    """

    trials: int
    days: int
    sharpe_day: float | None
    luck_day: float | None
    psr: float | None
    dsr: float | None
    track_days: float | None
    overfit: OverfitRecord
    plateau: PlateauRecord
    folds: list[FoldRecord]
    costs: CostsRecord
    placebo: PlaceboRecord
    montecarlo: MonteCarloRecord
    entries: EntriesRecord
    intervals: dict[str, IntervalOfRecord]
    conditions: list[ConditionRecord]
    edge: bool


class SpaceRecord(msgspec.Struct, frozen=True):
    """Where a param was searched: a range, with a step or 0 for any number, or choices."""

    name: str
    low: float
    high: float
    step: float
    log: bool
    choices: list[float]
    whole: bool


class SearchRecord(msgspec.Struct, frozen=True):
    """How a study searched, and what became of its trials.

    Attributes
    ----------
    study, storage : str
        Its name, and the kind of storage it lies in (a URL's scheme, or the file's name).
    objectives : list of str
        The winner is the best by the first one; with several, one of the Pareto front.
    constraints : list of str
    spaces : list of SpaceRecord
    winner : int
        Number of the trial.
    front : list of int
        Trials of the Pareto front; the winner alone with one objective.
    complete, pruned, infeasible, failed : int
        Trials by what became of them; together all of them.
    importance : dict
        Share of each param in the variance of the first objective; empty where it is unknown.
    folds : int
        Parts of the span whose mean is a trial's value; 1 for the whole span.
    """

    study: str
    storage: str
    objectives: list[str]
    constraints: list[str]
    spaces: list[SpaceRecord]
    winner: int
    front: list[int]
    complete: int
    pruned: int
    infeasible: int
    failed: int
    importance: dict[str, float]
    folds: int = 1


class HoldoutRecord(msgspec.Struct, frozen=True):
    """A span that the search never saw, and when it was opened: by which run, 0 while it is
    closed."""

    from_ms: int
    to_ms: int
    opened_ms: int = 0
    opened_by: str = ""
    times: int = 0  # how often this span has been opened for this strategy, this one counted


class WindowRecord(msgspec.Struct, frozen=True):
    """One window of a walk-forward or one test part of a cross-validation."""

    train: list[tuple[int, int]]  # UTC ms, first and end
    test: tuple[int, int]
    params: dict[str, int | float]
    score: float | None  # in sample
    sharpe: float | None  # out of sample, annual
    total_return: float
    max_drawdown: float
    trades: int
    note: str = ""


class WalkRecord(msgspec.Struct, frozen=True):
    """How a walk-forward was made.

    Attributes
    ----------
    scheme : str
        anchored, rolling, kfold or cpcv.
    windows : list of WindowRecord
        In the order of their test spans.
    trials : int
        A window.
    purge_ms, embargo_ms : int
        Left out of training before and behind each test span.
    efficiency : float or None
        Annual return out of sample ÷ in sample, over all windows.
    paths : list of float or None
        Annual Sharpe ratio of each path of cpcv.
    """

    scheme: str
    objective: str
    trials: int
    windows: list[WindowRecord]
    purge_ms: int = 0
    embargo_ms: int = 0
    efficiency: float | None = None
    paths: list[float | None] = []
