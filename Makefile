PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test lint bench table2 clean

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.train  ## install, then run the whole way on a synthetic corpus (minutes)
	$(BIN)/gapkit demo

test: $(VENV)/.dev  ## install with the dev extra, then run the test suite
	$(BIN)/pytest

lint: $(VENV)/.dev  ## style, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## time gapkit side by side with other libraries
	$(BIN)/pytest bench/*.py --benchmark-only --benchmark-columns=min,median,max,rounds

table2: $(VENV)/.dev  ## the paper's Table 2 in small, on a synthetic corpus; AUDIOSET=FOLDER: and on AudioSet
	$(BIN)/python bench/table2.py $(if $(AUDIOSET),--audioset $(AUDIOSET))

clean:  ## remove the virtual environment
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'gapkit needs Python 3.11 or newer; name one: make PYTHON=python3.11'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.train tests/stranger/pyproject.toml
	$(INSTALL) -e '.[dev]'
	$(INSTALL) --no-deps tests/stranger
	@touch $@
