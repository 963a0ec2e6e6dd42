"""The exchange behind one port: what the live side asks of it, and Binance's answers."""
