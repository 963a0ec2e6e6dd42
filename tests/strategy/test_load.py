"""Loading: every mistake in a strategy file gets one sentence with the place and a hint."""

import re
from pathlib import Path

import numpy as np
import pytest

from strategy.errors import WickError
from strategy.load import Strategy, available, load
from strategy.tape import MemoTape, Tape, TapeError
from strategy.warmup import first_warm, warm_up
from tests.strategy.market import IDENTITY, market, same_bits

BLUEPRINT = Path(__file__).resolve().parents[2] / "strategy" / "rsi_macd_atr.py"

GOOD = '''"""A small strategy."""
from typing import NamedTuple
from strategy.indicators import ema, rsi
from strategy.risk import Risk
from strategy.rules import rule

TIMEFRAME = "1m"


class Params(NamedTuple):
    rsi: int = 5
    low: float = 30.0


TUNE = {"rsi": (2, 20)}


class Row(NamedTuple):
    rsi: float
    mean: float


def indicators(c, p):
    return Row(rsi(c.close, p.rsi), c.resample("5m").align(ema(c.resample("5m").close, 2)))


@rule
def enter_long(x, p):
    return x.rsi < p.low


@rule
def stop_distance(x, p):
    return x.mean / 100


RISK = Risk(per_trade=0.02)
'''


def write(folder: Path, old: str = "", new: str = "") -> Path:
    """Write the good strategy with one passage changed."""
    assert old in GOOD
    path = folder / "mine.py"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD + new)
    return path


def test_a_good_file_is_loaded_with_everything_in_its_place(tmp_path: Path) -> None:
    strategy = load(str(write(tmp_path)))
    assert (strategy.name, strategy.timeframe, strategy.has_take) == ("mine", "1m", False)
    assert strategy.params._fields == ("rsi", "low")
    assert strategy.rules.fields == ("rsi", "mean")
    assert strategy.risk.per_trade == 0.02
    assert dict(strategy.tune) == {"rsi": (2, 20)}
    assert strategy.path.is_absolute()


def test_the_shipped_strategy_is_found_by_its_name_and_by_its_path() -> None:
    assert "rsi_macd_atr" in available()
    assert load("rsi_macd_atr").source_hash == load(str(BLUEPRINT)).source_hash


def test_an_edited_file_is_read_anew_and_has_another_hash(tmp_path: Path) -> None:
    first = load(str(write(tmp_path)))
    second = load(str(write(tmp_path, "x.mean / 100", "x.mean / 200")))
    assert first.source_hash != second.source_hash
    column, at = np.array([100.0]), np.array([0])
    numbers = np.array([5.0, 30.0])
    found = [s.rules.distances(at, column, column, numbers)[0][0] for s in (first, second)]
    assert found == [1.0, 0.5]


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("rsi_macd_art", "there is no strategy 'rsi_macd_art'", "did you mean rsi_macd_atr?"),
        ("zzz", "there is no strategy 'zzz'", "or give the path of a .py file"),
        ("my/idea.py", "there is no strategy file my/idea.py", "copy strategy/rsi_macd_atr.py"),
        ("my/idea", "there is no strategy file my/idea", "copy strategy/rsi_macd_atr.py"),
    ],
)
def test_a_strategy_that_is_not_there(name: str, said: str, hint: str) -> None:
    with pytest.raises(WickError) as error:
        load(name)
    assert error.value.message == said
    assert hint in error.value.hint


