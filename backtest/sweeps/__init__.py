"""Many combinations of params, risk settings and costs over the same candles."""
