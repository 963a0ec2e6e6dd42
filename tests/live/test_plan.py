"""What to do next: one scene after the other, told by journal records."""

from typing import Any

from live.journal_records import Answered, Asked, Decided, Filled, Intent, Order, Record
from live.ledger import Ledger
from live.order_ids import OrderId
from live.plan import Cancel, Clean, Close, Drop, Enter, Protect, Resolve, next_action
from tests.live.sessions import MINUTE, START, make_session

S = "BTCUSDT"
T = START + MINUTE


class Scene:
    """A ledger and short ways to tell it things."""

    def __init__(self) -> None:
        self.ledger = Ledger(make_session())
        self.attempts: dict[tuple[str, int], int] = {}
        self.trades = 0

    def tell(self, record: Record) -> None:
        self.ledger.apply(record)

    def decide(self, *, side: int = 0, close: int = 0, take: float = 60.0, time: int = T) -> None:
        order = Order(S, close, side, 10 if side else 0, 30.0, take, False, 100.0)
        self.tell(Decided(0, time, 10**12, 1e4, 0, 1e4, False, (100.0,), (order,)))

    def send(self, leg: str, *, at: int = T, steps: int = 10, time: int = T) -> str:
        attempt = self.attempts[leg, at] = self.attempts.get((leg, at), 0) + 1
        one = str(OrderId("0a1b2c", 0, at, leg, attempt))
        self.tell(Intent(0, one, S, leg, "BUY", steps, 0.0, at, time))  # type: ignore[arg-type]
        return one

    def answer(self, one: str, state: Any, code: int = 0, *, again: bool = False) -> None:
        self.tell(Answered(0, one, S, state, 1, code, "said so", T, again))

    def fill(self, one: str, leg: str, steps: int, held: int, *, at: int = T) -> None:
        self.trades += 1
        stop, take = (99_970.0, 100_060.0) if held else (0.0, 0.0)
        self.tell(
            Filled(
                0, S, self.trades, one, leg, steps, 100_000.0, 1, 0, at, held,
                100_000.0 if held else 0.0, "" if leg == "e" else "stop", stop, take, at, False,
            )
        )  # fmt: skip

    def enter(self, *, protect: bool = True) -> None:
        self.decide(side=1)
        one = self.send("e")
        self.answer(one, "accepted")
        self.fill(one, "e", 10, 10)
        if protect:
            self.answer(self.send("s", steps=0), "accepted")
            self.answer(self.send("t", steps=10), "accepted")

    def next(self, now: int = T) -> Any:
        return next_action(self.ledger, S, now)


def test_without_a_decision_there_is_nothing_to_do() -> None:
    assert Scene().next() is None


def test_a_decided_entry_is_sent_once_and_then_waited_for() -> None:
    scene = Scene()
    scene.decide(side=1)
    assert scene.next() == Enter()
    one = scene.send("e")
    assert isinstance(scene.next(), Resolve), "a crash right here must ask before anything else"
    scene.answer(one, "accepted")
    assert scene.next() is None


def test_an_entry_that_was_taken_keeps_its_cover_until_its_fill_is_told() -> None:
    scene = Scene()
    scene.decide(side=1)
    one = scene.send("e")
    scene.answer(one, "accepted")
    scene.answer(scene.send("p"), "accepted")
    assert scene.next() is None
    scene.answer(one, "gone")
    assert scene.next() == Clean()


def test_a_stop_that_the_exchange_says_is_there_is_asked_for_again_and_nothing_is_closed() -> None:
    scene = Scene()
    scene.enter(protect=False)
    scene.answer(scene.send("s", steps=0), "absent", again=True)
    scene.answer(scene.send("s", steps=0), "rejected", -4130, again=True)
    assert scene.next(T + 60_000) == Protect("s", 99_970.0, 0, T)


def test_naked_time_begins_when_the_stop_was_lost() -> None:
    scene = Scene()
    scene.enter()
    one = next(i for i in scene.ledger.books[S].sent if "-s" in i)
    lost = T + 600_000
    scene.tell(Answered(0, one, S, "gone", 1, 0, "canceled", lost))
    assert scene.next(lost) == Protect("s", 99_970.0, 0, T)
    assert scene.next(lost + 5_001) == Close("q", 10, T)


def test_a_stop_that_went_off_and_left_something_is_not_placed_again() -> None:
    scene = Scene()
    scene.enter()
    one = next(i for i in scene.ledger.books[S].sent if "-s" in i)
    scene.fill(one, "s", -4, 6)
    scene.answer(one, "gone")
    take = next(i for i in scene.ledger.books[S].sent if "-t" in i)
    assert take
    assert scene.next(T + 1_000) == Close("q", 6, T)


def test_the_stop_comes_before_the_take_and_both_before_anything_else() -> None:
    scene = Scene()
    scene.enter(protect=False)
    scene.decide(close=3, time=T + MINUTE)
    assert scene.next() == Protect("s", 99_970.0, 0, T)
    scene.answer(scene.send("s", steps=0), "accepted")
    assert scene.next() == Protect("t", 100_060.0, 10, T)
    scene.answer(scene.send("t"), "accepted")
    assert scene.next() == Close("x", 10, T + MINUTE)


def test_a_strategy_without_a_take_places_none() -> None:
    scene = Scene()
    scene.enter(protect=False)
    scene.ledger.position(S).take_level = 0.0
    scene.answer(scene.send("s", steps=0), "accepted")
    assert scene.next() is None


def test_a_price_beyond_the_stop_closes_at_once() -> None:
    scene = Scene()
    scene.enter(protect=False)
    scene.answer(scene.send("s", steps=0), "rejected", -2021)
    assert scene.next() == Close("q", 10, T)
    scene.answer(scene.send("q"), "accepted")
    assert scene.next() is None


def test_a_stop_that_will_not_be_taken_is_tried_for_five_seconds() -> None:
    scene = Scene()
    scene.enter(protect=False)
    scene.answer(scene.send("s", steps=0), "rejected", -1008, again=True)
    assert scene.next(T + 4_000) == Protect("s", 99_970.0, 0, T)
    assert scene.next(T + 6_000) == Close("q", 10, T)


def test_a_stop_that_vanished_is_placed_again() -> None:
    scene = Scene()
    scene.enter()
    stop = scene.ledger.books[S].legs("s")[0].intent.id
    scene.answer(stop, "gone")
    assert scene.next() == Protect("s", 99_970.0, 0, T)


def test_a_refused_take_leaves_the_stop_in_charge() -> None:
    scene = Scene()
    scene.enter(protect=False)
    scene.answer(scene.send("s", steps=0), "accepted")
    scene.answer(scene.send("t"), "rejected", -4045)
    assert scene.next() is None


def test_flat_means_clean_before_the_next_entry() -> None:
    scene = Scene()
    scene.enter()
    scene.decide(side=-1, close=4, time=T + MINUTE)
    exit_id = scene.send("x", at=T + MINUTE)
    scene.answer(exit_id, "accepted")
    scene.fill(exit_id, "x", -10, 0, at=T + MINUTE)
    assert scene.next() == Clean()
    for sent in scene.ledger.books[S].legs("stp"):
        scene.answer(sent.intent.id, "gone")
    assert scene.next() == Enter()


def test_only_a_proven_rejection_is_sent_again() -> None:
    scene = Scene()
    scene.decide(side=1)
    scene.answer(scene.send("e"), "rejected", -1008, again=True)
    assert scene.next() == Enter()
    scene.answer(scene.send("e"), "rejected", -2019)
    assert scene.next() == Drop("said so")


def test_an_entry_that_never_existed_is_sent_again() -> None:
    scene = Scene()
    scene.decide(side=1)
    scene.answer(scene.send("e"), "unknown")
    assert isinstance(scene.next(), Resolve)
    one = scene.ledger.books[S].legs("e")[0].intent.id
    scene.answer(one, "absent", again=True)
    assert scene.next() == Enter()


def test_a_partly_filled_entry_that_expired_is_a_whole_one() -> None:
    scene = Scene()
    scene.decide(side=1)
    one = scene.send("e")
    scene.answer(one, "accepted")
    scene.fill(one, "e", 4, 4)
    assert scene.next() == Protect("s", 99_970.0, 0, T)
    scene.answer(scene.send("s", steps=0), "accepted")
    assert scene.next() is None, "the take waits until the entry has filled"
    scene.answer(one, "gone")
    assert scene.ledger.order(S).side == 0
    assert scene.next() == Protect("t", 100_060.0, 4, T)


def test_the_stop_of_an_unknown_entry_is_taken_away_once_the_base_stop_stands() -> None:
    scene = Scene()
    scene.enter()
    spare = scene.send("p", steps=10)
    scene.answer(spare, "accepted")
    assert scene.next() == Cancel(scene.ledger.books[S].sent[spare])


def test_flatten_closes_what_is_held() -> None:
    scene = Scene()
    scene.enter()
    scene.tell(Asked(0, "flatten", "someone", T + 5))
    assert scene.next() == Close("x", 10, T + 5)
    assert scene.ledger.paused


def test_a_take_of_the_wrong_size_is_replaced() -> None:
    scene = Scene()
    scene.enter(protect=False)
    scene.answer(scene.send("s", steps=0), "accepted")
    wrong = scene.send("t", steps=4)
    scene.answer(wrong, "accepted")
    assert scene.next() == Cancel(scene.ledger.books[S].sent[wrong])
    scene.answer(wrong, "gone")
    assert scene.next() == Protect("t", 100_060.0, 10, T)
