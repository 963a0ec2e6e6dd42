"""wick indicators: the list, one docstring, and a plot as one file."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.writer import save
from research import indicator_plot
from research.indicator_list import all_indicators, indicator
from strategy import indicators
from tests.cli.conftest import Command, Said, market
from tests.strategy.indicators_page import PAGE, page

Refused = Callable[..., Said]
ON_PRICES = {
    "bollinger", "dema", "donchian", "ema", "hull", "keltner", "previous", "rolling_max",
    "rolling_min", "rolling_percentile", "sma", "wilder", "wma",
}  # fmt: skip
APART = {
    "atr", "linear_regression_slope", "macd", "realized_volatility", "roc", "rolling_rank",
    "rolling_std", "rolling_sum", "rsi", "sqrt", "stoch_rsi", "stochastic", "true_range", "zscore",
}  # fmt: skip


def test_the_list_names_every_indicator_with_its_first_sentence(command: Command) -> None:
    said = " ".join(command("indicators").out.split())
    for name in indicators.__all__:
        if inspect.isfunction(getattr(indicators, name)):
            assert f"{name}(" in said
    assert "averages: Moving averages" in said
    assert "Sum of the last `length` values." in said


def test_one_indicator_shows_its_whole_docstring(command: Command) -> None:
    said = command("indicators", "bollinger")
    first, _, text = said.out.partition("\n\n")
    assert first == "bollinger(x, length=20, multiple=2.0) -> upper, middle, lower"
    assert text.strip() == inspect.getdoc(indicators.bollinger)


def test_as_json_the_list_and_one_have_the_same_fields(command: Command) -> None:
    listed = {one["name"]: one for one in json.loads(command("indicators", "--json").out)}
    one = json.loads(command("indicators", "macd", "--json").out)
    assert "histogram" in one.pop("text")
    assert listed["macd"] == one
    assert one["inputs"] == ["x"]
    assert one["numbers"] == {"fast": 12, "slow": 26, "signal": 9}
    assert one["outputs"] == ["line", "signal", "histogram"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["bolinger"], "there is no indicator 'bolinger'", "did you mean bollinger?"),
        (["--plot"], "none is named", "wick indicators rsi --plot"),
        (["rsi", "--set", "length=3"], "--set, --symbol and --output are for --plot", "add --plot"),
        (["rsi", "--plot", "--set", "lenght=3"], "rsi has no 'lenght'", "did you mean length?"),
        (["rsi", "--plot", "--set", "length"], "--set length is not name=value", "--set rsi=21"),
        (["rsi", "--plot", "--set", "length=x"], "rsi: length is 'x', expected a whole", "--set"),
        (["rsi", "--plot", "--set", "x=clos"], "x is 'clos', expected a field", "close"),
        (["maximum", "--plot"], "maximum: a is 'a', expected a field", "--set a=close"),
        (["rsi", "--plot", "--symbol", "NOUSDT"], "NOUSDT", "wick data"),
    ],
)
def test_wrong_use_is_answered_with_a_hint(
    stored: Path, refused: Refused, arguments: list[str], message: str, hint: str
) -> None:
    said = refused("indicators", *arguments)
    assert message in said.err.splitlines()[0]
    assert hint in said.err.splitlines()[1]


def test_several_symbols_ask_for_one(stored: Path, refused: Refused, command: Command) -> None:
    save(stored / "var" / "store", market(600, symbol="AUSDT"), "synthetic")
    said = refused("indicators", "rsi", "--plot")
    assert "2 symbols are stored, which is meant?" in said.err
    assert "add --symbol AUSDT" in said.err
    drawn = command("indicators", "rsi", "--plot", "--symbol", "ausdt", "--output", "a.html")
    assert drawn.out == "rsi(close, length=14), AUSDT um 1m: a.html\n"


def test_a_plot_that_cannot_be_written_is_refused(stored: Path, refused: Refused) -> None:
    said = refused("indicators", "rsi", "--plot", "--output", "none/rsi.html", code=1)
    assert "the plot cannot be written to none/rsi.html" in said.err


def test_without_candles_a_made_up_market_is_drawn_and_said(folder: Path, command: Command) -> None:
    said = command("indicators", "rsi", "--plot", "--set", "length=21")
    assert said.out == "rsi(close, length=21), SYNTHUSDT um 1m, made-up prices: rsi.html\n"
    text = (folder / "rsi.html").read_text()
    assert "made-up prices" in text
    assert 'src="http' not in text
    assert sorted(path.name for path in folder.iterdir()) == ["rsi.html"]


def test_every_indicator_is_drawn_over_the_prices_or_below_them() -> None:
    candles = market(3_000)
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for one in all_indicators():
        if "a" not in one.inputs and "condition" not in one.inputs:
            arguments = indicator_plot.arguments_of(one, {})
            on = indicator_plot.on_price_scale(one, arguments, candles)
            found[on[0]].add(one.name)
    assert found[True] >= ON_PRICES
    assert found[False] >= APART


def test_the_plot_shows_the_values_of_the_newest_candles(stored: Path) -> None:
    store = stored / "var" / "store"
    candles = indicator_plot.newest_candles(store, None)
    whole = market(30 * 1440)
    assert len(candles.open_time) == indicator_plot.READ + 1
    assert candles.open_time[-1] == whole.open_time[-1]
    one = indicator("rsi")
    lines = indicator_plot.lines_of(one, indicator_plot.arguments_of(one, {}), candles)
    expected = indicators.rsi(whole.close).values[-500:]
    np.testing.assert_allclose(lines["rsi"][-500:], expected, rtol=1e-9)
    below = indicator_plot.figure_of("title", candles, lines, [])
    assert [trace.yaxis for trace in below.data] == ["y", "y2"]
    over = indicator_plot.figure_of("title", candles, lines, ["rsi"])
    assert [trace.yaxis for trace in over.data] == ["y", "y"]
    np.testing.assert_array_equal(over.data[1].y, lines["rsi"])


def test_the_page_of_indicators_says_what_their_docstrings_say() -> None:
    command = "python -m tests.strategy.indicators_page"
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/indicators.md is old: {command}"
