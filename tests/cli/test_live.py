"""wick live refuses before anything is started, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from live.ownership import sole_trader
from live.session import Addresses
from tests.cli.conftest import Said
from tests.live.sessions import make_session

LIVE = ("live", "rsi_macd_atr", "--on", "paper")


@pytest.fixture
def testnet(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """Give the arguments of a session on a testnet that is not there."""
    monkeypatch.setenv("WICK_API_KEY", "key")
    monkeypatch.setenv("WICK_API_SECRET", "c0ffee")
    monkeypatch.setenv("WICK_TESTNET_REST_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    return ("live", "rsi_macd_atr", "--on", "testnet")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("live", "rsi_macd_atr", "--on", "live"), "--on live is not open yet"),
        (("live", "rsi_macd_atr", "--on", "moon"), "--on moon is unknown"),
        (("live", "rsi", "--on", "paper"), "there is no strategy 'rsi'"),
        ((*LIVE, "--symbols", "SYNTHUSD"), "did you mean SYNTHUSDT"),
        ((*LIVE, "--symbols", "SYNTHUSDT,"), "--symbols 'SYNTHUSDT,' has an empty name"),
        ((*LIVE, "--speed", "-1"), "--speed is '-1'"),
        ((*LIVE, "--from", "yesterday"), "--from yesterday is not a date"),
        ((*LIVE, "--from", "2023-01-01"), "SYNTHUSDT has 0 1m candles before 2023-01-01 00:00"),
        ((*LIVE, "--from", "2024-01-01"), "where the candles end"),
        ((*LIVE, "--set", "rsii=3"), "did you mean rsi?"),
        ((*LIVE, "--name", "a b"), "--name 'a b' cannot name a session"),
        ((*LIVE, "--redis", "redis://127.0.0.1:1"), "redis://127.0.0.1:1 is not reachable"),
        ((*LIVE, "--redis", "localhost"), "cannot be read, expected redis://HOST:PORT"),
    ],
)
def test_what_does_not_fit_starts_nothing(
    stored: Path, refused: Callable[..., Said], arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused(*arguments).err


def test_an_empty_store_is_a_sentence(folder: Path, refused: Callable[..., Said]) -> None:
    said = refused(*LIVE, "--symbols", "BTCUSDT")
    assert "the store var/store holds no candles yet, BTCUSDT um 1m was asked for" in said.err


def test_testnet_needs_a_key_from_the_environment(
    folder: Path, refused: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WICK_API_KEY", "WICK_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    said = refused("live", "rsi_macd_atr", "--on", "testnet", "--symbols", "BTCUSDT")
    assert "--on testnet needs an API key" in said.err
    assert "demo.binance.com" in said.err


def test_an_exchange_that_does_not_answer_is_a_sentence(
    testnet: tuple[str, ...], refused: Callable[..., Said]
) -> None:
    said = refused(*testnet, "--symbols", "BTCUSDT")
    assert "the exchange at http://127.0.0.1:1 does not answer" in said.err
    assert "c0ffee" not in said.err


def test_a_symbol_that_another_session_trades_is_refused_at_once(
    testnet: tuple[str, ...], refused: Callable[..., Said]
) -> None:
    addresses = Addresses("http://127.0.0.1:1", "")
    other = make_session(("ETHUSDT",), id="the-other", on="testnet", addresses=addresses)
    with sole_trader(other, "key"):
        said = refused(*testnet, "--symbols", "BTCUSDT,ETHUSDT")
        assert "the session the-other trades ETHUSDT with this API key already" in said.err
        assert "does not answer" in refused(*testnet, "--symbols", "BTCUSDT").err


def test_a_state_folder_that_cannot_be_written_is_a_sentence(
    testnet: tuple[str, ...], refused: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc")
    said = refused(*testnet, "--symbols", "BTCUSDT")
    assert "/proc/candlewick, which keeps two sessions from one symbol, cannot be used" in said.err
    assert "XDG_STATE_HOME" in said.err


def test_a_folder_of_sessions_that_cannot_be_written_is_named_as_one(
    stored: Path, refused: Callable[..., Said]
) -> None:
    said = refused(*LIVE, "--sessions", "/proc/x", code=1)
    assert "sessions cannot be kept in /proc/x" in said.err
    assert "--sessions, WICK_SESSIONS" in said.err
