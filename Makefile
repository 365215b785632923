# What a developer does here. Needed beforehand: Python 3.11 or newer, and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test check bench format lock clean

help: ## Print this list
	@grep -hE '^[a-z]+:.* ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.* ## /  make \1\t/' | expand -t 16

setup: $(VENV)/.demo ## Set up .venv with what EventBridge needs to run

demo: $(VENV)/.demo ## Play sample sessions on embedded servers and watch them arrive (ARGS="…" are passed on)
	@$(BIN)/eventbridge demo $(ARGS)

test: $(VENV)/.dev kafka ## Run all tests on the best servers there are (ARGS="…" go to pytest)
	@$(BIN)/pytest $(ARGS)

check: $(VENV)/.dev ## Lint, format, types, import contracts, documentation
	@$(BIN)/python scripts/check.py $(ARGS)

bench: $(VENV)/.dev kafka ## Measure the relay beside the plain job, on real Kafka and Redis
	@$(BIN)/python -m benchmarks $(ARGS)

format: $(VENV)/.dev ## Format the code and mend what the linter can
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links pyproject.toml --group build
lock: $(VENV)/.dev ## Write the hashed requirements anew (UPGRADE=--upgrade takes newer versions)
	@$(COMPILE) --extra demo --extra speed $(UPGRADE) --output-file requirements.txt
	@$(COMPILE) --all-extras --group tools --constraint requirements.txt $(UPGRADE) --output-file requirements-dev.txt

clean: ## Remove the environment, caches and what was fetched
	@rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The environments: what `make demo` needs, and on top of it what developing needs.

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "EventBridge needs Python 3.11 or newer, this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)

define install
	@echo "Installing what $(1) names into $(VENV)"
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement $(1)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/.demo: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(call install,requirements.txt)

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(VENV)/bin/python
	$(call install,requirements-dev.txt)
	@touch $(VENV)/.demo

# Without Maven there is no Apache Kafka; the tests then say so and run on the embedded servers.
.PHONY: kafka
kafka:
	@scripts/fetch-kafka || [[ "$${EVENTBRIDGE_TEST_SERVERS:-embedded}" == embedded ]]
