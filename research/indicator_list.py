"""What indicators there are, read from their signatures and docstrings."""

import inspect
import re
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from strategy import indicators as package
from strategy.column import Column
from strategy.errors import WickError, did_you_mean


@dataclass(frozen=True, slots=True)
class Indicator:
    """One public function of strategy.indicators.

    Attributes
    ----------
    module, about : str
        The file it stands in, and what that file is about.
    inputs : tuple of str
        Parameters that take a column.
    candles : tuple of str
        Parameters that take whole candles.
    numbers : dict
        The other parameters; None where there is no default.
    outputs : tuple of str
        Names of the columns it gives where there are several.
    summary, text : str
        The docstring's first sentence, and all of it.
    """

    name: str
    module: str
    about: str
    inputs: tuple[str, ...]
    candles: tuple[str, ...]
    numbers: dict[str, Any]
    outputs: tuple[str, ...]
    summary: str
    text: str

    @property
    def function(self) -> Callable[..., Any]:
        """The indicator itself."""
        found: Callable[..., Any] = getattr(package, self.name)
        return found

    @property
    def signature(self) -> str:
        """How it is called, and the names of what it gives."""
        numbers = [n if v is None else f"{n}={v}" for n, v in self.numbers.items()]
        gives = f" -> {', '.join(self.outputs)}" if self.outputs else ""
        return f"{self.name}({', '.join([*self.candles, *self.inputs, *numbers])}){gives}"


def all_indicators() -> list[Indicator]:
    """List the public indicators by module and name."""
    public = (getattr(package, name) for name in package.__all__)
    found = [_described(value) for value in public if inspect.isfunction(value)]
    return sorted(found, key=lambda one: (one.module, one.name))


def indicator(name: str) -> Indicator:
    """Find an indicator by its name.

    Raises
    ------
    WickError
        There is none of that name.
    """
    known = {one.name: one for one in all_indicators()}
    if name not in known:
        guess = did_you_mean(name, known).partition("known:")[0]
        raise WickError(f"there is no indicator {name!r}", f"{guess}wick indicators lists them all")
    return known[name]


def _described(function: Callable[..., Any]) -> Indicator:
    types = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    numbers = {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
        if types[name] in (int, float, bool, str)
    }
    candles = tuple(name for name in parameters if "Candles" in str(types[name]))
    text = inspect.getdoc(function) or ""
    module = sys.modules[function.__module__]
    about = (module.__doc__ or "").strip().split("\n\n")[0]
    return Indicator(
        name=function.__name__,
        module=module.__name__.rpartition(".")[2],
        about=_one_line(about).rstrip("."),
        inputs=tuple(name for name in parameters if name not in {*numbers, *candles}),
        candles=candles,
        numbers=numbers,
        outputs=() if types["return"] is Column else tuple(types["return"]._fields),
        summary=_first_sentence(text.replace("``", "`")),
        text=text,
    )


def _first_sentence(text: str) -> str:
    paragraph = _one_line(text.split("\n\n")[0])
    match = re.match(r".+?\.(?=\s|$)", paragraph)
    return match[0] if match else paragraph


def _one_line(text: str) -> str:
    return " ".join(text.split())
