"""Params on candles that their search has not seen: hold-outs, walk-forwards, cross-validation."""
