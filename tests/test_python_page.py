"""What docs/python.md shows is what Python answers."""

import doctest
import re
from pathlib import Path

import pytest

from data.synthetic import synthetic_market
from data.writer import save

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_the_blocks_of_the_python_page_give_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = synthetic_market(3, 20_000, 1_672_531_200_000, symbol="BTCUSDT")
    save(tmp_path / "var" / "store", made, "seeded")
    blocks = re.findall(r"```pycon\n(.*?)```", PAGE.read_text(), re.DOTALL)
    # A blank line between blocks, or what follows one would be its output.
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 10
    result = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(
        test
    )
    assert result.failed == 0, capsys.readouterr().out
