# `make` shows what there is. Everything runs in .venv, installed from the lock files; nothing else is touched.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
STACK ?= auto
SCENARIO ?= cold_burst
ARGS ?=
# Relative, because make has no names with spaces.
TOOLS := .tools
# The real Toxiproxy, where `make toxiproxy` has built it, is what the proxy's tests compare with.
export PATH := $(CURDIR)/$(TOOLS):$(PATH)
BIN := $(VENV)/bin

.PHONY: help
help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "coldstart needs Python 3.11 or newer: make PYTHON=python3.12 (found $$($(PYTHON) -V))"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "$(PYTHON) can't make a virtual environment: install its venv package"; exit 2; }

# uv reads none of pip's settings, so the index and the certificates that pip knows of are passed on to it.
PIP_SETTING = $$($(BIN)/pip config list 2>/dev/null | sed -n "s/^.*\.$(1)='\(.*\)'$$/\1/p" | tail -1)
define UV_INSTALL
	@index="$(call PIP_SETTING,index-url)"; [ -z "$$index" ] || export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; \
	cert="$(call PIP_SETTING,cert)"; [ -z "$$cert" ] || export SSL_CERT_FILE="$${SSL_CERT_FILE:-$$cert}"; \
	$(BIN)/uv pip install --quiet --python "$(INTO)"
endef
INTO = $(BIN)/python

