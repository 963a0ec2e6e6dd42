"""The line above a run says what it was."""

import msgspec

from dashboard.tables import run_facts
from tests.data.run_folders import record


def test_the_days_of_the_exchange_rules_are_named() -> None:
    one = record()
    assert " · exchange rules 2024-01-01 · made " in run_facts(one)
    undated = msgspec.structs.replace(one.data[0].rules, seen=None)
    data = [msgspec.structs.replace(one.data[0], rules=undated), *one.data[1:]]
    assert " · exchange rules 2024-01-01, undated · " in run_facts(
        msgspec.structs.replace(one, data=data)
    )
