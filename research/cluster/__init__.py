"""Many combinations on many machines, with Ray; the same results as on one."""