MISTAKES = {
    "syntax error": ("def indicators(c, p):", "def indicators(c, p)", ", line 23: expected ':'"),
    "error at import": ("RISK =", "1 / 0\nRISK =", ", line 37: ZeroDivisionError: division by"),
    "unknown import": ("ema, rsi", "emma, rsi", ", line 3: ImportError: cannot import name 'emma'"),
    "unknown module": ("from typing", "import nonsuch\nfrom typing", "line 2: ModuleNotFoundError"),
    "null bytes": ("small", "\0", "null bytes"),
    "error inside a library": ('"1m"', 'open("/nonsuch")', ", line 7: FileNotFoundError"),
    "no Params": ("class Params", "class Parms", ": Params is missing"),
    "Params is a class": ("class Params(NamedTuple)", "class Params", ": Params is not a NamedTup"),
    "Params without default": (
        "low: float = 30.0",
        "low: float",
        ", line 10: TypeError: Non-default",
    ),
    "Params first without default": (
        "rsi: int = 5\n    low: float = 30.0",
        "rsi: int",
        "Params.rsi",
    ),
    "Params with text": ("low: float = 30.0", 'low: str = "a"', ": Params.low has the default 'a'"),
    "Params with a flag": ("30.0", "True", ": Params.low has the default True, expected a number"),
    "Params with NaN": ("30.0", 'float("nan")', ": Params.low has the default nan, expected a num"),
    "TUNE unknown": ('{"rsi"', '{"rsl"', ": TUNE names 'rsl', which is not in Params"),
    "TUNE no mapping": ('{"rsi": (2, 20)}', "5", ": TUNE is int"),
    "no Row": ("class Row", "class Line", ": Row is missing"),
    "empty Row": ("rsi: float\n    mean: float", "pass", ": Row has no field"),
    "no indicators": ("def indicators", "def indicator", ": indicators is missing"),
    "no stop": ("def stop_distance", "def _stop", "unknown rule '_stop'|stop_distance is missing"),
    "stop dropped": (
        "@rule\ndef stop_distance(x, p):\n    return x.mean / 100\n",
        "",
        ": the rule stop_distance is missing: no position is ever without its stop",
    ),
    "no entry": ("def enter_long", "def exit_long", ": there is no entry rule"),
    "not marked": (
        "@rule\ndef enter_long",
        "def enter_long",
        ": enter_long is not marked as a rule",
    ),
    "unknown rule": ("def enter_long", "def enter_lung", ": unknown rule 'enter_lung'"),
    "imported rule": (
        "\n\n@rule\ndef enter_long(x, p):\n    return x.rsi < p.low",
        "from strategy.rsi_macd_atr import enter_long",
        ": enter_long is not a function of this file",
    ),
    "rule is a number": ("RISK", "take_distance = 5\nRISK", ": take_distance is not a function of"),
    "grammar": (
        "x.rsi < p.low",
        "x.rsi < p.low and x.rsi > 1",
        ", line 29, rule enter_long: 'and'",
    ),
    "RISK wrong": ("Risk(per_trade=0.02)", "0.02", ": RISK is float"),
    "RISK unknown": ("per_trade=", "per_tade=", ", line 37: TypeError: .*per_tade"),
    "no TIMEFRAME": ("TIMEFRAME =", "TIMEFRAMES =", ": TIMEFRAME is missing"),
    "unknown TIMEFRAME": ('"1m"', '"1x"', ": TIMEFRAME: unknown timeframe '1x', expected a number"),
    "TIMEFRAME too short": ('"1m"', '"50ms"', ": TIMEFRAME: 50ms is shorter than 100ms"),
    "TIMEFRAME a number": ('"1m"', "60", ": TIMEFRAME: unknown timeframe 60, expected a number"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path: Path, name: str) -> None:
    old, new, said = MISTAKES[name]
    path = write(tmp_path, old, new)
    with pytest.raises(WickError, match=said) as error:
        load(str(path))
    assert error.value.message.startswith(str(path))
    assert error.value.hint
    assert "\n" not in error.value.message


def test_hints_guess_what_was_meant(tmp_path: Path) -> None:
    for name, hint in {
        "no Params": "did you mean Parms? write: class Params(NamedTuple): …",
        "TUNE unknown": "did you mean rsi? known: low, rsi",
        "unknown rule": "did you mean enter_long?",
        "no TIMEFRAME": "did you mean TIMEFRAMES?",
        "not marked": "put @rule above def enter_long",
    }.items():
        old, new, _ = MISTAKES[name]
        with pytest.raises(WickError) as error:
            load(str(write(tmp_path, old, new)))
        assert hint in error.value.hint, name


RUNNING = {
    "division by zero": ("    return Row(", "    1 / 0\n    return Row(", "24: ZeroDivisionError"),
    "no such name": ("rsi(c.close, p.rsi)", "rsl(c.close)", "line 24: NameError: name 'rsl'"),
    "no such parameter": ("p.rsi)", "p.rsl)", "line 24: AttributeError: .* no attribute 'rsl'"),
    "no such field": ("c.close, p.rsi", "c.closes, p.rsi", "24: 1m candles .* no field 'closes'"),
    "an index": ("rsi(c.close, p.rsi)", "c.close[0]", "line 24: a column cannot be indexed"),
    "a power": ("rsi(c.close, p.rsi)", "c.close ** 2", "line 24: TypeError: unsupported operand"),
    "not": ("rsi(c.close, p.rsi)", "~(c.close > 2)", "line 24: TypeError: bad operand type"),
    "int": ("rsi(c.close, p.rsi)", "int(c.close)", "line 24: TypeError: int"),
    "length": ("p.rsi)", "p.low)", "line 24: rsi: length is 30.0, expected a whole number"),
    "in a function": (
        "def indicators",
        "def half(x):\n    return x / None\n\n\ndef indicators",
        "line 24: / of a column and NoneType",
    ),
    "nothing returned": ("    return Row(", "    Row(", r"indicators\(\) returned NoneType"),
    "a tuple returned": ("    return Row(", "    return (", r"indicators\(\) returned tuple"),
    "a number in Row": ("rsi(c.close, p.rsi)", "5.0", "Row.rsi is float, expected a column"),
    "not aligned": (
        'c.resample("5m").align(ema(c.resample("5m").close, 2))',
        'ema(c.resample("5m").close, 2)',
        "Row.mean has 5m values, expected 1m",
    ),
    "many lines": (
        "    return Row(",
        '    raise ValueError("one\\ntwo")\n    return Row(',
        "24: ValueError: one$",
    ),
    "no words": ("    return Row(", "    raise ValueError\n    return Row(", "24: ValueError$"),
    "arguments": ("def indicators(c, p)", "def indicators(c)", "TypeError: indicators.* takes 1"),
}


@pytest.mark.parametrize("name", RUNNING)
def test_what_goes_wrong_in_indicators_is_one_sentence_with_the_line(
    tmp_path: Path, name: str
) -> None:
    old, new, said = RUNNING[name]
    path = write(tmp_path, old, new)
    if name == "in a function":
        path.write_text(path.read_text().replace("rsi(c.close, p.rsi)", "half(c.close)"))
    strategy = load(str(path))
    with pytest.raises(WickError) as error:
        strategy.columns(market(1, 50), strategy.params())
    assert error.value.message.startswith(str(path))
    assert re.search(said, error.value.message)
    assert "\n" not in error.value.message
    assert error.value.hint


def test_a_branch_on_candles_is_found_by_the_tape_and_named_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("def indicators(c, p):", "TURN = [1, 2]\n\n\ndef indicators(c, p):")
    path = tmp_path / "mine.py"
    path.write_text(text.replace("rsi(c.close, p.rsi)", "rsi(c.close, p.rsi + TURN.pop())"))
    strategy, tape = load(str(path)), Tape(IDENTITY)
    first, second = market(1, 100).slice(0, 50), market(1, 100).slice(50, 100)
    with tape.reading(first.open_time):
        strategy.columns(first, strategy.params())
    with (
        pytest.raises(TapeError, match=r"line 27: indicator call 1 is rsi\(6\) on 1m, .* rsi"),
        tape.reading(second.open_time),
    ):
        strategy.columns(second, strategy.params())


@pytest.fixture(scope="module")
def blueprint() -> Strategy:
    return load("rsi_macd_atr")


def test_params_can_be_changed_and_keep_their_kind(blueprint: Strategy) -> None:
    changed = blueprint.with_params({"rsi": "20", "stop": 3, "oversold": "2.5e1"})
    assert changed == blueprint.params(rsi=20, stop=3.0, oversold=25.0)
    assert type(changed.rsi) is int
    assert type(changed.stop) is float
    assert blueprint.with_params({}) == blueprint.params()
    assert blueprint.with_params({"rsi": 20.0}).rsi == 20


@pytest.mark.parametrize(
    ("changes", "said", "hint"),
    [
        ({"rsl": 5}, "rsi_macd_atr has no parameter 'rsl'", "did you mean rsi?"),
        ({"rsi": 5.5}, "parameter rsi is 5.5, expected a whole number", "--set "),
        ({"rsi": "many"}, "parameter rsi is 'many', expected a number", "--set "),
        ({"stop": "nan"}, "parameter stop is 'nan', expected a number", "--set "),
        ({"stop": None}, "parameter stop is None, expected a number", "--set "),
        ({"rsi": float("inf")}, "parameter rsi is inf, expected a number", "--set "),
    ],
)
def test_a_wrong_parameter_is_refused(
    blueprint: Strategy, changes: dict[str, object], said: str, hint: str
) -> None:
    with pytest.raises(WickError) as error:
        blueprint.with_params(changes)
    assert error.value.message == said
    assert hint in error.value.hint


def test_risk_can_be_changed_and_a_wrong_setting_is_refused(blueprint: Strategy) -> None:
    assert blueprint.with_risk({"per_trade": "0.02"}) == blueprint.risk._replace(per_trade=0.02)
    with pytest.raises(WickError, match="risk has no setting 'per_tade'") as error:
        blueprint.with_risk({"per_tade": 0.1})
    assert "did you mean per_trade?" in error.value.hint
    with pytest.raises(WickError, match=r"risk.per_trade is 'a', expected a number"):
        blueprint.with_risk({"per_trade": "a"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 50 * 15),  # the trend on 15m
        ({"trend": 3}, (26 + 9 - 1) * 5),  # then MACD on 5m
        ({"trend": 3, "rsi": 300}, 301),
        ({"trend": 3, "slow": 13, "signal": 1, "atr": 77}, 78),
        ({"trend": 200}, 200 * 15),
        ({"trend": 1, "fast": 1, "slow": 2, "signal": 1, "rsi": 1, "atr": 1}, 15),
    ],
)
def test_warm_up_is_the_first_candle_with_every_value(
    blueprint: Strategy, changes: dict[str, int], expected: int
) -> None:
    params = blueprint.with_params(changes)
    assert warm_up(blueprint, params) == expected
    columns = blueprint.columns(market(9, expected), params)
    assert not any(np.isnan(values[-1]) for values in columns)
    assert any(np.isnan(values[-2]) for values in columns)
    assert first_warm(columns) == expected - 1


