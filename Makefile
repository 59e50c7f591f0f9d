# The two commands of the README are `make demo` and `make test`. Each target makes what it needs:
# .venv from the hashed lock, and the broker's jars. `make PYTHON=/path/to/python3.11` names another
# interpreter; QUICK=1 runs one month of the demo instead of the year.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
PACKAGES := .venv/.packages
PROJECT := .venv/.project
BROKER := .venv/.broker
PEERS := .venv/.peers
CODE := agents streams schemas tests
# test processes, each with a broker of its own
JOBS ?= 2
PROVE = $(BIN)/python -m pytest --timeout=3600 $(if $(ONLY),-k '$(ONLY)') -v -rA \
    --show-capture=stdout --results=docs/proof/results.json tests
COMPILE = $(BIN)/pip-compile $(if $(UPGRADE),--upgrade) --quiet --generate-hashes --allow-unsafe \
    --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.PHONY: help demo test prove soak bench differential check lint format lock up servers down clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

demo: $(PROJECT) $(BROKER) ## a year of a real shop through a real Kafka (QUICK=1: one month)
	@$(BIN)/tillstream demo $(if $(QUICK),--quick)

test: $(PROJECT) $(BROKER) ## every test but the long proofs and the benchmarks
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# first what runs in memory, on all cores; then what starts a broker, which needs them for itself
prove: $(PROJECT) $(BROKER) ## the long proofs (ONLY=faults: by a word of their names; SEED=n)
	@$(PROVE) -m 'prove and not integration' -n $(JOBS) --dist worksteal || memory=$$?; \
	    $(PROVE) -m 'prove and integration' || broker=$$?; \
	    $(BIN)/python -m tests.prove.promises; \
	    case "$${memory:-0} $${broker:-0}" in '0 0' | '0 5' | '5 0') ;; *) exit 1 ;; esac  # 5: none

soak: $(PROJECT) $(BROKER) ## the live pipeline at half its rate (MINUTES=20, RATE=), into docs/proof
	$(BIN)/python -m tests.prove.soak --minutes $(or $(MINUTES),20) $(if $(RATE),--rate $(RATE))

differential: $(PROJECT) ## segments against brute force at length (N=1000000 checks)
	$(BIN)/python -m tests.streams.segments.differential --checks $(or $(N),1000000)

bench: $(PROJECT) $(BROKER) $(PEERS) ## the benchmarks (docs/speed.md)
	$(BIN)/python -m pytest -m bench --timeout=3600 --capture=no

check: lint test ## what CI runs

lint: $(PROJECT) ## format, lint, types, import contracts, tidiness
	$(BIN)/ruff format --check --quiet . || { echo 'not formatted: make format'; exit 1; }
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/tidiness/check.py $(CODE)

format: $(PROJECT) ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(PACKAGES) ## write requirements/*.txt anew (UPGRADE=1: with newer versions)
	CUSTOM_COMPILE_COMMAND='make lock' $(COMPILE) --extra dev \
	    --output-file requirements/lock.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(COMPILE) --extra bench --constraint requirements/lock.txt \
	    --output-file requirements/bench.txt pyproject.toml

up: $(PROJECT) $(BROKER) ## the live pipeline, until Ctrl-C (WORKERS=n, DEFINITIONS=folder)
	@$(BIN)/tillstream up $(if $(WORKERS),--workers $(WORKERS)) \
	    $(if $(DEFINITIONS),--definitions $(DEFINITIONS))

servers: ## the real servers, in containers (needs Docker)
	@command -v docker >/dev/null || { echo 'make servers needs Docker; make up, demo and test do not'; exit 1; }
	docker compose --profile observability up --detach --wait

down: ## stop the containers; their data stay
	docker compose --profile observability down

clean: ## forget what was built (not the demo's data, not the fetched jars)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist

$(PACKAGES): requirements/lock.txt
	@PYTHON='$(PYTHON)' requirements/install.sh packages
	@touch $@

$(PROJECT): pyproject.toml $(PACKAGES)
	@requirements/install.sh project
	@touch $@

$(PEERS): requirements/bench.txt $(PACKAGES)
	@requirements/install.sh bench
	@touch $@

$(BROKER): agents/embedded/kafka.jars $(PROJECT)
	@$(BIN)/python -m agents.embedded.kafka fetch
	@touch $@
