"""Which strategies are run on which markets, with which options, and what a run is known by."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backtest.engine import Result, backtest
from data.dates import show_time
from strategy.candles import Candles
from strategy.dated import SymbolTiers
from strategy.fills import Costs
from strategy.load import Strategy, available, load
from strategy.margin import TIER
from strategy.records import PART, TRADE, UNIT
from strategy.slippage import Spread
from tests.golden.markets import DRAWN, market

FILE = Path(__file__).parent / "golden.json"
STRATEGIES = Path(__file__).parents[2] / "strategy"


@dataclass(frozen=True, slots=True)
class Case:
    """One backtest: a strategy on a market, with what differs from its defaults."""

    name: str
    strategy: str
    market: str
    params: dict[str, float] = field(default_factory=dict)
    risk: dict[str, float] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)
    timeframes: dict[str, str] = field(default_factory=dict)  # what stands for the file's own
    rules: dict[str, str] = field(default_factory=dict)  # more rules: what each gives
    has_tiers: bool = False


W: dict[str, float] = {"oversold": 30, "overbought": 70, "stop": 2, "take": 3}
# Trades often enough for a few days.
BUSY: dict[str, dict[str, float]] = {
    "breakout_donchian": {"channel": 6, "roc": 3, "speed": 0.05, "stop": 1, "take": 3},
    "mean_reversion_bollinger": {"length": 12, "width": 1.2, "rsi": 6, "oversold": 40, "stop": 2},
    "rsi_macd_atr": {**W, "oversold": 45, "overbought": 55, "fast": 5, "slow": 9, "trend": 10},
    "stoch_roc": {"length": 4, "smooth": 2, "edge": 49, "roc": 8, "stop": 1.5},
    "trend_ema": {"fast": 3, "slow": 6, "filter": 4, "atr": 5, "stop": 1.5},
}
# The blueprint's own levels are rare: on shorter histories it would hardly trade.
USUAL: dict[str, dict[str, float]] = {"rsi_macd_atr": W}
HOURS = {"1m": "1h", "5m": "4h", "15m": "4h", "1h": "1d"}
QUARTERS = {"1m": "15m", "5m": "1h", "15m": "1h", "1h": "4h"}
# 0.4 % of the first 20,000 and 1 % of what is more: 20,000 × (0.01 − 0.004) = 120.
TIERS = SymbolTiers(np.array([(0.0, 2e4, 0.004, 0.0, 125.0), (2e4, 1e9, 0.01, 120.0, 50.0)], TIER))
# Every option that changes what happens after an entry, or whether there is one.
OPTIONS: dict[str, dict[str, float]] = {
    "trail": {"trail": 1.0, "trail_after": 0.5},
    "break even": {"break_even": 1.0},
    "parts": {"part_1": 0.7, "part_1_share": 0.3, "part_2": 1.2, "part_2_share": 0.4},
    "time stop": {"time_stop": 45, "cooldown": 30},
    "daily limit": {"daily_loss_limit": 0.01, "daily_loss_flatten": 1},
    "caps": {"max_leverage": 1.0, "max_notional": 4_000.0, "leverage": 2.0},
}


def cases() -> list[Case]:
    """Return every case; the names of its parts make its own."""
    out = []
    for strategy in available():
        busy, usual = BUSY.get(strategy, {}), USUAL.get(strategy, {})
        out += [
            Case(f"{strategy}, days, {name}", strategy, "four seeded days", busy, risk)
            for name, risk in OPTIONS.items()
        ]
        out += [
            Case(f"{strategy}, days", strategy, "four seeded days", busy),
            Case(f"{strategy}, months", strategy, "two seeded months", usual),
            Case(
                f"{strategy}, months, free",
                strategy,
                "two seeded months",
                busy,
                costs={"fee_rate": 0.0, "slippage": 0.0},
            ),
            Case(
                f"{strategy}, symbols",
                strategy,
                "three seeded symbols",
                busy,
                {"max_positions": 2, "max_longs": 1, "per_trade": 0.004},
            ),
            Case(f"{strategy}, year", strategy, "BTCUSDT spot 2023"),
            Case(f"{strategy}, FIL and NEAR", strategy, "FIL and NEAR 2023", usual),
            Case(
                f"{strategy}, seven",
                strategy,
                "seven symbols 2025",
                usual,
                {"max_positions": 3, "daily_loss_limit": 0.03, "daily_loss_flatten": 1},
            ),
            Case(
                f"{strategy}, hours",
                strategy,
                "BTCUSDT 1h with funding",
                usual,
                timeframes=HOURS,
            ),
            Case(f"{strategy}, quarters", strategy, "ETHUSDT 15m", usual, timeframes=QUARTERS),
        ]
    return [*out, *_blueprint(), *_models()]


def _blueprint() -> list[Case]:
    # The benchmarks' workload, and every option on a real year of it.
    year = ("rsi_macd_atr", "BTCUSDT spot 2023", W)
    plain = {"daily_loss_limit": 0.0}
    out = [Case("rsi_macd_atr, year, W", *year, plain)]
    return out + [
        Case(f"rsi_macd_atr, year, {name}", *year, plain | risk) for name, risk in OPTIONS.items()
    ]


def _models() -> list[Case]:
    # How orders fill and what a position needs, one model at a time.
    months = ("rsi_macd_atr", "two seeded months", BUSY["rsi_macd_atr"])
    limit = {"limit_distance": "0.3 * x.atr"}
    free = {"fee_rate": 0.0, "slippage": 0.0}
    # Stops beyond the liquidation price.
    wide = (*months[:2], months[2] | {"stop": 60, "take": 40})
    large = {"per_trade": 1.0, "max_leverage": 20.0, "leverage": 50.0, "daily_loss_limit": 0.0}
    costs: dict[str, dict[str, Any]] = {
        "ranges": {"atr": 0.05},
        "spreads": {"spread": 1.0},
        "impact": {"impact": 0.1},
    }
    out = [Case(f"rsi_macd_atr, months, {name}", *months, costs=its) for name, its in costs.items()]
    return [
        *out,
        Case(
            "rsi_macd_atr, months, best case",
            "rsi_macd_atr",
            "two seeded months",
            BUSY["rsi_macd_atr"] | {"stop": 0.4, "take": 0.4},
            costs={"intrabar": 1},
        ),
        Case(
            "rsi_macd_atr, months, limits",
            *months,
            {"limit_wait": 5},
            {"maker_rate": 0.0001},
            rules=limit,
        ),
        Case(
            "rsi_macd_atr, months, limits that only rest",
            *months,
            {"limit_wait": 30, "limit_tif": 3},
            {"limit_through": 1},
            rules=limit,
        ),
        Case(
            "rsi_macd_atr, months, cross",
            *wide,
            large | {"max_leverage": 50.0},
            free,
            has_tiers=True,
        ),
        Case(
            "rsi_macd_atr, months, isolated", *wide, large | {"isolated": 1}, free, has_tiers=True
        ),
        Case(
            "rsi_macd_atr, days, share of volume",
            "rsi_macd_atr",
            "four seeded days",
            BUSY["rsi_macd_atr"],
            costs={"volume_share": 0.001, "impact": 0.1},
        ),
        Case(
            "rsi_macd_atr, FIL and NEAR, share of volume",
            "rsi_macd_atr",
            "FIL and NEAR 2023",
            W,
            costs={"volume_share": 0.01},
        ),
        Case(
            "rsi_macd_atr, symbols by priority",
            "rsi_macd_atr",
            "three seeded symbols",
            BUSY["rsi_macd_atr"],
            {"max_positions": 1},
            rules={"entry_priority": "x.rsi"},
        ),
    ]


def is_small(case: Case) -> bool:
    """Say whether a case is small enough for plain Python."""
    return case.market == "four seeded days"


def is_drawn(case: Case) -> bool:
    """Say whether a case needs no file."""
    return case.market in DRAWN


def run(case: Case, data: Path, scratch: Path) -> Result:
    """Run a case; a strategy on other timeframes is a copy in the scratch folder."""
    strategy = _strategy(case, scratch)
    its = market(case.market, data)
    return backtest(
        strategy,
        its.candles,
        params=strategy.with_params(case.params),
        risk=strategy.with_risk(case.risk),
        costs=Costs()._replace(**case.costs),
        grids=its.grids,
        funding=its.funding,
        spreads=[_spread(one) for one in its.candles] if case.costs.get("spread") else None,
        tiers=[TIERS] * len(its.candles) if case.has_tiers else None,
    )


def _spread(candles: Candles) -> Spread:
    # Another one every hour, from nothing to 3 bps.
    time = candles.arrays["open_time"][::60].copy()
    raw = np.random.PCG64(41).random_raw(len(time)) >> np.uint64(48)
    return Spread(time, raw.astype(np.float64) * (0.0003 / 65_536))


def _strategy(case: Case, scratch: Path) -> Strategy:
    if not case.timeframes and not case.rules:
        return load(case.strategy)
    text = (STRATEGIES / f"{case.strategy}.py").read_text()
    for name, gives in case.rules.items():
        text += f"\n\n@rule\ndef {name}(x: Row, p: Params) -> float:\n    return {gives}\n"
    text = re.sub(
        r'"(\d+[mh])"', lambda found: f'"{case.timeframes.get(found[1], found[1])}"', text
    )
    path = scratch / f"{'_'.join([case.strategy, *case.rules, *case.timeframes.values()][:2])}.py"
    path.write_text(text)
    return load(str(path))


Golden = dict[str, Any]


def golden(case: Case, result: Result, fields: dict[str, list[str]]) -> Golden:
    """Return what a result is known by.

    Parameters
    ----------
    fields : dict
        Names of the columns of trades and parts that are looked at: a column added later changes
        no fingerprint.

    Returns
    -------
    dict
        `hash` covers every bit of those columns and of the equity curve. `marks` holds two digits a
        trade, each over all trades up to it, so that the first one that differs can be named.
    """
    trades, digest, marks = result.trades, hashlib.sha256(), []
    columns = [np.ascontiguousarray(trades[name]) for name in fields["trades"]]
    for row in range(len(trades)):
        for column in columns:
            digest.update(column[row].tobytes())
        marks.append(digest.hexdigest()[:2])
    for name in fields["parts"]:
        digest.update(np.ascontiguousarray(result.parts[name]).tobytes())
    digest.update(result.equity.tobytes())
    net = int((trades.pnl - trades.fees - trades.funding).sum())
    return {
        "strategy": case.strategy,
        "market": case.market,
        "span": _span(result),
        "params": case.params,
        "risk": case.risk,
        "costs": case.costs,
        "timeframes": case.timeframes,
        "trades": len(trades),
        "net": net / UNIT,
        "hash": digest.hexdigest(),
        "marks": "".join(marks),
    }


def _span(result: Result) -> str:
    return f"{show_time(int(result.time[0]))} to {show_time(int(result.time[-1]))} UTC"


def now_fields() -> dict[str, list[str]]:
    """Return the columns that trades and parts have now."""
    return {"trades": list(TRADE.names or ()), "parts": list(PART.names or ())}


def read() -> dict[str, Any]:
    """Read the fingerprints that were kept."""
    kept: dict[str, Any] = json.loads(FILE.read_text())
    return kept


def difference(name: str, before: Golden, after: Golden, result: Result) -> str:
    """Say what a strategy does otherwise than before, in one sentence; empty where nothing."""
    if before == after:
        return ""
    changed = [key for key in before if before[key] != after[key] and key not in ("marks", "hash")]
    said = [f"{key} {before[key]} before, {after[key]} now" for key in changed]
    old, new = before["marks"], after["marks"]
    pairs = zip(old[::2], old[1::2], new[::2], new[1::2], strict=False)
    equal = [(a, b) == (c, d) for a, b, c, d in pairs]
    first = [*equal, False].index(False)
    if old == new:
        said.append("the trades are the same, their parts or the equity curve are not")
    elif first < len(result.trades):
        said.append(f"first different trade: number {first}, now {_told(result, first)}")
    else:
        said.append(f"the trades end after number {first - 1}")
    return f"{name}: {'; '.join(said)}"


def _told(result: Result, row: int) -> str:
    trade = result.trades[row]
    side = "long" if trade.side > 0 else "short"
    entry, leave = (show_time(int(time)) for time in (trade.entry_time, trade.exit_time))
    return (
        f"{side} {trade.qty:.10g} {result.symbols[trade.symbol]} at {trade.entry_price:.10g} on"
        f" {entry}, out at {trade.exit_price:.10g} on {leave}"
    )
