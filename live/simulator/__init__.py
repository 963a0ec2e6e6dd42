"""A Binance USDⓈ-M exchange on loopback: stored candles replayed over REST and WebSocket."""
