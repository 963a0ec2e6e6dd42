"""What a sweep knows before the first combination: axes, rules taken apart, candles in blocks."""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.inputs import Inputs
from backtest.kernels.exits import blocks_of
from backtest.kernels.swept import PAY, Ground
from backtest.sweeps.conditions import parse
from backtest.sweeps.recorded import note, recorded
from data.margin import tiers_of
from strategy.dated import SymbolTiers, dated_rules
from strategy.errors import WickError, did_you_mean
from strategy.fills import DETAIL, Costs, checked_costs
from strategy.metrics import day_ends
from strategy.options import OPTIONS, check_together, in_use
from strategy.risk import Risk, checked
from strategy.rules import DISTANCES, reads_of
from strategy.tape import Key, MemoTape

# Settings that decide how a trade ends, and not only whether and how large it begins.
EXIT_SETTINGS = (
    "risk.trail",
    "risk.trail_after",
    "risk.break_even",
    "risk.time_stop",
    "costs.slippage",
    "costs.spread",
    "costs.atr",
    "costs.intrabar",
)
_NEVER = 2**62
_SKETCHED, _SKETCHES_BYTES = 512, 16 << 20


class SweepPlan:
    """A strategy over its candles, ready for any number of combinations.

    Attributes
    ----------
    inputs : Inputs
        What does not lie on an axis is taken from here.
    axes : tuple of str
        Fields of Params, risk.NAME or costs.NAME.
    """

    def __init__(self, inputs: Inputs, axes: Sequence[str]) -> None:
        self.inputs, self.axes = inputs, tuple(axes)
        strategy = inputs.strategy
        self.parsed = parse(strategy.rules.texts)
        texts = strategy.rules.texts
        self.distances = reads_of(*(texts[name] for name in DISTANCES if name in texts))
        self.memo = MemoTape()
        self.reads: set[str] = set()  # params that indicators() has read so far
        self._recorded = recorded(type(inputs.params))
        self.ground = _ground(inputs) if len(inputs.candles) == 1 else None
        self.candles = inputs.candles[0]
        # Indicators read what lies before the first decision, too.
        self._read = next(iter(inputs.history), self.candles)
        self._sketch = self._read.slice(0, _SKETCHED)
        # Under the keys of all candles: what is asked for here will be asked for there.
        self._sketch.__dict__["fingerprint"] = self._read.fingerprint
        self._sketches = MemoTape(_SKETCHES_BYTES)

    @classmethod
    def of(cls, inputs: Inputs, axes: Sequence[str]) -> "SweepPlan":
        """Plan a sweep.

        Parameters
        ----------
        inputs : Inputs
        axes : sequence of str
            Fields of Params, risk.NAME or costs.NAME, each once.

        Raises
        ------
        WickError
            An axis is not known, or given twice.
        """
        known = [*inputs.params._fields]
        known += [f"risk.{name}" for name in Risk._fields]
        known += [f"costs.{name}" for name in Costs._fields]
        for axis in axes:
            if axis not in known:
                raise WickError(
                    f"{inputs.strategy.name} has nothing called {axis!r} to sweep over",
                    did_you_mean(axis, known),
                )
            if list(axes).count(axis) > 1:
                raise WickError(f"{axis} is given twice", "give all its values at once")
        return cls(inputs, axes)

    @property
    def days(self) -> int:
        """How many UTC days the candles touch."""
        each = [its for one in self.inputs.candles if len(its := one.arrays["open_time"])]
        ends = np.array([min(its[0] for its in each), max(its[-1] for its in each)])
        return len(day_ends(ends, self.candles.timeframe_ms))

    def axes_of(self, names: Sequence[str] | set[str]) -> list[int]:
        """Return the positions of those of these names that are axes."""
        return [at for at, axis in enumerate(self.axes) if axis in names]

    def params(self, row: NDArray[np.float64]) -> Any:
        """Return the Params of a combination.

        Raises
        ------
        WickError
            A value is no whole number where it has to be one.
        """
        own = zip(self.axes, row.tolist(), strict=True)
        changes = {axis: value for axis, value in own if "." not in axis}
        return self.inputs.strategy.with_params({**self.inputs.params._asdict(), **changes})

    def numbers(self, row: NDArray[np.float64]) -> dict[str, float]:
        """Return the values of a combination's Params by name, as the rules compute with them."""
        own = zip(self.axes, row.tolist(), strict=True)
        return self.inputs.params._asdict() | dict(own)

    def settings(self, row: NDArray[np.float64]) -> tuple[Risk, Costs]:
        """Return risk and costs of a combination, checked.

        Raises
        ------
        WickError
            A value is out of range, or two do not go together.
        """
        risk, costs = self.inputs.risk._asdict(), self.inputs.costs._asdict()
        for axis, value in zip(self.axes, row.tolist(), strict=True):
            owner, _, name = axis.partition(".")
            if name:
                (risk if owner == "risk" else costs)[name] = value
        has_trail = self.inputs.strategy.has_trail
        has_limit = self.inputs.strategy.has_limit
        both = Risk(**risk), checked_costs(Costs(**costs))
        if both[1].limit_through and not has_limit:
            raise WickError(
                "costs.limit_through is 1, but no entry rests: there is no rule limit_distance",
                "take the axis costs.limit_through out",
            )
        check_together(*both, has_limit=has_limit)
        return checked(both[0], has_trail=has_trail, has_limit=has_limit), both[1]

    def keys(self, params: Any) -> tuple[tuple[Key | None, ...], list[int]]:
        """Return how the columns that the rules read come about, and what a memo tape is asked for
        meanwhile; note what `indicators` reads of the params.

        It looks at no candle but through indicators, so that the first few show it as all would.

        Raises
        ------
        WickError
            `indicators` refuses these params, or fails.
        """
        asked: list[int] = []
        watched = note(params, self._recorded)
        self._sketches.asked = asked
        try:
            with self._sketches:
                found = self.inputs.strategy.keyed_columns(self._sketch, watched)
        finally:  # what it refuses rests on what it has read, too
            self.reads |= watched._seen
        return tuple(key for key, _ in found), asked

    def columns(self, params: Any) -> tuple[NDArray[np.float64], ...]:
        """Compute the columns that the rules read, on the plan's memo tape; read-only.

        Raises
        ------
        WickError
            `indicators` refuses these params, or fails.
        """
        with self.memo:
            found = self.inputs.strategy.keyed_columns(self._read, params)
        warm = len(self._read.arrays["open_time"]) - len(self.candles.arrays["open_time"])
        views = tuple(values[warm:] for _, values in found)
        for view in views:  # a kernel for arrays that may be written is another one
            view.flags.writeable = False
        return views

    def check(self, row: NDArray[np.float64]) -> None:
        """Refuse a sweep of which `indicators` refuses every combination.

        Parameters
        ----------
        row : float64 (axes,)
            Any combination.

        Raises
        ------
        WickError
            This one is refused before `indicators` has read a param that lies on an axis.
        """
        try:
            self.keys(self.params(row))
        except WickError:
            if not self.axes_of(self.reads):
                raise

    def why_walked(self, risk: Risk, costs: Costs) -> list[str]:
        """Say why combinations with these settings walk through the candles; empty if they do
        not."""
        options = in_use(risk, costs, has_limit=self.inputs.strategy.has_limit)
        why = [f"{one.name} is set: candles are walked" for one in options if not one.tabulated]
        if costs.intrabar == DETAIL:
            why.append("finer candles decide which level is met first: candles are walked")
        if self.ground is None:
            count = len(self.inputs.candles)
            why.append(f"{count} symbols share one balance: candles are walked")
        elif any(len(its) > 1 for its in self.inputs.terms):
            why.append("exchange rules change inside the run: candles are walked")
        elif len(self.ground.prices) < 2:
            why.append("there is one candle: it is walked")
        return why

    def grids(self, risks: Sequence[Risk | None]) -> Any:
        """Return the symbol's grid for each of these settings: the leverage bounds a position."""
        tiers = _tiers(self.inputs)
        each = [
            dated_rules(self.inputs.grids, [tiers], [[]], risk.leverage if risk else 1.0)[0]
            for risk in risks
        ]
        return np.concatenate(each).view(np.recarray)

    def says(self) -> list[str]:
        """Say what combinations share, and why some walk through the candles."""
        if not self.reads:
            with suppress(WickError):  # other params may do
                self.keys(self.inputs.params)
        named = ", ".join(axis for axis in self.axes if axis in self.reads)
        its = f"once for each distinct {named}" if named else "once"
        out = [f"indicators are computed {its}"]
        why = self.why_walked(self.inputs.risk, self.inputs.costs)
        for one in OPTIONS:
            sentence = f"{one.name} is set: candles are walked"
            if one.name in self.axes and not one.tabulated and sentence not in why:
                why.append(f"{one.name} is an axis: where it is set, candles are walked")
        if any("axis" not in sentence for sentence in why):
            return out + why
        out.append(
            f"{len(self.parsed.comparisons)} comparisons of the rules are kept as bits, each once"
            " for its operands"
        )
        named = ", ".join(axis for axis in self.axes if axis in self._exit_names())
        its = f"once for each distinct {named}" if named else "once"
        out.append(f"exits are tabulated {its}")
        if _tiers(self.inputs) is not None:
            out.append("a combination that comes near a liquidation is walked through the candles")
        return out + why

    def _exit_names(self) -> set[str]:
        return {*self.distances.params, *self.reads, *EXIT_SETTINGS}


