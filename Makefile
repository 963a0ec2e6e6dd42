# Python 3.11 to 3.13 and make are enough; every target that needs the environment builds it first.

DATA ?= ../shared/data

.PHONY: help setup demo test parity calibrate lint bench lock clean

help:
	@sed -n 's/^\([a-z]*\):.*## /make \1 	/p' Makefile

setup: ## build .venv from requirements.lock; at once when nothing has changed
	@.ci/setup

demo: setup ## real klines to a backtest, a tuning and a report; DATA=folder of klines
	@if [ -d "$(DATA)" ]; then .venv/bin/wick demo --data "$(DATA)"; else .venv/bin/wick demo; fi

# A third of the time tests wait for processes and sockets, so two cores have work for three. Each
# begins with a third of the suite as it is ordered: neighbours share fixtures and compiled kernels.
test: setup ## the whole suite
	@.venv/bin/python -m pytest -q -n 3 --dist worksteal

parity: setup ## real candles through backtest and live stack, with every shipped strategy
	@.venv/bin/python -m tests.parity "$(DATA)"

calibrate: setup ## how often noise is called an edge, and what edge is found; ten minutes
	@.venv/bin/python -m tests.calibration

lint: setup ## ruff and mypy
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

bench: setup ## speed and memory beside vectorbt and others; ONLY=sweep,indicators for some
	@.venv/bin/python -m tests.benchmarks.run $(ONLY)

lock: setup ## requirements.lock again from pyproject.toml, keeping versions that still fit
	@.venv/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
		--group setup --group test --group lint --group bench --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o requirements.lock

clean: ## take away .venv and what tools leave; var/ with your data and runs stays
	@rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
