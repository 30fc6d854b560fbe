# make run    environment, then the quick suite with every method; make run ARGS='--workers 1' hands it options
# make test   environment, then the tests, in three processes, some of which wait (one: .venv/bin/python -m pytest)
# make smoke  the tests that take two minutes: units, one round of every method, the conformance kit on two of them
# make lint   ruff and mypy
# make bench  speed of the simulator (pytest-benchmark), written to results/benchmarks/
# make site   the published results and docs/ as a static site in build/site; make docs is the same
# make speed  the figures that ARCHITECTURE.md gives of speed on a CPU; some four minutes

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test smoke lint bench speed site docs format clean

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Making the environment in $(VENV): some minutes, and up to 7 GB where torch comes with CUDA"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: $(VENV)/.ready
	$(BIN)/python -m pfl_bench run --methods all $(ARGS)

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n 3 --dist loadfile

smoke: $(VENV)/.ready
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not slow"

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy pfl_bench methods datasets tests

bench: $(VENV)/.ready
	mkdir -p results/benchmarks
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -o addopts= --benchmark-json=results/benchmarks/raw.json
	$(BIN)/python -m tests.benchmarks.publish results/benchmarks/raw.json
	rm results/benchmarks/raw.json

speed: $(VENV)/.ready
	$(BIN)/python -m tests.benchmarks.speed

site docs: $(VENV)/.ready
	$(BIN)/python -m pfl_bench site results/published --docs docs --out build/site

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