def _ground(inputs: Inputs) -> Ground:
    (candles,), (funding,) = inputs.candles, inputs.funding
    arrays, length = candles.arrays, candles.timeframe_ms
    times = arrays["open_time"]
    prices = np.stack([arrays[name] for name in ("open", "high", "low", "close")], axis=1)
    blocks, marks = blocks_of(prices), _marks(inputs, times, prices)
    ends = np.searchsorted(times, day_ends(times, length) - length, side="right") - 1
    # A candle books what comes before its close; its mark is the close before it.
    its = funding.within(int(times[0]), int(times[-1]) + length)
    at = np.searchsorted(times + length, its.time, side="right")
    known = ~np.isnan(its.price)
    pays: Any = np.zeros(len(at) + 1, PAY).view(np.recarray)
    pays.candle = np.append(at, _NEVER)
    pays.before[:-1] = its.time <= times[at]
    pays.rate[:-1] = its.rate
    pays.price[:-1] = np.where(known, its.price, prices[np.maximum(at - 1, 0), 3])
    view = times.view()  # a kernel for arrays that may be written is another one
    view.flags.writeable = False
    return Ground(
        prices=prices,
        times=view,
        blocks=blocks,
        ends=np.append(ends, _NEVER),
        pays=pays,
        tiers=dated_rules(inputs.grids, [_tiers(inputs)], [[]], 1.0)[1],
        marks=marks,
        mark_blocks=blocks if marks is prices else blocks_of(marks),
        balance=inputs.balance,
        timeframe_ms=length,
    )


def _tiers(inputs: Inputs) -> SymbolTiers | None:
    return tiers_of(inputs.terms[0][0].margin) if inputs.terms else None


def _marks(
    inputs: Inputs, times: NDArray[np.int64], prices: NDArray[np.float64]
) -> NDArray[np.float64]:
    one = next(iter(inputs.marks), None)
    if one is None:
        return prices
    at = one.rows_of(times)
    # Where there is no mark price, the contract's own stand in.
    out, known = prices.copy(), at >= 0
    out[known] = np.stack(one[1:], axis=1)[at[known]]
    return out


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
