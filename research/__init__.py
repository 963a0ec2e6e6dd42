"""Tuning, and the tests of whether a result is more than luck."""
