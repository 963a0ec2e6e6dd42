"""Speed and memory beside vectorbt: `make bench`."""
