"""Market data over the network: the public archive first, then the exchange's REST."""
