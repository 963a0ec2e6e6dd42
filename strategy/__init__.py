"""The bottom of Candlewick: candles, indicators, rules, account and fills. Pure, no input or
output."""
