"""Every planted leak is found by what it does, and clean strategies are left alone."""

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data.synthetic import synthetic_market
from research.check import Checked, check_strategy
from strategy.candles import Candles
from strategy.contract.findings import CHUNKS, EDGE, PRIVATE, UNUSED, Check
from strategy.contract.future import noisy, with_other_future
from strategy.contract.outcome import Outcome, Rows, Span, Subject
from strategy.contract.outside import watching
from strategy.load import available, load
from tests.strategy.clean import CLEAN
from tests.strategy.leaks import LEAKS
from tests.strategy.planted import BEGINNING, FUTURE, ONE_RULE, leaking, whole

MONDAY_MS = 1_672_617_600_000
DAYS = 31  # with the end of a month
WINDOW = 1_000
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def candles() -> Candles:
    """Give a month of minutes and a day."""
    return synthetic_market(3, DAYS * 1440, MONDAY_MS)


def checked(
    path: Path, candles: Candles, window: int = WINDOW, seed: int = 0, **params: float
) -> Checked:
    """Load a file as `wick check` does, and check it."""
    with watching(str(path)) as asked:
        strategy = load(str(path))
    subject = Subject.of(strategy, candles, strategy.with_params(params))
    return check_strategy(subject, candles, asked, seed, window=window)


def planted(folder: Path, body: str) -> Path:
    path = folder / "planted.py"
    path.write_text(whole(body))
    return path


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found_by_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, candles: Candles, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("future.npy", np.append(candles.arrays["close"], 0.0))
    body, kinds = LEAKS[name]
    found = checked(planted(tmp_path, body), candles, seed=sorted(LEAKS).index(name))
    # A column that differs, or the outside that is asked: to stop with an error would be luck.
    told = {one.kind for one in found.findings if one.where != "indicators"}
    assert kinds <= told | ({CHUNKS} if name == "a branch on the candles" else set())


AHEAD = [name for name, (_, kinds) in LEAKS.items() if kinds & {BEGINNING, FUTURE}]


@pytest.mark.parametrize("name", AHEAD)
def test_a_planted_leak_changes_the_past_when_the_future_changes(
    tmp_path: Path, candles: Candles, name: str
) -> None:
    path = planted(tmp_path, LEAKS[name][0])

    def span() -> Span:  # loaded anew for each run, so that no run knows of another
        subject = Subject.of(load(str(path)), candles)
        return Span(subject, candles, Outcome((), ()))

    def past(cut: int) -> Iterator[Rows]:
        yield span().subject.rows(candles.slice(0, cut))
        for extreme in (False, True):
            yield with_other_future(span(), cut, 1, extreme)

    rows = span().subject.rows(candles)
    times, volume = candles.arrays["open_time"], candles.arrays["volume"]
    rare = [times % 36_000_000 == 7_380_000, volume < 0.2]
    cuts = [7 * 1440, 30 * 1440, 20_000, *(int(one.argmax()) + 1 for one in rare), *range(500, 520)]
    assert any(
        not np.array_equal(said, array[:cut], equal_nan=True)
        for cut in cuts
        for other in past(cut)
        for said, array in zip(other, rows, strict=True)
    )


@pytest.mark.parametrize("name", ONE_RULE)
def test_a_leak_in_one_rule_only_is_found_there(
    tmp_path: Path, candles: Candles, name: str
) -> None:
    path = tmp_path / "planted.py"
    path.write_text(leaking(name))
    found = checked(path, candles, window=300, seed=len(name))
    places = {one.where for one in found.findings if one.kind in (BEGINNING, FUTURE)}
    told = f"rule {ONE_RULE[name]}" if ONE_RULE[name] else f"Row.{name}"
    assert {f"Row.{name}", told} <= places
    assert {one for one in places if one.startswith("Row.")} == {f"Row.{name}"}


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_strategy_has_no_finding(tmp_path: Path, candles: Candles, name: str) -> None:
    found = checked(planted(tmp_path, CLEAN[name]), candles)
    assert found.findings == []
    assert found.entries > 100
    assert found.warnings == ()


LOOSE = {  # params with which they enter more often
    "rsi_macd_atr": {"oversold": 44, "overbought": 56},
    "trend_ema": {"fast": 6, "slow": 46, "filter": 30},
}


