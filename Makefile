# Everything a person needs, from a fresh machine: git, make and Python 3.11+ with pip. `make help` lists it.
PORT ?= 8000
SIMULATOR_PORT ?= 8090
DATA ?= data
PYTHON ?= python3

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := .venv/bin/python

.PHONY: help demo test lint setup

help:  ## list what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 16

setup: .venv/.synced  ## install the locked dependencies into .venv/ (and uv into .uv/, if there is none)

.uv/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .uv uv

.venv/.synced: uv.lock pyproject.toml .python-version $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)
	$(UV) sync --quiet --locked
	@touch $@

demo: setup  ## run the demo until Ctrl-C; PORT=, SIMULATOR_PORT= and DATA= move it
	DATA_DIR=$(abspath $(DATA)) $(RUN) -m batchllm.demo --port $(PORT) --simulator-port $(SIMULATOR_PORT)

# The suite twice: everything on SQLite, then what touches the database on PostgreSQL.
test: setup  ## run all tests
	TEST_DB=sqlite $(RUN) -m pytest
	TEST_DB=postgresql $(RUN) -m pytest

lint: setup  ## check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy jobs batchllm
	@# Its wheel is there for Linux alone.
	if [ -x .venv/bin/hadolint ]; then .venv/bin/hadolint Dockerfile; fi
