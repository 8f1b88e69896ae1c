# make lab     set everything up and open JupyterLab on the notebooks
# make test    set everything up, lint, type-check and run every test
# make report  set everything up and write digits going MAD as HTML files to read offline
# make offline  set everything up and fill the folder offline/, from which a class installs without a network
# make clean   remove the environment and what was built; runs and reports stay

PYTHON ?= python3
NOTEBOOKS ?= 06_digits_fully_synthetic 07_digits_augmentation_and_fresh
ARGS ?=
BIN = .venv/bin

.PHONY: lab test lint report offline clean

lab: .venv/installed
	$(BIN)/madlab lab $(ARGS)

report: .venv/installed
	set -e; for name in $(NOTEBOOKS); do $(BIN)/madlab report $$name $(ARGS); done

offline: .venv/installed
	$(BIN)/python scripts/offline.py $(ARGS)

test: lint
	sh scripts/browser.sh
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e .
	touch $@

.venv/installed-test: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[test]'
	touch .venv/installed $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
