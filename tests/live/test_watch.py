"""How a session stands, between its decisions too."""

from pathlib import Path

import pytest

from live.folders import find
from live.journal import Journal
from live.journal_records import Began, Decided, Filled, Funded
from live.show import print_list
from live.watch import Watch, line
from tests.live.sessions import MINUTE, START, make_session, write_session

S = "BTCUSDT"


def filled(steps: int, price: float, held: int, pnl: int) -> Filled:
    return Filled(
        n=0, symbol=S, trade_id=abs(held) + 1, id="cw0a1b2c-0-1-e1", leg="e", steps=steps,
        price=price, fee=50_000_000, pnl=pnl, time=START + MINUTE, held=held,
        entry=price if held else 0.0, reason="" if held else "stop", stop=price - 100.0 if held
        else 0.0, take=0.0, decided_at=START + MINUTE, reversal=False,
    )  # fmt: skip


def decided(blocked: bool) -> Decided:
    time, day = START + MINUTE, START // 86_400_000
    return Decided(0, time, 10**12, 10_000.0, day, 10_000.0, blocked, (100_010.0,))


def test_money_follows_the_fills_after_a_decision(tmp_path: Path) -> None:
    session = make_session()
    folder = write_session(tmp_path / "one", session)
    watch = Watch(session, folder)
    assert watch.look().equity == session.balance
    journal = Journal(folder)
    journal.append(Began(n=0, time=START, wallet=10**12, last_trade={S: -1}))
    journal.append(decided(blocked=False))
    assert watch.look().equity == 10_000.0
    journal.append(filled(100, 100_000.0, 100, 0))
    standing = watch.look()
    assert standing.wallet == 9_999.5
    assert standing.equity == pytest.approx(9_999.5 + 0.1 * 10.0)
    journal.append(filled(-100, 99_900.0, 0, -1_000_000_000))
    standing = watch.look()
    assert (standing.wallet, standing.equity, standing.trades) == (9_989.0, 9_989.0, 1)
    assert standing.net == -11.0
    journal.close()


def test_money_follows_the_funding_that_a_decision_does_not_know(tmp_path: Path) -> None:
    session = make_session()
    folder = write_session(tmp_path / "one", session)
    watch, journal, first = Watch(session, folder), Journal(folder), START + MINUTE
    journal.append(Began(n=0, time=START, wallet=10**12, last_trade={S: -1}))
    journal.append(filled(100, 100_000.0, 100, 0))
    journal.append(Funded(0, S, 1, 200_000_000, first - 1, first))  # in the decision's wallet
    journal.append(decided(blocked=False))
    assert watch.look().wallet == 10_000.0
    journal.append(Funded(0, S, 2, 300_000_000, first, first))
    journal.close()
    standing = watch.look()
    assert (standing.wallet, standing.net) == (9_997.0, -0.5 - 5.0)
    assert standing.equity == pytest.approx(9_997.0 + 0.1 * 10.0)


def test_the_daily_limit_is_named(tmp_path: Path) -> None:
    session = make_session()
    folder = write_session(tmp_path / "one", session)
    journal = Journal(folder)
    journal.append(Began(n=0, time=START, wallet=10**12, last_trade={S: -1}))
    journal.append(decided(blocked=True))
    journal.close()
    standing = Watch(session, folder).look()
    assert standing.state == "blocked"
    assert "  blocked by the daily loss limit" in line(standing)
    assert line(standing.ended()).endswith("0 trades  ended")


def test_a_damaged_session_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_session(tmp_path / "good", make_session(id="good"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "session.json").write_text("{")
    print_list(tmp_path, False)
    said = capsys.readouterr()
    assert "good" in said.out
    assert "bad/session.json is damaged" in said.err.replace("\n", " ")


def test_the_last_session_is_one_that_traded(tmp_path: Path) -> None:
    write_session(tmp_path / "traded", make_session(id="traded"))
    write_session(tmp_path / "compared", make_session(id="compared", on="parity"))
    assert find(tmp_path, "last").name == "traded"


def test_a_name_is_never_cut_in_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "20250501-120000-paper-" + "a_strategy" * 8
    write_session(tmp_path / name, make_session(id=name))
    print_list(tmp_path, False)
    assert name in capsys.readouterr().out
