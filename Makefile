# Needs Python 3.11 or newer and make; everything else is installed below this folder.

.DEFAULT_GOAL := help
.PHONY: help run test check format deploy lock clean

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
STACK ?= hailback
RUNTIME ?= python3.13
ARCHITECTURE ?= arm64

READY := .venv/.ready
BIN := .venv/bin
SAM := .hailback/venv/sam/bin/sam
TEMPLATES = template.yaml $(wildcard infra/*.yaml infra/local/*.yaml)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header $(if $(UPGRADE),--upgrade)

help:  ## Show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: $(READY)  ## Try it here: everything on this machine, samples delivered. ONCE=1 ends by itself, JSON=file keeps the table
	$(BIN)/hailback run $(if $(ONCE),--once) $(if $(JSON),--json $(JSON))

test: $(READY)  ## All tests, those on the deployed local stack too. ARGS='-k forum' goes to pytest
	$(BIN)/python -m pytest -n 2 --dist loadscope $(ARGS)

check: $(READY) $(SAM)  ## The gate: format, lint, strict types, templates, layering
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cfn-lint $(TEMPLATES)
	AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-central-1} SAM_CLI_TELEMETRY=0 $(SAM) validate --lint
	$(BIN)/python -m pytest --quiet tests/test_imports.py tests/test_template.py

format: $(READY)  ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

deploy: $(READY) $(SAM)  ## To your AWS account. STACK=, RUNTIME=, ARCHITECTURE=, PARAMETERS='PublicUrl=… LogDays=90', YES=1
	LAYER_TARGET=lambda LAYER_PY=$(RUNTIME:python%=%) LAYER_ARCH=$(ARCHITECTURE) SAM_CLI_TELEMETRY=0 \
	  LAYER_INSTALL='"$(CURDIR)/$(BIN)/python" -m pip install --quiet --disable-pip-version-check' $(SAM) build
	SAM_CLI_TELEMETRY=0 $(SAM) deploy --stack-name $(STACK) --resolve-s3 --capabilities CAPABILITY_IAM \
	  $(if $(YES),--no-confirm-changeset,--confirm-changeset) --no-fail-on-empty-changeset \
	  --parameter-overrides Runtime=$(RUNTIME) Architecture=$(ARCHITECTURE) $(PARAMETERS)

lock: $(READY)  ## Write the lock files anew. UPGRADE=1 takes newer versions
	$(COMPILE) pyproject.toml -o infra/layers/requirements.lock
	$(COMPILE) pyproject.toml --extra tool --group dev -c infra/layers/requirements.lock -o requirements.lock
	$(COMPILE) infra/local/ministack.in -o infra/local/ministack.lock
	$(COMPILE) infra/local/sam.in -o infra/local/sam.lock
	$(COMPILE) infra/local/roundup/requirements.in -o infra/local/roundup.lock

clean:  ## Remove all that was installed, built or kept here
	rm -rf .venv .hailback .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml infra/local/install.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say where it is: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python infra/local/install.py
	@touch $@

$(SAM): infra/local/sam.lock $(READY)
	@$(BIN)/python -c "from pathlib import Path; from connectors.tool.venvs import ensure_venv; ensure_venv('sam', Path('$<'))"
	@touch $@
