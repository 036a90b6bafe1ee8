# Everything a user or a contributor runs. `make help` lists it.
PYTHON ?= python3
PORT ?= 8000
DATA ?= data
TEST_PROCESSES ?= 2
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev test lint format bench lock docs

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: setup ## Start the platform with its starter models (PORT=, DATA=, ONCE=1 to exit after the first result)
	@$(BIN)/replicate-server quickstart --port $(PORT) --data-dir $(DATA) --models-dir models $(if $(ONCE),--once)

setup: ## Install everything into .venv
	@$(PYTHON) tools/setup.py

setup-dev:
	@$(PYTHON) tools/setup.py --dev

test: setup-dev ## Run every test, or those of ARGS= (TEST_PROCESSES= side by side)
	@$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder $(ARGS)

lint: setup-dev ## Check format, style, types, import contracts, sizes
	@$(BIN)/ruff format --check --quiet . || (echo "run: make format"; exit 1)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy packages/cog/src packages/replicate/src packages/replicate-server/src tools bench tests
	@$(BIN)/python tools/check_test_types.py
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/tidy.py

format: setup-dev ## Rewrite the source in the project's format
	@$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format --quiet .

bench: setup-dev ## Measure against peers in the same run
	@$(BIN)/python -m bench $(ARGS)

lock: setup-dev ## Rewrite the lock files after a dependency changed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTHON) tools/lock.py
