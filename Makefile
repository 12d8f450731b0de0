# `make` prints this help. Nothing but Python 3.11 (venv, pip) and make is needed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# The stamp names the interpreter, so that another Python makes another environment.
INTERPRETER := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
STAMP := $(VENV)/.installed-$(INTERPRETER)

export HYTHE_TEST_PG := $(or $(PG),$(HYTHE_TEST_PG),18)
# Each has a stack of its own; two are what two cores can carry.
WORKERS ?= 2
HADOLINT ?= $(shell command -v hadolint)
HELM ?= $(shell command -v helm)
export HYTHE_TEST_S3 := $(or $(S3),$(HYTHE_TEST_S3),juicefs)

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Make the virtual environment and install everything

$(STAMP): pyproject.toml
	@if [ -z "$(INTERPRETER)" ]; then echo "No Python: install 3.11 or newer, or say PYTHON=/path/to/python3." >&2; exit 1; fi
	@if ! $(PY) -c 'import platform; assert platform.python_version() == "$(INTERPRETER)"' 2>/dev/null; then \
		$(PYTHON) -m venv --clear $(VENV); fi
	@echo "Installing into $(VENV) (about half a minute the first time)" >&2
	@$(PY) -m pip install --disable-pip-version-check --quiet --editable '.[dev]'
	@mkdir -p $(VENV)/googleapis
	@cd $(VENV)/lib/python3*/site-packages && cp --parents google/api/{annotations,http,httpbody}.proto google/rpc/{status,error_details}.proto ../../../googleapis/
	@touch $@

.PHONY: proto
proto: $(STAMP) ## Generate gen/ and the gateway's descriptors from protos/
	$(PY) protos/generate.py

.PHONY: baseline
baseline: $(STAMP) ## Take the protos as they are for what later ones must not break
	$(BIN)/buf build protos --exclude-source-info -o protos/baseline.binpb

.PHONY: fmt
fmt: $(STAMP) ## Format the code, mend what can be mended
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .


.PHONY: lint
lint: $(STAMP) ## Check style, types, layers, protos, the gateway's configuration and the chart
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf breaking protos --against protos/baseline.binpb
	$(PY) -m deploy.local validate-gateway
	$(PY) -m deploy.chart.lint

.PHONY: test
test: $(STAMP) ## Run all tests on free ports (PG=16: the older PostgreSQL; TESTS=tests/unit: only those; WORKERS=2)
	$(PY) -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

.PHONY: test-ldap
test-ldap: $(STAMP) ## Read 100,000 entries of a real slapd (SLAPD=/path/to/slapd), where there is one
	HYTHE_TEST_SLAPD="$(or $(SLAPD),$(shell PATH="$$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec" command -v slapd))" \
		$(PY) -m pytest -q -s -rs tests/integration/fetcher/test_slapd.py

.PHONY: test-mysql
test-mysql: $(STAMP) ## Read tables of a real MariaDB or MySQL (MYSQLD=/path/to/mysqld), where there is one
	HYTHE_TEST_MYSQLD="$(or $(MYSQLD),$(shell PATH="$$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec" command -v mariadbd mysqld | head -1))" \
		$(PY) -m pytest -q -s -rs tests/integration/fetcher/test_mysqld.py

.PHONY: test-backup
test-backup: $(STAMP) ## Restore PostgreSQL to an earlier moment under a stack that has gone on, and see it come to rest
	$(PY) -m pytest -q tests/operations/test_backup.py

.PHONY: test-upgrade
test-upgrade: $(STAMP) ## Run the end-to-end tests of the previous tag on the schema of this tree (TESTS=tests/e2e/…)
	$(PY) -m tests.operations.upgrade -q -n $(WORKERS) --dist loadfile $(or $(TESTS),tests/e2e)

.PHONY: image-lint
image-lint: ## Check the Dockerfile (HADOLINT=/path/to/hadolint), where there is a hadolint
	@if [ -n "$(HADOLINT)" ]; then "$(HADOLINT)" --failure-threshold style deploy/docker/Dockerfile && echo "image-lint: clean"; \
		else echo "image-lint: skipped, because there is no hadolint on PATH."; fi

