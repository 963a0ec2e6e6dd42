"""History in, candles out: archive, store, quality checks, and the folders of finished runs."""