@pytest.mark.parametrize("name", ["research/template.py", *available()])
def test_the_shipped_files_have_no_finding(candles: Candles, name: str) -> None:
    loose = LOOSE.get(name, {})
    path = ROOT / name if "/" in name else load(name).path
    found = checked(path, candles, window=2_500, **loose)
    assert found.findings == []
    assert found.warnings == ()
    assert found.entries > 10


@pytest.mark.parametrize(("frame", "minutes", "name"), [
    ("5m", 5, "sessions"), ("1h", 60, "months and weeks"), ("1h", 60, "volume fields"),
    ("15m", 15, "bands and stops that trail"),
])  # fmt: skip
def test_a_clean_strategy_of_longer_candles_has_no_finding(
    tmp_path: Path, frame: str, minutes: int, name: str
) -> None:
    body = CLEAN[name].replace('"1h"', '"4h"').replace('"5m"', '"15m"')
    path = tmp_path / "planted.py"
    path.write_text(whole(body).replace('TIMEFRAME = "1m"', f'TIMEFRAME = "{frame}"'))
    found = checked(path, synthetic_market(7, 4_000 * minutes, MONDAY_MS, frame), window=500)
    assert found.findings == []
    assert found.entries > 10


def test_every_check_ran_on_a_clean_strategy(tmp_path: Path, candles: Candles) -> None:
    found = checked(planted(tmp_path, CLEAN["by value"]), candles)
    runs = {check.title: check.runs for check in found.checks}
    assert len(runs) == 13
    assert all(runs.values())
    assert runs["history ends early, every bar"] == WINDOW
    assert runs["future scrambled, every bar"] == WINDOW
    assert runs["extreme future, every bar"] == WINDOW // 4
    assert runs["history ends early, at cuts"] > 200


def test_findings_of_one_place_are_told_once() -> None:
    first, second = Check("beginning", "a", 1, 10), Check("beginning", "a", 2, 20)
    first.join(second)
    assert (first.runs, first.values, first.findings) == (3, 30, [])


def test_what_is_private_is_named_with_its_line(tmp_path: Path, candles: Candles) -> None:
    body = "\n\ndef x_of(c, p):\n    return Column(getattr(c, '_arrays')['close'] + 0, '1m')\n"
    found = checked(planted(tmp_path, body), candles)
    assert [(one.kind, one.said) for one in found.findings] == [
        (PRIVATE, "line 35 reads _arrays, which is private")
    ]


def test_a_run_that_stops_is_a_finding_and_ends_the_checks(
    tmp_path: Path, candles: Candles
) -> None:
    found = checked(planted(tmp_path, "\ndef x_of(c, p):\n    return c.clsoe\n"), candles)
    (finding,) = found.findings
    assert "have no field 'clsoe'" in finding.said
    assert len(found.checks) == 2


MORE = "    length: int = 20\n    unread: float = 3.0\n    idle: float = 2.0\n    edge: int = 5\n"
TUNE = 'TUNE = {"edge": (5, 9), "length": (30, 40), "stop": (0.02, 0.01), "idle": [2.0]}\n'
IDLE = "\ndef x_of(c, p):\n    return c.close * (1.001 if p.idle + p.edge > 0 else 0)\n"


def test_params_that_do_nothing_and_ranges_that_fit_badly_are_warnings(
    tmp_path: Path, candles: Candles
) -> None:
    text = (whole(IDLE) + TUNE).replace("    length: int = 20\n", MORE)
    path = tmp_path / "planted.py"
    path.write_text(text)
    found = checked(path, candles, window=300)
    assert found.findings == []
    assert [(one.kind, one.where) for one in found.warnings] == [
        (UNUSED, "unread"),
        (UNUSED, "idle"),
        (UNUSED, "edge"),
        (EDGE, "length"),
        (EDGE, "idle"),
        (EDGE, "edge"),
        (EDGE, "stop"),
    ]
    said = [one.said for one in found.warnings]
    assert said[0] == "the parameter unread does nothing: no text reads it (tried 3.6, 2.4)"
    assert said[2].startswith("the parameter edge does nothing: it moves nothing on 44,640 candles")
    assert "20 is outside the range 30 to 40 of TUNE" in said[3]
    assert "TUNE['idle'] has one point only, 2" in said[4]
    assert "5 is at the edge of the range 5 to 9" in said[5]
    assert "is upside down" in said[6]


