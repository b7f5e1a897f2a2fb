PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: dev test lint bench soak clean

dev: $(READY)
	@$(BIN)/streams dev functions

# All of it with a worker for each core; what ARGS names in one process, which is the quicker way for a file.
test: $(READY)
	@$(BIN)/python -m pytest $(or $(ARGS),-n auto --maxprocesses 4 --dist worksteal)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/python -m tests.benchmarks $(ARGS)

# Kills, freezes and cut lines under load, chosen by a seed: make soak SEED=7 ARGS="--parts 20"
soak: $(READY)
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) $(ARGS)

clean:
	rm -rf $(VENV) .streams tests/benchmarks/peers/node_modules tests/benchmarks/peers/*/node_modules tests/clients/*/node_modules tests/typescript/node_modules tests/deploy/osls/node_modules .build .serverless dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Made again only when the dependencies change; every version is pinned by constraints.txt.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Streams needs Python 3.11 or later; this is %s. Set PYTHON=/path/to/python3.11 and try again." % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Installing into $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,test]'
	@touch $@
