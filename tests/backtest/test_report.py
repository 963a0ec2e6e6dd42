"""The report's text and files; how it looks and behaves is tested in a browser."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from backtest.report import write_report
from backtest.report.page import page
from backtest.report.tables import what_ran
from data.runs import Run
from data.show import print_run, shown
from strategy.errors import RunRefused
from strategy.fills import Costs
from strategy.risk import Risk
from tests.backtest.report_runs import market, report_run

VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Checks that elements close in order, and keeps tags, addresses and text outside scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in {"src", "href", "action"}
        ]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text.append(data)


def outline_of(html: str) -> Outline:
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    return outline


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return report_run(tmp_path_factory.mktemp("runs"), [market(20_000, 90)])


@pytest.mark.parametrize(("minutes", "every", "trades"), [(2_000, 0, 0), (2_000, 1_500, 1)])
def test_runs_with_hardly_a_trade_have_a_report(
    tmp_path: Path, minutes: int, every: int, trades: int
) -> None:
    candles = [market(minutes, every)]
    run = report_run(tmp_path, candles)
    assert run.trades.num_rows == trades
    text = " ".join(outline_of(page(run, candles)).text)
    assert ("No trade: no entry rule ever held." in text) == (trades == 0)
    assert f"needs 10 trades, has {trades}" in text
    assert f"of {trades} trades" in text


def test_the_page_has_hundreds_of_trades_and_loads_nothing(run: Run) -> None:
    assert run.trades.num_rows > 150
    html = page(run, [market(20_000, 90)])
    outline = outline_of(html)
    assert outline.addresses == ["data:,"]
    assert {"img", "iframe", "object", "embed", "base", "form"}.isdisjoint(outline.tags)
    assert "default-src 'none'" in html
    assert "@import" not in html.split("</style>")[0]


def test_every_figure_stands_there_with_its_n_formula_and_reason(run: Run) -> None:
    html = page(run, None)
    text = outline_of(html).text
    for figure in run.record.figures:
        cell = re.search(
            rf'data-figure="{figure.key}" data-sample="in"[^>]*>(.*?)</td><td class="n">([\d,]+)<',
            html,
        )
        assert cell is not None
        assert cell[1].startswith(shown(figure))
        assert int(cell[2].replace(",", "")) == figure.n
        assert figure.formula in text
        assert figure.note in html


def test_a_tuning_shows_both_samples_side_by_side(tmp_path: Path) -> None:
    run = report_run(tmp_path, [market(4_000, 90)], tuned=True)
    assert run.record.tune is not None
    html = page(run, None)
    for figure in run.record.tune.out_of_sample:
        assert f'data-figure="{figure.key}" data-sample="out"' in html
    assert "In sample is the best of 60 tries" in html


def test_names_and_notes_cannot_become_markup(tmp_path: Path) -> None:
    evil = '</script><img src="x" onerror="alert(1)">&amp;'
    candles = [market(2_000, 90, symbol=evil)]
    run = report_run(tmp_path / "runs", candles, name=evil, notes=[evil])
    record = msgspec.structs.replace(
        run.record,
        command=[evil],
        refused={evil: 3},
        params={evil: 1},
        risk={evil: 1.0},
        version=evil,
        strategy=msgspec.structs.replace(run.record.strategy, path="<td>" + evil),
    )
    run = Run(run.folder, record, run.trades, run.time, run.equity)
    for html in (page(run, candles), page(run, None)):
        outline = outline_of(html)
        assert "img" not in outline.tags
        assert "".join(outline.text).count(evil) >= 8


def test_without_candles_the_report_says_so_and_has_the_rest(run: Run) -> None:
    html = page(run, None)
    text = " ".join(outline_of(html).text)
    assert "No chart: the candles of this run are no longer in the store" in text
    assert run.record.data[0].fingerprint[:12] in text
    assert len(html) < len(page(run, [market(20_000, 90)]))


def test_what_ran_stands_there(run: Run) -> None:
    text = " ".join(outline_of(page(run, None)).text)
    record = run.record
    for words in (record.id, record.result_hash[:12], record.strategy.source_hash[:12], "5 bps"):
        assert words in text
    assert "none missing" in text


def test_months_multiply_to_the_total_return(run: Run) -> None:
    html = page(run, None)
    table = html.split('<div class="table months">')[1].split("</table>")[0]
    returns = [float(found) / 100 for found in re.findall(r">([+-][\d.]+)%</td>", table)]
    *months, year = returns
    total = run.record.figure("total_return").value
    assert total is not None
    assert len(months) == 1 + (20_000 // 1440 > 31)
    assert year == pytest.approx(total, abs=0.0006)
    assert np.prod(1.0 + np.array(months)) - 1.0 == pytest.approx(total, abs=0.002)


@pytest.mark.parametrize("funded", [False, True])
def test_the_money_adds_up_to_the_last_equity(funded: bool, tmp_path: Path) -> None:
    run = report_run(tmp_path, [market(4_000, 90)], funded=funded)
    html = page(run, None)
    table = html.split("Where the money went")[1].split("</table>")[0]
    amounts = [float(found.replace(",", "")) for found in re.findall(r">(-?[\d,.]+)</td>", table)]
    before, slippage, gross, fees, funding, net = amounts
    assert before + slippage == pytest.approx(gross, abs=0.011)
    assert gross + fees + funding == pytest.approx(net, abs=0.016)
    assert (funding != 0.0) is funded
    assert net == pytest.approx(run.equity[-1] - run.record.balance, abs=0.005)


def test_a_run_of_before_there_was_funding_is_shown_as_one_that_paid_none(run: Run) -> None:
    old = Run(run.folder, run.record, run.trades.drop(["funding"]), run.time, run.equity)
    assert page(old, None) == page(run, None)


def test_breakdowns_count_every_trade_once(tmp_path: Path) -> None:
    candles = [market(4_000, 90), market(4_000, 70, seed=2, symbol="OTHERUSDT")]
    run = report_run(tmp_path, candles)
    html = page(run, candles)
    for title in ("Exits by reason", "Sides", "Symbols", "Hours of entry, UTC"):
        table = html.split(f"<caption>{title}</caption>")[1].split("</table>")[0]
        counts = re.findall(r"</th><td>([\d,]+)</td>", table)
        assert sum(int(count.replace(",", "")) for count in counts) == run.trades.num_rows
    # What run.json says, too.
    hours = html.split("<caption>Hours of entry, UTC</caption>")[1].split("</table>")[0]
    for its in run.record.breakdowns["hour"]:
        won = "–" if its.win_rate is None else f"{its.win_rate:.0%}"
        assert f"{its.name}</th><td>{its.n}</td><td>{won}</td>" in hours
        assert f">{its.net:,.2f}</td>" in hours


def test_a_report_that_cannot_be_written_leaves_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunRefused, match=r"the report cannot be written to .*: No such file"):
        write_report(run, None, tmp_path / "absent" / "report.html")
    (tmp_path / "taken").mkdir()
    with pytest.raises(RunRefused, match="Is a directory"):
        write_report(run, None, tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_report_replaces_the_one_before_and_is_the_same_again(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    assert write_report(run, None, path) == path
    first = path.read_bytes()
    write_report(run, None, path)
    assert path.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_costs_and_risk_options_in_use_are_told_on_the_terminal_and_in_the_report(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = dict(Costs(atr=0.05, impact=2.0, maker_rate=0.00018, intrabar=1)._asdict())
    risk = run.record.risk | Risk(trail=1.5, isolated=1)._asdict()
    record = msgspec.structs.replace(run.record, command=[], costs=costs, risk=risk)
    print_run(record, run.folder)
    told = (
        "risk.trail 1.5, isolated, maker fee 1.8 bps, costs.atr 0.05, costs.impact 2, intrabar best"
    )
    assert told in capsys.readouterr().out
    text = re.sub("<[^>]+>", " ", what_ran(record))
    for words in ("costs.atr 0.05", "costs.impact 2", "maker fee 1.8 bps", "intrabar best"):
        assert words in " ".join(text.split())
    assert "from Python" in text
    print_run(run.record, run.folder)
    assert "costs." not in capsys.readouterr().out
