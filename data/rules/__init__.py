"""What the exchange demands of orders, kept by the day on which it was seen."""
