"""make parity: the comparison over real candles, with fresh folders, as a user would ask for it.

Three days of BTCUSDT futures and one day of seven symbols that share two places, with the
blueprint; then a day of three symbols with each of the other strategies. All are given lengths that
trade often; otherwise there would be little to compare.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "ADAUSDT", "LTCUSDT")
BUSY = (
    "oversold=45", "overbought=55", "trend=10", "stop=2", "take=3", "risk.per_trade=0.002",
)  # fmt: skip
DAY = ("2025-05-10", "2025-05-11")
STRETCHES = (
    ("rsi_macd_atr", ("BTCUSDT",), "2025-05-10", "2025-05-13", BUSY),
    ("rsi_macd_atr", SYMBOLS, *DAY, (*BUSY, "risk.max_positions=2")),
    ("trend_ema", SYMBOLS[:3], *DAY, ("fast=2", "slow=4", "filter=3", "atr=3", "stop=1.5")),
    (
        "breakout_donchian", SYMBOLS[:3], *DAY,
        ("channel=4", "roc=2", "speed=0.05", "atr=3", "stop=1", "take=3", "risk.time_stop=60"),
    ),
    (
        "mean_reversion_bollinger", SYMBOLS[:3], *DAY,
        ("length=8", "width=1.2", "rsi=6", "oversold=40", "atr=3", "stop=1.5"),
    ),
    (
        "stoch_roc", SYMBOLS[:3], *DAY,
        ("length=3", "smooth=2", "signal=2", "edge=49", "roc=4", "atr=3", "stop=2"),
    ),
)  # fmt: skip


def main(data: Path) -> int:
    """Import the candles and compare; the exit code is 1 if anything differs."""
    wick = (sys.executable, str(Path(__file__).resolve().parents[1] / "wick.py"))
    with tempfile.TemporaryDirectory() as folder:
        for symbol in SYMBOLS:
            path = data / "klines" / f"{symbol}-um-1m-202505-202506-ohlcv.parquet"
            imported = subprocess.run(
                (*wick, "data", "import", str(path)), cwd=folder, stdout=subprocess.DEVNULL
            )
            if imported.returncode:
                return imported.returncode
        worst = 0
        for strategy, symbols, start, end, changes in STRETCHES:
            span = ("--symbols", ",".join(symbols), "--market", "um", "--from", start, "--to", end)
            sets = tuple(word for change in changes for word in ("--set", change))
            command = ("parity", strategy, *span, *sets)
            print(f"$ wick {' '.join(command)}", flush=True)  # noqa: T201
            worst |= subprocess.run((*wick, *command), cwd=folder).returncode
        return worst


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
