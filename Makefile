# Firstspike: every target sets up .venv by itself; nothing needs to be activated.
#   PYTHON=python3.12   interpreter for .venv
#   INDEX=URL           extra package index, e.g. one that serves CPU builds of PyTorch
#   BOARD=ulx3s-85f     board of `make bitstream`

PYTHON ?= python3
INDEX ?=
BOARD ?= ulx3s-85f
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AREA := $(VENV)/.area
# A file of tests shares its simulations.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.PHONY: run test test-slow lint docs bitstream bench bench-area clean
.DEFAULT_GOAL := run

run: $(READY)  ## build the hardware, run the bundled model on it, compare with the golden model
	$(BIN)/firstspike demo

test: $(READY)  ## every test but the slow tier
	$(BIN)/python -m pytest -q $(PARALLEL) -m "not slow"

test-slow: $(READY) $(AREA)  ## real models; a skipped test is a failure here
	FIRSTSPIKE_NO_SKIP=1 $(BIN)/python -m pytest -q $(PARALLEL) -m slow

lint: $(READY)  ## style, docstrings, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## write the generated pages of docs/
	$(BIN)/python -m tools.docs
	$(BIN)/python -m tools.constraints

bitstream: $(AREA)  ## a bitstream and its report, in build/BOARD; installs synthesis, place and route first
	$(BIN)/python -m hw.build --board $(BOARD) --out build/$(BOARD)

bench: $(AREA)  ## numbers of the closing notes: loader, accuracy, speed; a line of docs/history.md
	$(BIN)/python -m tools.bench
	$(BIN)/python -m hw.build --board ulx3s-85f --out build/ulx3s-85f
	$(BIN)/python -m tools.history build/ulx3s-85f/report.json

bench-area: $(AREA)  ## cells and clock on an ECP5; installs synthesis, place and route first
	$(BIN)/python -m tools.area

$(READY): pyproject.toml requirements-test.lock tools/bootstrap.py
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing; install Python 3.11 or newer, or name it with PYTHON="; exit 2; }
	@$(PYTHON) tools/bootstrap.py $(if $(INDEX),--index $(INDEX))
	@touch $@

$(AREA): $(READY) requirements-area.lock
	@$(PYTHON) tools/bootstrap.py --lock requirements-area.lock $(if $(INDEX),--index $(INDEX))
	@touch $@

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
