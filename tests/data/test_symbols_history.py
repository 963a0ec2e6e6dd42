"""Answers of the exchange are put together the same way in whatever order they come."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rest.listings import Listing, Lot
from data.rules.history import Timeline, spans, with_answer
from data.rules.store import MarketRules, change_rules, stored_rules
from data.symbols import RuleBook
from strategy.errors import RunRefused, WickError

DAY_MS = 86_400_000
# None of these comes with the package.
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
DAYS = st.integers(1, 9)
TICKS = st.sampled_from(["0.1", "0.01", "0.5"])
ANSWERS = st.lists(
    st.tuples(DAYS, st.dictionaries(st.sampled_from(SYMBOLS), TICKS), st.booleans()),
    max_size=12,
    unique_by=lambda answer: answer[0],
)


def listing(tick: str) -> Listing:
    return Listing(tick, "5", Lot("0.001", "0.001", "100"), "TRADING")


def told(answers: list[tuple[int, dict[str, str], bool]]) -> Timeline[Listing]:
    timeline: Timeline[Listing] = Timeline()
    for day, ticks, whole in answers:
        said = {name: listing(tick) for name, tick in ticks.items()}
        timeline = with_answer(timeline, day * DAY_MS, said, whole=whole)
    return timeline


def stored(folder: Path, timeline: Timeline[Listing]) -> RuleBook:
    change_rules(folder, "um", lambda _: MarketRules(timeline))
    return RuleBook(folder, "um")


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_change_a_byte(
    answers: list[tuple[int, dict[str, str], bool]], random: object
) -> None:
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis names no class for it
    encoded = msgspec.json.encode(told(answers))
    assert msgspec.json.encode(told(shuffled)) == encoded
    assert msgspec.json.encode(told(answers + shuffled)) == encoded
    read_back = msgspec.json.decode(encoded, type=Timeline[Listing])
    assert msgspec.json.encode(read_back) == encoded


@given(st.permutations([("0.1", True), ("0.5", False), (None, True), ("0.01", True)]))
def test_answers_of_one_instant_that_differ_give_the_same_in_any_order(
    answers: list[tuple[str | None, bool]],
) -> None:
    timeline = told(
        [(1, {} if tick is None else {"AAAUSDT": tick}, whole) for tick, whole in answers]
    )
    (span,) = spans([timeline], "AAAUSDT")
    assert (span.times, span.what) == ((DAY_MS,), listing("0.5"))


@given(ANSWERS)
def test_each_answer_can_be_read_back_from_the_changes(
    answers: list[tuple[int, dict[str, str], bool]],
) -> None:
    timeline = told(answers)
    for name in SYMBOLS:
        # What each answer said by itself, in order, from the first one that names the symbol on.
        said = [
            (day * DAY_MS, ticks.get(name))
            for day, ticks, whole in sorted(answers)
            if whole or name in ticks
        ]
        while said and said[0][1] is None:
            said.pop(0)
        found = [
            (at_ms, None if span.what is None else span.what.tick_size)
            for span in spans([timeline], name)
            for at_ms in span.times
        ]
        assert found == said


@given(ANSWERS, DAYS, st.integers(0, DAY_MS - 1))
def test_the_rules_of_a_day_are_the_newest_not_later_else_the_earliest(
    tmp_path_factory: pytest.TempPathFactory,
    answers: list[tuple[int, dict[str, str], bool]],
    day: int,
    into_day_ms: int,
) -> None:
    book = stored(tmp_path_factory.mktemp("store"), told(answers))
    for name in SYMBOLS:
        naming = sorted((its, ticks[name]) for its, ticks, _ in answers if name in ticks)
        rules = book.rules(name, day * DAY_MS + into_day_ms)
        if not naming:
            assert rules is None
            continue
        wanted = max((one for one in naming if one[0] <= day), default=naming[0])
        assert rules is not None
        assert (rules.seen, rules.tick_size) == (f"1970-01-{wanted[0] + 1:02}", wanted[1])
        newest = book.rules(name)
        assert newest is not None
        assert (newest.seen, newest.tick_size) == (
            f"1970-01-{naming[-1][0] + 1:02}",
            naming[-1][1],
        )


def test_an_answer_that_says_nothing_new_adds_its_instant_and_no_rules() -> None:
    ticks = {f"S{i}USDT": "0.1" for i in range(100)}
    once = told([(1, ticks, True)])
    year = told([(day, ticks, True) for day in range(1, 366)])
    grown = len(msgspec.json.encode(year)) - len(msgspec.json.encode(once))
    assert grown < 365 * 14
    assert year.lines == once.lines
    assert all(a < b for a, b in pairwise(year.whole))


def test_a_change_that_dies_before_its_rename_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path, told([(1, {"AAAUSDT": "0.1"}, True)]))
    path = tmp_path / "rules" / "um.json"
    before = path.read_bytes()

    def die(*names: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(RunRefused, match=r"cannot be written to .*rules: No space left"):
            stored(tmp_path, told([(2, {"BBBUSDT": "0.1"}, True)]))
    assert path.read_bytes() == before
    # What the dead one left in its way does not hinder the next.
    (tmp_path / "rules" / "um.new").write_text("half of")
    assert stored(tmp_path, told([(2, {"BBBUSDT": "0.5"}, True)])).rules("BBBUSDT") is not None


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    stored(tmp_path, told([(1, {"AAAUSDT": "0.1"}, True)]))
    path = tmp_path / "rules" / "um.json"
    path.write_bytes(path.read_bytes()[:-5])
    broken = path.read_bytes()
    with pytest.raises(WickError, match=r"um\.json is damaged: ") as refused:
        stored_rules(tmp_path, "um")
    assert "--update" in refused.value.hint
    with pytest.raises(WickError, match="damaged"):
        stored(tmp_path, told([(2, {"AAAUSDT": "0.1"}, True)]))
    assert path.read_bytes() == broken
