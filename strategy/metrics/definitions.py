"""What every figure is called, how it is computed, and when it cannot be given."""

from typing import NamedTuple

MIN_TRADES = 10
MIN_DAYS = 14


class Figure(NamedTuple):
    """One figure as it is shown.

    Attributes
    ----------
    key, label : str
    value : float
        NaN where it is not available.
    unit : str
        share, money, ratio, count, days, minutes, time (UTC ms) or r (multiples of the risk at
        entry).
    n : int
        How many days, months, candles or trades it rests on.
    formula : str
    note : str
        Why there is no value, else empty.
    """

    key: str
    label: str
    value: float
    unit: str
    n: int
    formula: str
    note: str = ""


class Definition(NamedTuple):
    """How a figure is called and computed.

    `counted` says what its n counts, `needs` what there must be enough of ("t" trades, "d t" also
    days), `without` why there may be no value although there is enough.
    """

    group: str
    label: str
    unit: str
    counted: str
    needs: str
    formula: str
    without: str = "not a finite number"


_STILL = "the daily returns do not vary"
_NO_BENCHMARK = "buy and hold is not known, or does not vary"
_NO_POSITIONS = "positions were not followed"
# In the order of the tables. r are daily returns, b those of buying and holding, E_0 is the
# balance, E_t the equity at a close, D_t = E_t / max(E_0 .. E_t) - 1 at the ends of days.
# fmt: off
DEFINITIONS = {key: Definition(*words) for key, *words in (
    ("total_return", "Return", "total return", "share", "days", "", "last equity / balance - 1"),
    ("hold_return", "Return", "buy and hold", "share", "days", "",
     "mean over symbols of last close / first open - 1", "not known"),
    ("cagr", "Return", "return a year", "share", "days", "d t",
     "(last equity / balance) ^ (365 days / span) - 1"),
    ("best_day", "Return", "best day", "share", "days", "", "max(r)"),
    ("worst_day", "Return", "worst day", "share", "days", "", "min(r)"),
    ("best_month", "Return", "best month", "share", "months", "",
     "max over UTC months of product(1 + r) - 1"),
    ("worst_month", "Return", "worst month", "share", "months", "",
     "min over UTC months of product(1 + r) - 1"),
    ("sharpe", "Ratios", "Sharpe", "ratio", "days", "d t",
     "mean(r) / std(r, ddof=1) * sqrt(365)", _STILL),
    ("sharpe_low", "Ratios", "Sharpe, 95 %, low", "ratio", "days", "d t",
     ("Sharpe - 1.96 * se; se = sqrt(v * 365 / (n - 1)), S = Sharpe / sqrt(365),"
      " v = 1 - skew * S + (kurtosis - 1) / 4 * S^2, after Mertens"), _STILL),
    ("sharpe_high", "Ratios", "Sharpe, 95 %, high", "ratio", "days", "d t",
     "Sharpe + 1.96 * se, se as above", _STILL),
    ("psr", "Ratios", "chance of Sharpe > 0", "share", "days", "d t",
     "normal distribution at Sharpe / se: the probabilistic Sharpe ratio against 0", _STILL),
    ("track_record", "Ratios", "track record needed", "days", "days", "d t",
     "1 + v * (1.645 / S)^2, v and S as above: days until that chance would be 95 %",
     "the Sharpe is not above 0"),
    ("sortino", "Ratios", "Sortino", "ratio", "days", "d t",
     "mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(365)", "no day with a loss"),
    ("calmar", "Ratios", "Calmar", "ratio", "days", "d t",
     "return a year / |max drawdown|, over the whole span", "no drawdown"),
    ("omega", "Ratios", "Omega", "ratio", "days", "d t",
     "sum(max(r, 0)) / sum(max(-r, 0))", "no day with a loss"),
    ("stability", "Ratios", "stability", "ratio", "days", "d t",
     "R^2 of a straight line through log(E) at the ends of days", "the equity does not vary"),
    ("volatility", "Risk", "volatility a year", "share", "days", "d t",
     "std(r, ddof=1) * sqrt(365), r daily returns"),
    ("max_drawdown", "Risk", "max drawdown", "share", "candles", "",
     "min(E_t / max(E_0 .. E_t) - 1), every candle, E_0 the balance"),
    ("drawdown_peak", "Risk", "max drawdown, peak", "time", "candles", "",
     "close of the last candle at the peak before the max drawdown", "no drawdown"),
    ("drawdown_trough", "Risk", "max drawdown, trough", "time", "candles", "",
     "close of the candle of the max drawdown", "no drawdown"),
    ("drawdown_recovery", "Risk", "max drawdown, recovery", "time", "candles", "",
     "first close at or above that peak again", "not recovered"),
    ("drawdown_length", "Risk", "max drawdown, length", "days", "candles", "",
     "from its peak to its recovery, or to the end", "no drawdown"),
    ("recovery_days", "Risk", "time to recover", "days", "candles", "",
     "from its trough to its recovery", "not recovered"),
    ("drawdown_days", "Risk", "longest drawdown", "days", "candles", "",
     "longest time from a peak to the last close below it"),
    ("mean_drawdown", "Risk", "mean drawdown", "share", "days", "",
     "mean over drawdowns of their lowest D_t, D at the ends of days", "no drawdown"),
    ("ulcer", "Risk", "ulcer index", "share", "days", "",
     "sqrt(mean(D^2)), D at the ends of days"),
    ("under_water", "Risk", "time under water", "share", "candles", "",
     "closes below the highest before / closes"),
    ("var", "Risk", "value at risk 95", "share", "days", "d t",
     "5 % quantile of r, between neighbours in a straight line"),
    ("cvar", "Risk", "expected shortfall 95", "share", "days", "d t",
     "mean of r at or below value at risk 95"),
    ("skew", "Risk", "skew", "ratio", "days", "d t",
     "mean((r - mean(r))^3) / mean((r - mean(r))^2)^1.5", _STILL),
    ("kurtosis", "Risk", "kurtosis", "ratio", "days", "d t",
     "mean((r - mean(r))^4) / mean((r - mean(r))^2)^2; 3 for a normal distribution", _STILL),
    ("tail_ratio", "Risk", "tail ratio", "ratio", "days", "d t",
     "|95 % quantile of r| / |5 % quantile of r|", "the 5 % quantile is 0"),
    ("alpha", "Beside buy and hold", "alpha a year", "share", "days", "d t",
     "(mean(r) - beta * mean(b)) * 365, b the daily returns of buy and hold", _NO_BENCHMARK),
    ("beta", "Beside buy and hold", "beta", "ratio", "days", "d t",
     "cov(r, b) / var(b)", _NO_BENCHMARK),
    ("correlation", "Beside buy and hold", "correlation", "ratio", "days", "d t",
     "cov(r, b) / (std(r) * std(b))", "the daily returns or those of buy and hold do not vary"),
    ("information_ratio", "Beside buy and hold", "information ratio", "ratio", "days", "d t",
     "mean(r - b) / std(r - b, ddof=1) * sqrt(365)",
     "buy and hold is not known, or r - b does not vary"),
    ("up_capture", "Beside buy and hold", "up capture", "ratio", "days", "d t",
     "mean(r) / mean(b), days with b > 0", "no day on which holding gained"),
    ("down_capture", "Beside buy and hold", "down capture", "ratio", "days", "d t",
     "mean(r) / mean(b), days with b < 0", "no day on which holding lost"),
    ("exposure", "Positions", "time in the market", "share", "trades", "",
     "sum of holding times / (symbols * span)"),
    ("gross_leverage", "Positions", "mean gross leverage", "ratio", "candles", "",
     "mean(sum over positions of qty * close / E_t), every candle", _NO_POSITIONS),
    ("gross_leverage_max", "Positions", "max gross leverage", "ratio", "candles", "",
     "max(sum over positions of qty * close / E_t)", _NO_POSITIONS),
    ("net_leverage", "Positions", "mean net leverage", "ratio", "candles", "",
     "mean(sum over positions of side * qty * close / E_t), every candle", _NO_POSITIONS),
    ("net_leverage_max", "Positions", "max net leverage", "ratio", "candles", "",
     "max(|sum over positions of side * qty * close / E_t|)", _NO_POSITIONS),
    ("turnover", "Positions", "turnover a year", "ratio", "trades", "",
     "sum of qty * (entry price + exit price) / mean(E at the ends of days) * 365 days / span"),
    ("trades", "Trades", "trades", "count", "trades", "", "closed trades"),
    ("longs", "Trades", "longs", "count", "trades", "", "trades that were long"),
    ("win_rate", "Trades", "win rate", "share", "trades", "t",
     "trades with net > 0 / trades; net = pnl - fees - funding"),
    ("profit_factor", "Trades", "profit factor", "ratio", "trades", "t",
     "sum of wins / |sum of losses|, net", "no losing trade"),
    ("payoff", "Trades", "payoff", "ratio", "trades", "t", "mean win / |mean loss|, net"),
    ("average_win", "Trades", "average win", "money", "trades", "t",
     "mean(net), trades with net > 0", "no winning trade"),
    ("average_loss", "Trades", "average loss", "money", "trades", "t",
     "mean(net), trades with net < 0", "no losing trade"),
    ("expectancy", "Trades", "expectancy", "money", "trades", "t", "mean(net)"),
    ("expectancy_share", "Trades", "expectancy, % of position", "share", "trades", "t",
     "mean(net / (qty * entry price))"),
    ("expectancy_r", "Trades", "expectancy in R", "r", "trades", "t",
     "mean(net / risk at entry)"),
    ("sqn", "Trades", "system quality number", "ratio", "trades", "t",
     "sqrt(trades) * mean(R) / std(R, ddof=1), R = net / risk at entry", "R does not vary"),
    ("kelly", "Trades", "Kelly share", "share", "trades", "t",
     "win rate - (1 - win rate) / payoff"),
    ("win_streak", "Trades", "longest run of wins", "count", "trades", "",
     "most trades with net > 0 in a row, as they closed"),
    ("loss_streak", "Trades", "longest run of losses", "count", "trades", "",
     "most trades with net < 0 in a row, as they closed"),
    ("best_trade", "Trades", "best trade", "money", "trades", "", "max(net)", "no trade"),
    ("worst_trade", "Trades", "worst trade", "money", "trades", "", "min(net)", "no trade"),
    ("holding", "Trades", "mean holding time", "minutes", "trades", "t",
     "mean(exit time - entry time)"),
    ("mae", "Excursions", "mean MAE", "share", "trades", "t",
     "mean(MAE), MAE = worst price between the fills against entry price"),
    ("mfe", "Excursions", "mean MFE", "share", "trades", "t",
     "mean(MFE), MFE = best price between the fills against entry price"),
    ("mae_r", "Excursions", "mean MAE in R", "r", "trades", "t",
     "mean(MAE * qty * entry price / risk at entry)"),
    ("mfe_r", "Excursions", "mean MFE in R", "r", "trades", "t",
     "mean(MFE * qty * entry price / risk at entry)"),
    ("edge_ratio", "Excursions", "edge ratio", "ratio", "trades", "t",
     "mean(MFE) / |mean(MAE)|", "no trade was ever behind"),
    ("gross", "Costs", "profit before fees", "money", "trades", "", "sum of pnl"),
    ("fees", "Costs", "fees", "money", "trades", "", "sum of fees"),
    ("funding", "Costs", "funding", "money", "trades", "",
     "sum of funding paid; received counts below 0"),
    ("slippage", "Costs", "slippage", "money", "trades", "",
     "sum of qty * |fill - unslipped price|; part of pnl"),
    ("fees_share", "Costs", "fees, % of profit before costs", "share", "trades", "t",
     "fees / (profit before fees + slippage)", "no profit before costs"),
    ("slippage_share", "Costs", "slippage, % of profit before costs", "share", "trades", "t",
     "slippage / (profit before fees + slippage)", "no profit before costs"),
    ("ambiguous", "Doubts", "stop and take in one candle", "share", "trades", "",
     "trades whose exit candle touched both / trades; booked as stops", "no trade"),
    ("open_at_end", "Doubts", "open at the end", "count", "trades", "",
     "trades closed only because the data ended"),
)}
# fmt: on
NEEDS_DAYS = frozenset(key for key, its in DEFINITIONS.items() if its.needs == "d t")
NEEDS_TRADES = frozenset(key for key, its in DEFINITIONS.items() if its.needs)
