"""What has to hold before a winner is called an edge."""

from data.tune_json import ConditionRecord, OverfitRecord, PlaceboRecord, PlateauRecord

DEFLATED_ABOVE, OVERFIT_BELOW, PLATEAU_LEAST = 0.95, 0.5, 0.5
LEAST = 10  # trials with a value, and neighbours: fewer say nothing


def conditions_of(
    deflated: float | None,
    overfit: OverfitRecord,
    plateau: PlateauRecord,
    placebo: PlaceboRecord,
) -> list[ConditionRecord]:
    """Judge the panel; what is missing never holds.

    Returns
    -------
    list of ConditionRecord
        All of them together are the verdict.
    """
    share = plateau.share if plateau.points >= LEAST else None
    crossed = overfit.pbo if overfit.trials >= LEAST else None
    beaten = float(placebo.beaten) if not placebo.note else None
    return [
        _condition(
            "deflated Sharpe",
            f"above {DEFLATED_ABOVE}",
            deflated,
            holds=deflated is not None and deflated > DEFLATED_ABOVE,
        ),
        _condition(
            "overfitting",
            f"below {OVERFIT_BELOW}",
            crossed,
            holds=crossed is not None and crossed < OVERFIT_BELOW,
        ),
        _condition(
            "plateau",
            f"at least {PLATEAU_LEAST}",
            share,
            holds=share is not None and share >= PLATEAU_LEAST,
        ),
        _condition(
            "placebo",
            "no shuffled market gave as much",
            beaten,
            holds=beaten is not None and beaten == 0.0,
        ),
    ]


def _condition(name: str, asks: str, value: float | None, *, holds: bool) -> ConditionRecord:
    return ConditionRecord(name, asks, value, holds)