PEEK = """
def x_of(c, p):
    if p.length > 39:
        return of(np.append(c.close._values[1:], c.close._values[-1:]))
    return c.close * (1.0 if p.length > 1 else sqrt(1.0))
"""


def test_a_leak_that_only_the_end_of_a_range_opens_is_found(
    tmp_path: Path, candles: Candles
) -> None:
    path = tmp_path / "planted.py"
    path.write_text(whole(PEEK) + 'TUNE = {"length": (1, 40), "stop": [0.005, 0.01, 0.02]}\n')
    found = checked(path, candles, window=300)
    assert next(one.where for one in found.findings if one.kind == BEGINNING) == "Row.x"
    (told,) = [one.said for one in found.findings if one.where == "Row.x"]
    assert "and length = 40, and " in told
    (stop,) = found.warnings
    assert (stop.kind, stop.where) == (EDGE, "length")
    assert "at length = 1, an end of its range in TUNE, the strategy stops: " in stop.said


def test_given_params_are_held_against_their_ranges(tmp_path: Path, candles: Candles) -> None:
    path = tmp_path / "planted.py"
    path.write_text(whole(CLEAN["averages"]) + 'TUNE = {"length": (5, 40)}\n')
    found = checked(path, candles, window=300, length=40)
    assert [one.said for one in found.warnings] == [
        "the given length = 40 is at the edge of the range 5 to 40 of TUNE"
    ]


TOTAL = """
@numba.njit
def total(x, state):
    out = np.empty(len(x))
    for i in range(len(x)):
        state[0] += x[i]
        out[i] = state[0]
    return out


def x_of(c, p):
    return stateful("total", "1m", total, [c.close], (), 1)[0]
"""


def test_the_warm_up_is_measured_for_every_value(tmp_path: Path, candles: Candles) -> None:
    forgets = checked(planted(tmp_path, CLEAN["by value"]), candles, window=300)
    known = {line.where: (line.first, line.settled) for line in forgets.settling}
    assert known["Row.x"] == (1, 0)
    assert known["Row.mean"][0] == 20
    assert known["Row.mean"][1] in range(19, 60)
    assert known["enter_long"][0] == 20
    never = checked(planted(tmp_path, TOTAL), candles, window=300)
    assert {line.where: line.settled for line in never.settling}["Row.x"] is None
    assert never.findings == []


def test_noise_is_made_of_valid_candles(candles: Candles) -> None:
    for extreme in (False, True):
        drawn = noisy(candles, 5, extreme)
        Candles.from_arrays(
            symbol="X",
            market="um",
            timeframe="1m",
            open_time=candles.arrays["open_time"],
            **drawn,
        )
        assert all((drawn[name] != candles.arrays[name]).mean() > 0.9 for name in drawn)


def test_a_column_without_a_value_is_a_warning(tmp_path: Path, candles: Candles) -> None:
    body = "\ndef x_of(c, p):\n    return c.close\n"
    text = whole(body).replace("    mean: float\n", "    mean: float\n    late: float\n")
    path = tmp_path / "planted.py"
    path.write_text(text.replace("mean=sma(", "late=sma(c.close, 90_000), mean=sma("))
    found = checked(path, candles, window=300)
    assert found.findings == []
    assert [one.said for one in found.warnings] == [
        "Row.late has no value on any of 44,640 candles"
    ]


def test_a_hook_on_a_collection_is_not_the_strategys(tmp_path: Path, candles: Candles) -> None:
    # hypothesis has one that asks the time.
    path = tmp_path / "planted.py"
    litter = "    for _ in range(5000):\n        junk = []\n        junk.append(junk)\n"
    path.write_text(whole(f"\ndef x_of(c, p):\n{litter}    return c.close\n"))

    def hook(phase: str, info: object) -> None:
        time.perf_counter()

    gc.callbacks.append(hook)
    try:
        assert checked(path, candles, window=50).findings == []
    finally:
        gc.callbacks.remove(hook)
