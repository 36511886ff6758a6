# Everything a person needs, from a fresh machine: git, make and Python 3.11+ with pip.
PORT ?= 8000
SIMULATOR_PORT ?= 8090
DATA ?= data
PYTHON ?= python3

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := .venv/bin/python

.PHONY: demo test lint setup bench

setup: .venv/.synced

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

.venv/.synced: uv.lock pyproject.toml .python-version $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)
	$(UV) sync --quiet --locked
	@touch $@

demo: setup
	DATA_DIR=$(abspath $(DATA)) $(RUN) -m batchllm.demo --port $(PORT) --simulator-port $(SIMULATOR_PORT)

# The suite twice: everything on SQLite, then what touches the database on PostgreSQL.
test: setup
	TEST_DB=sqlite $(RUN) -m pytest
	TEST_DB=postgresql $(RUN) -m pytest

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy jobs batchllm
