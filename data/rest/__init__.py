"""The exchange's REST for public data: questions within its limits, and what it answers."""
