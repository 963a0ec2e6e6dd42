"""The engine, sweeps over parameters, and the report of a run."""
