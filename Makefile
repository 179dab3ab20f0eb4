PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SUITES ?= all

.PHONY: install demo test check bench clean

# Everything that needs the network happens here: packages, then base weights into the user's cache.
install: $(VENV)/installed
	@$(BIN)/cellwright models pull

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cellwright needs Python 3.11 or newer.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: install
	CELLWRIGHT_OFFLINE=1 $(BIN)/cellwright demo --out demo

test: install
	$(BIN)/python -m pytest

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/cellwright eval $(SUITES)

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache
