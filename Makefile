# `make` alone prints what there is. Needs Python 3.11-3.13, git and make; everything else is fetched into .venv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

UV_VERSION := 0.13.9
# The first Python that fits, unless PYTHON names one.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo "$$name" && break; done)
# A uv on the PATH serves; else one of our own. Recursive on purpose: .uv may be made on the way.
UV = $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
BIN := .venv/bin
STAMP := .venv/.installed

# uv does not compile to bytecode by itself, and then every import of the big libraries is slow.
export UV_COMPILE_BYTECODE := 1
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export DAGSTER_DISABLE_TELEMETRY := 1

# Variables that people set: make run DATASET=cdnow TENURE_HOME=/data/tenure
DATASET ?=
ORDERS ?=
ARGS ?=
PORT ?= 3000
dataset_option = $(if $(DATASET),--dataset "$(DATASET)")

.PHONY: help
help: ## Print this
	@echo "Tenure. make <target>:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'
	@echo
	@echo "  make run DATASET=cdnow              another data set: a name in datasets/, or a mapping file"
	@echo "  make run TENURE_HOME=/data/tenure   another place for everything that is written (default ./warehouse)"
	@echo "  make test ARGS='-k lock -x'         options for pytest"
	@echo "  make bench ORDERS=1000000,10000000  several sizes, and how time grows with them"

.PHONY: setup
setup: $(STAMP) ## Install everything locked in requirements.lock into .venv (the other targets do it themselves)

.PHONY: run
run: $(STAMP) ## Load, build, check and publish the data set; nothing new: nothing done
	@$(BIN)/tenure run $(dataset_option) $(ARGS)

.PHONY: test
test: $(STAMP) ## Run all tests
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: bench
bench: $(STAMP) ## Measure the full build beside hand-written SQL, Polars and pandas (ORDERS=10000000; minutes)
	@$(BIN)/python -m benchmarks $(if $(ORDERS),--orders "$(ORDERS)") $(ARGS)

.PHONY: dev
dev: $(STAMP) ## Open Dagster at 127.0.0.1:3000 (PORT=…): lineage, checks, schedule, sensor
	@$(BIN)/tenure dev $(dataset_option) --port $(PORT)

.PHONY: lint
lint: $(STAMP) ## Check style and types: ruff, mypy, sqlfluff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
		TENURE_WORK="$$work" $(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models

.PHONY: format
format: $(STAMP) ## Let ruff put the Python code into form
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

.PHONY: lock
lock: .venv/bin/python ## Resolve pyproject.toml anew into requirements.lock
	@$(UV) pip compile pyproject.toml --universal --python-version 3.11 --all-extras \
		--group bench --group dev --group test --group lint \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet \
		--output-file requirements.lock

.PHONY: clean
clean: ## Remove caches and what dbt left; published versions and .venv stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_project/target dbt_project/logs logs
	@find . -path ./.venv -prune -o -path ./.uv -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml .venv/bin/python
	@echo "Installing the locked dependencies into .venv (once; a few minutes the first time)"
	@$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python .venv/bin/python --no-deps --editable .
	@touch $@

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Tenure needs Python 3.11, 3.12 or 3.13 on the PATH (or: make PYTHON=/path/to/python)." >&2; exit 1; fi
	@if ! uv --version >/dev/null 2>&1 && ! .uv/bin/uv --version >/dev/null 2>&1; then \
		echo "Installing uv into .uv"; rm -rf .uv; \
		if ! "$(PYTHON)" -m venv .uv 2>/dev/null || ! .uv/bin/python -m pip --version >/dev/null 2>&1; then rm -rf .uv; \
			echo "$(PYTHON) cannot make a virtual environment with pip: install its venv package (Debian, Ubuntu:" \
			"apt-get install python3-venv), or install uv yourself." >&2; exit 1; fi; \
		.uv/bin/python -m pip install --quiet "uv==$(UV_VERSION)"; fi
	@$(UV) venv --quiet --no-python-downloads --python "$$(command -v "$(PYTHON)")" .venv
