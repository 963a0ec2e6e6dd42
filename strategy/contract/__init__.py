"""What every strategy module must hold, as functions that run one and give findings.

A check never looks into a strategy: it runs the file on candles that differ only where the result
must not, and compares bit for bit. docs/check.md says what that proves and what it does not.
"""