def test_warm_up_of_a_value_that_never_comes_is_the_most_that_was_tried(tmp_path: Path) -> None:
    strategy = load(str(write(tmp_path, "rsi(c.close, p.rsi)", "(c.close - c.close) / 0")))
    assert warm_up(strategy, strategy.params(), most=2000) == 2000


@pytest.mark.parametrize("timeframe", ["100ms", "1h", "1d", "1w"])
def test_warm_up_works_on_every_grid(tmp_path: Path, timeframe: str) -> None:
    path = write(tmp_path, '"1m"', f'"{timeframe}"')
    path.write_text(path.read_text().replace('"5m"', f'"{timeframe}"'))
    strategy = load(str(path))
    assert warm_up(strategy, strategy.params()) == 6


@pytest.mark.parametrize(("timeframe", "expected"), [("1m", 91 * 1440), ("1h", 91 * 24)])
def test_warm_up_of_months_is_that_of_the_longest_ones(
    tmp_path: Path, timeframe: str, expected: int
) -> None:
    path = write(tmp_path, 'TIMEFRAME = "1m"', f'TIMEFRAME = "{timeframe}"')
    path.write_text(path.read_text().replace('"5m"', '"1M"'))
    strategy = load(str(path))
    assert warm_up(strategy, strategy.params()) == expected


def test_a_month_cannot_be_the_base_of_a_strategy(tmp_path: Path) -> None:
    with pytest.raises(WickError, match="TIMEFRAME: 1M is a calendar month") as error:
        load(str(write(tmp_path, '"1m"', '"1M"')))
    assert "one minute is 1m" in error.value.hint


def test_a_whole_strategy_gives_the_same_bits_in_any_chunks_and_shared(blueprint: Strategy) -> None:
    params = blueprint.with_params({"trend": 5})
    candles = market(8, 400, gap_rate=0.03)
    whole = blueprint.columns(candles, params)
    tape, parts = Tape(IDENTITY), []
    for start in range(0, 400, 7):
        chunk = candles.slice(start, min(start + 7, 400))
        with tape.reading(chunk.open_time):
            parts.append(blueprint.columns(chunk, params))
    with MemoTape():
        shared = [blueprint.columns(candles, params) for _ in range(2)]
    for at, values in enumerate(whole):
        assert same_bits(np.concatenate([part[at] for part in parts]), values)
        assert same_bits(shared[0][at], values)
        assert np.shares_memory(shared[0][at], shared[1][at])
