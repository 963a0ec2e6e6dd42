"""History in, candles out: archive and files, store, quality, exchange rules."""