$(BIN)/uv: $(BIN)/python requirements-uv.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/installed: $(BIN)/uv requirements.lock pyproject.toml
	@echo "Installing into $(VENV) ..."
	$(UV_INSTALL) --require-hashes -r requirements.lock
	$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-notebooks: $(VENV)/installed requirements-notebooks.lock
	@echo "Installing what notebooks need into $(VENV) ..."
	$(UV_INSTALL) --require-hashes -r requirements-notebooks.lock
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	@echo "Installing the development tools into $(VENV) ..."
	$(UV_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: setup dev
setup: $(VENV)/installed ## Make the virtual environment
dev: $(VENV)/installed-dev ## The same, with the development tools

.PHONY: coldstart
coldstart: $(VENV)/installed ## Replay a cold start and compare the pools (STACK=, SCENARIO=, ARGS=)
	@$(BIN)/coldstart run $(SCENARIO) --stack $(STACK) $(ARGS)

.PHONY: report
report: $(VENV)/installed ## Write the newest run's report.html (RUN=)
	@$(BIN)/coldstart report $(or $(RUN),newest)

.PHONY: postmortem
postmortem: $(VENV)/installed ## Write the newest run's postmortem.md (RUN=, ARGS=)
	@$(BIN)/coldstart postmortem $(or $(RUN),newest) $(ARGS)

.PHONY: notebooks
notebooks: $(VENV)/installed-notebooks ## Execute the notebooks on the newest run (RUN=; RUN=sample: as they are committed)
	@$(BIN)/python -m benchmarks.notebooks $(RUN)

.PHONY: test lint types check
test: $(VENV)/installed-dev ## Run the whole test suite
	@tests/with-backtraces $(BIN)/python -m pytest -n auto -m "not quiet" $(ARGS)
	@tests/with-backtraces $(BIN)/python -m pytest -m quiet $(ARGS) || [ $$? -eq 5 ]
lint: $(VENV)/installed-dev ## Check format and lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
types: $(VENV)/installed-dev ## Check the types
	@$(BIN)/mypy
check: lint types test docs-check ## Everything a change must pass

.PHONY: fuzz audit
fuzz: $(VENV)/installed-dev ## Fuzz every parser and protocol, for hours (FUZZ_EXAMPLES= of each, ARGS=)
	@$(BIN)/python -m pytest -n auto tests/fuzz --hypothesis-profile=fuzz $(ARGS)
audit: $(VENV)/installed-dev ## Ask for known vulnerabilities of what the lock files pin (needs the network)
	@$(BIN)/python -m benchmarks.audit $(ARGS)

# Mutants are made beside the checkout's files, in mutants/.
.PHONY: mutation
mutation: $(VENV)/installed-dev ## Change the rules one at a time, and list the changes that no fast test notices
	@$(BIN)/mutmut run $(ARGS)
	@$(BIN)/mutmut results

.PHONY: format
format: $(VENV)/installed-dev ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: docs-check
docs-check: $(VENV)/installed-dev ## Check that the documents agree with the code
	@$(BIN)/python -m pytest -q tests/docs $(ARGS)

.PHONY: bench
bench: $(VENV)/installed-dev $(TOOLS)/toxiproxy-server ## Measure, and write the tables of docs/benchmarks.md
	@$(BIN)/python -m benchmarks.proxy_throughput
	@$(BIN)/python -m benchmarks.load_lateness
	@$(BIN)/python -m benchmarks.load_workers
	@$(BIN)/python -m benchmarks.simulation_speed
	@$(BIN)/python -m benchmarks.cluster
	@$(BIN)/python -m benchmarks.starting
	@$(BIN)/python -m benchmarks.simulation_limit
	@$(BIN)/python -m benchmarks.sweeps
	@$(BIN)/python -m benchmarks.beside
	@$(BIN)/python -m benchmarks.lint_speed
	@$(BIN)/python -m benchmarks.large_run
	@$(BIN)/python -m benchmarks.recommending
	@$(BIN)/python -m benchmarks.gate

.PHONY: soak
soak: $(VENV)/installed-dev ## Churn, storms and wakes on the proxy for an hour: does it grow? (docs/reliability.md, ARGS=--minutes 5)
	@$(BIN)/python -m benchmarks.soak $(ARGS)
.PHONY: drills
drills: $(VENV)/installed-dev ## Do every fault to a real run, in each of its phases, and look at what is left (ARGS="--only SIGINT --jobs 2")
	@$(BIN)/python -m benchmarks.drills $(ARGS)

.PHONY: pools pools-agreement
pools: $(VENV)/installed-dev ## Grade four pools in virtual time, and write the tables of docs/pools.md
	@$(BIN)/python -m benchmarks.pools
pools-agreement: $(VENV)/installed-dev ## The pools of asyncpg and psycopg_pool on both stacks (docs/pools.md)
	@$(BIN)/python -m benchmarks.agreement --libraries $(ARGS)

.PHONY: agreement agreement-language agreement-versions agreement-applications theory kernel
agreement: $(VENV)/installed-dev ## Compare the simulated stack with the embedded one (docs/simulation.md)
	@$(BIN)/python -m benchmarks.agreement $(ARGS)
agreement-language: $(VENV)/installed-dev ## The same for every word of docs/scenarios.md
	@$(BIN)/python -m benchmarks.agreement_language $(ARGS)
agreement-applications: $(VENV)/installed-dev ## The example applications on both stacks (docs/applications.md)
	@$(BIN)/python -m benchmarks.agreement_applications $(ARGS)
agreement-versions: $(VENV)/installed-dev ## Compare SQLAlchemy 2.0 and 2.1 with asyncpg 0.31 and 0.32
	@$(BIN)/python -m benchmarks.agreement_versions $(ARGS)
theory: $(VENV)/installed-dev ## Compare the simulated stack with closed forms (docs/simulation.md)
	@$(BIN)/python -m benchmarks.theory
kernel: $(VENV)/installed-dev ## Measure what this kernel does where nobody answers, beside the model (ARGS=--long)
	@$(BIN)/python -m benchmarks.kernel $(ARGS)

# No environment of its own: the clones make theirs.
.PHONY: fresh
fresh: ## Run the README's commands on clones in unusual places, with each Python that can be had (ARGS=)
	@$(PYTHON) benchmarks/fresh.py $(ARGS)

# A public application, in an environment of its own. Private, or what it is made with would be put there too.
PREFECT := $(TOOLS)/prefect
$(PREFECT)/installed: private INTO = $(PREFECT)/bin/python
$(PREFECT)/installed: examples/prefect/requirements.txt $(VENV)/installed
	@echo "Installing Prefect into $(PREFECT) ..."
	@rm -rf $(PREFECT) && $(PYTHON) -m venv --without-pip $(PREFECT)
	$(UV_INSTALL) --require-hashes -r examples/prefect/requirements.txt
	@touch $@

.PHONY: example-prefect
example-prefect: $(PREFECT)/installed ## Play Prefect's server in virtual time, and check it against its results.csv
	@$(BIN)/python -m benchmarks.examples --check --prefect $(PREFECT) prefect

.PHONY: scenarios
scenarios: $(VENV)/installed-dev ## Play every scenario on both stacks and write the table (STACKS="simulated embedded")
	@$(BIN)/python -m benchmarks.scenarios $(or $(STACKS),simulated embedded)

.PHONY: toxiproxy
toxiproxy: $(TOOLS)/toxiproxy-server ## Build the real Toxiproxy (needs Go), for the tests that compare with it
$(TOOLS)/toxiproxy-server:
	@mkdir -p $(TOOLS)
	GOBIN="$(CURDIR)/$(TOOLS)" go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
	@mv $(TOOLS)/server $@

# Every lock file works with pip as with uv: hashes, no index, and extras pinned as they are required.
LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-strip-extras --no-header --quiet $(LOCK_ARGS)
.PHONY: lock
lock: LOCK_ARGS ?= --upgrade
lock: $(BIN)/uv ## Pin the dependencies anew (LOCK_ARGS=: only what pyproject.toml changed)
	$(LOCK) --group pyproject.toml:setup --output-file requirements-uv.lock
	$(LOCK) pyproject.toml --extra all --group build --output-file requirements.lock
	$(LOCK) pyproject.toml --extra all --extra notebooks --constraints requirements.lock \
		--output-file requirements-notebooks.lock
	$(LOCK) pyproject.toml --extra all --extra notebooks --extra dask --group dev --constraints requirements-notebooks.lock \
		--output-file requirements-dev.lock
	$(LOCK) examples/prefect/requirements.in --output-file examples/prefect/requirements.txt

.PHONY: clean
clean: ## Remove the virtual environment, the built tools and the caches; runs are kept
	rm -rf $(VENV) $(TOOLS) mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis
