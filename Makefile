# Firstspike: every target sets up .venv by itself; nothing needs to be activated.
#   PYTHON=python3.12   interpreter for .venv
#   INDEX=URL           extra package index, e.g. one that serves CPU builds of PyTorch

PYTHON ?= python3
INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-slow lint docs bench clean
.DEFAULT_GOAL := run

run: $(READY)  ## build the hardware, run the bundled model on it, compare with the golden model
	$(BIN)/firstspike demo

test: $(READY)  ## every test but the slow tier
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: $(READY)  ## real models; a skipped test is a failure here
	FIRSTSPIKE_NO_SKIP=1 $(BIN)/python -m pytest -q -m slow

lint: $(READY)  ## style, docstrings, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## write the generated pages of docs/
	$(BIN)/python -m tools.docs

bench: $(READY)  ## numbers of the closing notes: loader, accuracy, speed
	$(BIN)/python -m tools.bench

$(READY): pyproject.toml requirements-test.lock tools/bootstrap.py
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing; install Python 3.11 or newer, or name it with PYTHON="; exit 2; }
	@$(PYTHON) tools/bootstrap.py $(if $(INDEX),--index $(INDEX))
	@touch $@

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
