# Two commands do everything: `make paper` and `make test`. Each makes .venv from requirements.lock where it is missing or stale.
.DEFAULT_GOAL := help
.PHONY: help paper test test-all lint bench lock clean

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# A file's tests share compiled programs, so a file stays with one of two processes.
PARALLEL := -n 2 --dist loadfile
# In CI all tests run; at a desk the slow ones wait for test-all.
FAST := $(if $(filter true,$(CI)),,-m "not slow")

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

paper: $(READY) ## all tables and figures of the paper on the embedded panel -> outputs/paper/report/index.html
	$(BIN)/syneff

test: $(READY) ## run the tests (without the slow ones, unless CI=true)
	$(BIN)/python -m pytest -q $(PARALLEL) $(FAST)

test-all: $(READY) ## run all tests
	$(BIN)/python -m pytest -q $(PARALLEL)

lint: $(READY) ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) ## time the main computations on this machine
	$(BIN)/python scripts/benchmark.py

lock: $(READY) ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --no-header --generate-hashes \
		--python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean: ## remove .venv, caches and outputs
	rm -rf .venv outputs dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "syneff needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
