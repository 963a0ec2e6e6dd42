"""The compiled walk through the candles."""
