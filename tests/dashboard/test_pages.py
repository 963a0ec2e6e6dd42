"""The pages, run by Streamlit's own test runner."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from live.journal_records import Halted
from live.session import Session
from tests.backtest.report_runs import market, report_run
from tests.dashboard.made_session import NOON, asked, running, session, story, written

DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"
Running = tuple[Session, Path]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("sessions"), 330) as found:
        yield found


def page(name: str, monkeypatch: pytest.MonkeyPatch, **folders: Path) -> AppTest:
    """Run a page on these folders; it must not raise."""
    for setting, folder in folders.items():
        monkeypatch.setenv(f"WICK_{setting.upper()}", str(folder))
    ran = AppTest.from_file(DASHBOARD / name, default_timeout=60).run()
    assert not ran.exception
    return ran


def tiles(ran: AppTest) -> dict[str, str]:
    return {tile.label: tile.value for tile in ran.metric}


def click(ran: AppTest, label: str) -> AppTest:
    next(button for button in ran.button if button.label == label).click().run()
    assert not ran.exception
    return ran


def test_the_live_page_shows_balance_position_stop_and_trades(
    live: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = page("pages/live.py", monkeypatch, sessions=live[1].parent)
    assert list(tiles(ran)) == ["Balance", "Equity", "Unrealized", "Today", "Closed trades"]
    assert tiles(ran)["Closed trades"] == "3"
    positions, roles = (table.value for table in ran.table)
    assert list(positions["symbol"]) == ["BTCUSDT"]
    assert positions["stop"][0] < positions["entry"][0] < positions["take"][0]
    assert list(roles["role"])[2] == "trader"
    trades, fills = (frame.value for frame in ran.dataframe)
    assert list(trades["reason"]) == ["signal", "stop", "take"]
    assert len(fills) == 7
    assert fills["time (UTC)"].is_monotonic_decreasing
    assert len(ran.get("plotly_chart")) == 2
    assert not ran.error


def test_the_buttons_reach_the_control_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, 50) as (made, folder):
        ran = page("pages/live.py", monkeypatch, sessions=tmp_path)
        labels = {button.label: button.disabled for button in ran.button}
        assert labels == {"Pause": False, "Resume": True, "Close every position": False}
        click(ran, "Pause")
        assert ran.toast[0].value == "the trader has taken note of pause"
        click(ran, "Close every position")
        found = asked(made, folder)
    assert [one.command for one in found] == ["pause", "flatten"]


def test_the_symbol_and_the_number_of_candles_can_be_chosen(
    live: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = page("pages/live.py", monkeypatch, sessions=live[1].parent)
    assert ran.selectbox[1].value == "BTCUSDT"  # the one with a position
    ran.selectbox[1].select("ETHUSDT").run()
    assert not ran.exception
    chart = json.loads(ran.get("plotly_chart")[0].proto.spec)
    names = [trace.get("name") for trace in chart["data"]]
    assert names == ["candles", "short entry", "exit"]


def test_an_ended_session_is_shown_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, session(), story(330)[0])
    ran = page("pages/live.py", monkeypatch, sessions=tmp_path)
    assert tiles(ran)["Closed trades"] == "3"
    assert all(button.disabled for button in ran.button if button.label != "Close every position")
    words = " ".join(caption.value for caption in ran.caption)
    assert "Nobody runs this session" in words
    assert "this is the journal" in words


def test_a_session_can_be_chosen_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, session("old", created_ms=NOON - 1), story(3)[0])
    written(tmp_path, session("new"), [])
    monkeypatch.setenv("WICK_SESSIONS", str(tmp_path))
    ran = AppTest.from_file(DASHBOARD / "pages" / "live.py", default_timeout=60)
    assert ran.run().selectbox[0].value == "new"
    assert "No decision yet." in [caption.value for caption in ran.caption]
    ran = AppTest.from_file(DASHBOARD / "pages" / "live.py", default_timeout=60)
    ran.query_params["session"] = "old"
    assert ran.run().selectbox[0].value == "old"
    assert not ran.exception


def test_a_halt_shows_its_reason_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "<b>x</b> $1$ *y* [z](http://e)"
    with running(tmp_path, 3) as (made, folder):
        from live.connect import connect

        async def halt() -> None:
            bus = await connect(made, folder)
            await bus.publish("orders", Halted(n=5, reason=why, time=NOON), 5)
            await bus.close()

        asyncio.run(halt())
        ran = page("pages/live.py", monkeypatch, sessions=tmp_path)
    (said,) = (caption.value for caption in ran.caption if "Entries stopped" in caption.value)
    assert said.replace("\\", "").count(why) == 1
    assert "\\<b\\>" in said
    assert {button.label: button.disabled for button in ran.button}["Resume"] is False


def test_no_session_yet_is_said_with_the_command_that_starts_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = page("pages/live.py", monkeypatch, sessions=tmp_path / "none")
    assert ran.info[0].value == "There is no session yet."
    assert ran.code[0].value == "wick live rsi_macd_atr --on paper"


@pytest.mark.parametrize("name", ["session.json", "journal"])
def test_a_damaged_file_is_a_sentence_and_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    written(tmp_path, session(), story(5)[0])
    path = tmp_path / session().id / name
    path.write_bytes(b"x" + path.read_bytes()[1:])
    ran = page("pages/live.py", monkeypatch, sessions=tmp_path)
    assert "damaged" in ran.error[0].value
    assert "hint:" in ran.error[0].value


def test_a_damaged_session_is_named_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, session(), story(5)[0])
    (tmp_path / "zz").mkdir()
    (tmp_path / "zz" / "session.json").write_text("{")
    ran = page("pages/live.py", monkeypatch, sessions=tmp_path)
    assert ran.warning[0].value.startswith("zz: session.json is damaged")
    assert ran.selectbox[0].options == [session().id]
    assert not ran.error


def test_settings_that_are_wrong_are_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wick.toml").write_text("nonsense = 1\n")
    for name in ("pages/live.py", "pages/runs.py"):
        assert "unknown key" in page(name, monkeypatch).error[0].value


@pytest.fixture
def made_runs(tmp_path: Path) -> Path:
    report_run(tmp_path, [market(3_000, 90)], notes=["80 candles are missing"])
    report_run(tmp_path, [market(3_000, 200, seed=5)], name="my_idea", tuned=True)
    return tmp_path


def test_the_runs_page_lists_runs_and_shows_the_newest(
    made_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = page("pages/runs.py", monkeypatch, runs=made_runs)
    listed, trades = (frame.value for frame in ran.dataframe)
    assert list(listed["strategy"]) == ["my_idea", "scripted"]
    assert list(listed["run"]) == ["made-2", "made"]
    assert len(trades) == listed["trades"][0]
    assert trades["exit (UTC)"].is_monotonic_decreasing
    assert ran.subheader[0].value == "my\\_idea · tune"
    assert ran.metric[0].label == "total return"
    assert ran.metric[0].delta.startswith("out of sample")
    assert len(ran.get("plotly_chart")) == 1


def test_runs_are_filtered_by_strategy_and_kind(
    made_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = page("pages/runs.py", monkeypatch, runs=made_runs)
    ran.multiselect[0].select("scripted").run()
    assert list(ran.dataframe[0].value["run"]) == ["made"]
    assert ran.subheader[0].value == "scripted · backtest"
    assert "80 candles" in ran.warning[0].value
    ran.multiselect[1].select("tune").run()
    assert not ran.exception
    assert not ran.dataframe
    assert not ran.subheader
    assert ran.caption[0].value.startswith("0 runs")


def test_a_damaged_run_is_named_beside_the_others(
    made_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made_runs / "made" / "run.json").write_text("{")
    ran = page("pages/runs.py", monkeypatch, runs=made_runs)
    assert list(ran.dataframe[0].value["run"]) == ["made-2"]
    assert ran.warning[0].value.startswith("made cannot be read")


def test_a_run_whose_trades_are_damaged_is_a_sentence(
    made_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made_runs / "made-2" / "trades.parquet").write_bytes(b"PAR1")
    ran = page("pages/runs.py", monkeypatch, runs=made_runs)
    assert "is damaged" in ran.error[0].value.replace("\\", "")


def test_no_run_yet_is_said_with_the_command_that_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = page("pages/runs.py", monkeypatch, runs=tmp_path / "none")
    assert ran.info[0].value == "There is no run yet."
    assert ran.code[0].value == "wick backtest rsi_macd_atr"


def test_the_app_begins_with_the_live_page_and_goes_to_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = page("app.py", monkeypatch, sessions=tmp_path, runs=tmp_path)
    assert ran.info[0].value == "There is no session yet."
    ran.switch_page("pages/runs.py").run()
    assert ran.info[0].value == "There is no run yet."


def test_no_secret_of_the_environment_is_on_a_page(
    live: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WICK_API_KEY", "WICK_API_SECRET"):
        monkeypatch.setenv(name, "hunter2")
    ran = page("pages/live.py", monkeypatch, sessions=live[1].parent)
    assert "hunter2" not in _everything(ran)
    assert os.fspath(live[1]) not in _everything(ran)


def _everything(ran: AppTest) -> str:
    def texts(block: Any) -> Iterator[str]:
        yield str(getattr(block, "proto", ""))
        for child in getattr(block, "children", {}).values():
            yield from texts(child)

    return "".join(texts(ran._tree))