.PHONY: image-lock
image-lock: $(STAMP) ## Pin the packages of the images anew, after a change of the dependencies
	$(PY) -m deploy.docker lock

.PHONY: image-test
image-test: $(STAMP) ## Run the install steps of the Dockerfile in a clean environment, and what they install
	$(PY) -m pytest -q tests/operations/test_image.py

.PHONY: sbom
sbom: $(STAMP) ## List the packages of the images, by CycloneDX: dist/hythe.cdx.json
	$(PY) -m deploy.docker sbom

.PHONY: chart-docs
chart-docs: $(STAMP) ## Generate what in the chart is made of other files: Envoy's configuration, the schema, the README
	$(PY) -m deploy.chart

.PHONY: chart-lint
chart-lint: $(STAMP) ## Lint the chart with every example (HELM=/path/to/helm: by that one, too)
	$(PY) -m deploy.chart --check
	$(PY) -m deploy.chart.lint
	@if [ -n "$(HELM)" ]; then for file in deploy/k8s/ci/*-values.yaml; do "$(HELM)" lint --strict --quiet deploy/k8s --values "$$file"; done; \
		else echo "chart-lint: no helm on PATH, so only the one in the virtual environment."; fi

.PHONY: chart-test
chart-test: $(STAMP) ## Test what the chart renders: schemas, security, network, Envoy, alerts
	$(PY) -m pytest -q -n $(WORKERS) --dist loadfile tests/chart

.PHONY: up
up: $(STAMP) ## Start the local stack (PROFILE=observability: with a collector of spans)
	@HYTHE_LOCAL_PROFILE="$(PROFILE)" $(PY) -m deploy.local up

.PHONY: down
down: $(STAMP) ## Stop it; the data stays
	@$(PY) -m deploy.local down

.PHONY: reset
reset: $(STAMP) ## Stop it and remove its data, logs and credentials
	@$(PY) -m deploy.local reset

.PHONY: status
status: $(STAMP) ## Show the processes of the local stack
	@$(PY) -m deploy.local status

.PHONY: logs
logs: $(STAMP) ## Show the newest log lines (PROCESS=worker for one, FOLLOW=1 to go on)
	@$(PY) -m deploy.local logs $(PROCESS) $(if $(FOLLOW),--follow)

.PHONY: env
env: $(STAMP) ## Print KEY=value lines: addresses and development credentials
	@$(PY) -m deploy.local env

.PHONY: demo
demo: up ## Start the stack and import a sample file through the gateway
	@$(PY) -m cli.demo

.PHONY: bench
bench: $(STAMP) ## Measure, and print each figure beside its floor
	$(PY) -m bench

.PHONY: chaos
chaos: $(STAMP) ## Break a running stack in every way there is a test for (JOBS=100, SEED= of the random run)
	JOBS=$(JOBS) SEED=$(SEED) $(PY) -m pytest -q -s -m chaos tests/chaos

.PHONY: chaos-random
chaos-random: $(STAMP) ## The random run alone: make chaos-random JOBS=500 SEED=7
	JOBS=$(JOBS) SEED=$(SEED) $(PY) -m pytest -q -s -m chaos tests/chaos/test_random.py

.PHONY: migration
migration: $(STAMP) ## Write a migration from what schema/ has changed: make migration NAME=add_something
	@test -n "$(NAME)" || { echo "Say what it does: make migration NAME=add_something" >&2; exit 1; }
	$(PY) -m deploy.local migration "$(NAME)"

.PHONY: openapi
openapi: $(STAMP) ## Generate the OpenAPI documents of the dialects from the protos
	$(PY) -m gateway.openapi

.PHONY: check
check: lint generated test ## Lint, generated code, tests: before every push

.PHONY: generated
generated: $(STAMP)
	$(PY) protos/generate.py --check
	$(PY) -m gateway.openapi --check
	$(PY) -m deploy.chart --check
