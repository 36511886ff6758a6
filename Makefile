# Everything a person needs, from a fresh machine: git, make and Python 3.11+ with pip. `make help` lists it.
PORT ?= 8000
SIMULATOR_PORT ?= 8090
DATA ?= data
SEEDS ?= 1000
ROUNDS ?= 10
PYTHON ?= python3

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := .venv/bin/python

.PHONY: help demo test test-sqlite test-postgresql bench chaos lint setup

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

# The suite twice: everything on SQLite, then what touches the database on PostgreSQL. Not side by side:
# what kills and freezes real processes needs the machine's cores.
test: test-sqlite test-postgresql  ## run all tests

test-sqlite: setup
	TEST_DB=sqlite $(RUN) -m pytest

test-postgresql: setup
	TEST_DB=postgresql $(RUN) -m pytest

bench: setup  ## measure against bare clients in the same run; writes bench/latest.json
	$(RUN) -m bench

# The faults of docs/guarantees.md that need real processes, files, sockets and databases.
FAULTS := tests/installation tests/providers tests/datasets/test_interruptions.py tests/engine tests/notices/test_delivery.py

chaos: setup  ## break everything on purpose: SEEDS= histories of the engine, ROUNDS= times all faults
	TEST_DB=sqlite $(RUN) -m tests.simulation --seeds $(SEEDS)
	TEST_DB=postgresql $(RUN) -m tests.simulation --seeds $$(( ($(SEEDS) + 9) / 10 ))
	for round in $$(seq $(ROUNDS)); do \
		TEST_DB=sqlite $(RUN) -m pytest $(FAULTS) && TEST_DB=postgresql $(RUN) -m pytest $(FAULTS) || exit 1; \
	done

lint: setup  ## check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy jobs batchllm
	@# Its wheel is there for Linux alone.
	if [ -x .venv/bin/hadolint ]; then .venv/bin/hadolint Dockerfile; fi
