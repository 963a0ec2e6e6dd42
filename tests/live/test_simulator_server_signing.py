"""Keys, signatures and timestamps, against the exchange's own documented examples."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.simulator.signing import (
    Keys,
    check_key,
    check_signature,
    check_time,
    parameters,
    signature,
)
from live.simulator.venue import ApiError

SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
QUERY = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
BODY = "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
KEYS = Keys("a" * 64, SECRET)
NOW = 1_746_057_600_000


def code_of(error: pytest.ExceptionInfo[ApiError]) -> int:
    return error.value.code


def test_the_documented_text_has_the_documented_signature() -> None:
    text = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
        "&recvWindow=5000&timestamp=1591702613943"
    )
    expected = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    assert signature(text, SECRET) == expected
    check_signature(text + "&signature=" + expected, "", SECRET, strict=True)
    check_signature("", text + "&signature=" + expected.upper(), SECRET, strict=True)


def test_query_and_body_are_signed_without_anything_between() -> None:
    expected = "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4"
    check_signature(QUERY, f"{BODY}&signature={expected}", SECRET, strict=True)
    check_signature(f"{QUERY}&signature={expected}", BODY, SECRET, strict=True)
    with pytest.raises(ApiError) as error:
        check_signature(
            QUERY, f"{BODY}&signature={signature(f'{QUERY}&{BODY}', SECRET)}", SECRET, strict=False
        )
    assert code_of(error) == -1022


def test_a_signature_over_decoded_text_is_taken_unless_strict() -> None:
    made = signature("newClientOrderId=a:b/c", SECRET)
    sent = f"newClientOrderId=a%3Ab%2Fc&signature={made}"
    check_signature("", sent, SECRET, strict=False)
    with pytest.raises(ApiError) as error:
        check_signature("", sent, SECRET, strict=True)
    assert code_of(error) == -1022
    made = signature("newClientOrderId=a%3Ab%2Fc", SECRET)
    check_signature("", f"newClientOrderId=a%3Ab%2Fc&signature={made}", SECRET, strict=True)


@given(st.text(max_size=30), st.text("0123456789abcdefé", max_size=64))
def test_no_text_passes_without_its_signature(text: str, made: str) -> None:
    with pytest.raises(ApiError) as error:
        check_signature(f"x={text}", f"signature={made}", SECRET, strict=False)
    assert code_of(error) in (-1022, -1102)


@pytest.mark.parametrize(
    ("key", "code"),
    [("", -2014), ("with blank", -2014), ("b" * 64, -2015), ("é", -2014)],
)
def test_a_wrong_key_is_refused(key: str, code: int) -> None:
    with pytest.raises(ApiError) as error:
        check_key(key, KEYS)
    assert (error.value.status, code_of(error)) == (401, code)
    check_key("a" * 64, KEYS)


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [
        ({}, -1102, "timestamp"),
        ({"timestamp": "soon"}, -1102, "timestamp"),
        ({"timestamp": str(NOW + 1000)}, -1021, "ahead"),
        ({"timestamp": str(NOW - 5001)}, -1021, "outside"),
        ({"timestamp": str(NOW - 101), "recvWindow": "100"}, -1021, "outside"),
        ({"timestamp": str(NOW), "recvWindow": "60001"}, -1131, "recvWindow"),
        ({"timestamp": str(NOW), "recvWindow": "0"}, -1131, "recvWindow"),
    ],
)
def test_a_timestamp_off_the_exchanges_time_is_refused(
    sent: Mapping[str, str], code: int, word: str
) -> None:
    with pytest.raises(ApiError) as error:
        check_time(sent, NOW, 0, 0)
    assert code_of(error) == code
    assert word in error.value.msg


def test_a_timestamp_inside_the_window_is_taken() -> None:
    for off in (999, 0, -5000):
        check_time({"timestamp": str(NOW + off)}, NOW, 0, 0)
    check_time({"timestamp": str(NOW - 60_000), "recvWindow": "60000"}, NOW, 0, 0)
    check_time({"timestamp": str(NOW - 10**9)}, NOW, 0, None)
    check_time({"timestamp": str(NOW + 1_500)}, NOW, 1_000, 0)


def test_the_query_string_wins_over_the_body() -> None:
    assert parameters("a=1&b=", "a=2&c=x%20y+z") == {"a": "1", "b": "", "c": "x y z"}


def test_the_secret_is_in_no_text_made_of_the_keys() -> None:
    assert SECRET not in f"{KEYS} {KEYS!r}"
