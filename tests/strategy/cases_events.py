"""Cases of crosses, and of what is remembered of a condition."""

from strategy import indicators as ours
from tests.strategy import naive_events as naive
from tests.strategy.case import Case

CASES = [
    Case(
        ours.crossed_above,
        (),
        lambda c: (ours.crossed_above(c.close, c.open),),
        lambda b: (naive.crossed_above(b.close, b.open),),
        (1,),
        (0.0,),
        exact=True,
    ),
    Case(
        ours.crossed_below,
        (1000,),
        lambda c: (ours.crossed_below(c.close, 1000),),
        lambda b: (naive.crossed_above([-x for x in b.close], [-1000.0] * len(b.close)),),
        (1,),
        (0.0,),
        exact=True,
    ),
    Case(
        ours.bars_since,
        (),
        lambda c: (ours.bars_since(c.close >= c.open),),
        lambda b: (naive.bars_since([x >= y for x, y in zip(b.close, b.open, strict=True)]),),
        (0,),
        (0.0,),
        exact=True,
    ),
    Case(
        ours.value_when,
        (),
        lambda c: (ours.value_when(c.close >= c.open, c.volume),),
        lambda b: (
            naive.value_when([x >= y for x, y in zip(b.close, b.open, strict=True)], b.volume),
        ),
        (0,),
        (100.0,),
        exact=True,
    ),
]
