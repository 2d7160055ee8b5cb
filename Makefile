# Two commands for a fresh clone, with nothing but Python 3.11+ and make:
#
#   make digits    set up .venv, with the native backend, and train the digit recogniser on MNIST
#   make test      set up .venv and run the quick tests, one of each kind
#
# Everything is installed into .venv, once; it is brought up to date when pyproject.toml changes.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
  BIN := .venv/Scripts
else
  BIN := .venv/bin
endif

.PHONY: help digits page-model test test-all test-every docs package lint size bench kills fuzz memory clean

help:
	@echo "make digits      train the digit recogniser on MNIST (a few seconds)"
	@echo "make test        run the quick tests: one of each kind; seven minutes on two cores"
	@echo "make test-all    run the slow ones too, as .ci/run does; twelve minutes on two cores"
	@echo "make test-every  run each cell of each table of tests; twenty minutes"
	@echo "make page-model  train the model that comes with miniflow anew; some five minutes"
	@echo "make docs        build the site into build/site; a quarter of a minute"
	@echo "make package     build a wheel and a source distribution, and use them in an empty environment"
	@echo "make lint        formatting, lint and types"
	@echo "make bench       race against the peers (RACE=mlp-128 for one); takes a while"
	@echo "make kills       kill a training 200 times and compare the bits; a minute"
	@echo "make fuzz        100,000 nearly right files and command lines; a quarter of an hour"
	@echo "make memory      a million training steps, and the memory; some minutes"
	@echo "make size        lines of code per room"
	@echo "make clean       remove .venv and everything that was generated"

digits: .venv/for-running
	@$(BIN)/miniflow train

# A module's tests stay together in one process: its fixtures are made once.
IN_PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

# Tests start many processes: what one has compiled to bytecode is kept for the next.
test test-all test-every: export PYTHONDONTWRITEBYTECODE :=

test: .venv/for-testing
	@$(BIN)/python -m pytest $(IN_PARALLEL) -m "not slow"

test-all: .venv/for-testing
	@$(BIN)/python -m pytest $(IN_PARALLEL) -m "not rare"

test-every: .venv/for-testing
	@$(BIN)/python -m pytest $(IN_PARALLEL)

lint: .venv/for-testing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# Strict: a link, an anchor or a name that leads nowhere ends it.
docs: export NO_MKDOCS_2_WARNING := 1

docs: .venv/for-testing
	@$(BIN)/python -m mkdocs build --strict
	@echo "build/site/index.html"

package: .venv/for-testing
	@$(BIN)/python tools/smoke_test.py

# The model that `miniflow page` takes where nothing has been trained: seed and options say all.
page-model: .venv/for-testing
	@$(BIN)/miniflow train --model cnn --augment --epochs 30 --seed 0 --backend native \
		--out build/page-model --force
	@cp build/page-model/model.safetensors src/miniflow/shipped/digits.safetensors

size: .venv/for-running
	@$(BIN)/python benchmarks/size.py

bench:
	@$(PYTHON) benchmarks/run.py $(RACE)

kills: .venv/for-testing
	@$(BIN)/python tests/faults/kill_and_resume.py --kills 200

fuzz: .venv/for-testing
	@$(BIN)/python tests/faults/fuzz.py --inputs 100000

memory: .venv/for-testing
	@$(BIN)/python tests/faults/memory.py --steps 1000000
	@$(BIN)/python tests/faults/memory.py --steps 100000 --backend interpreter

# A marker file says what .venv has been set up for. The tests need more than running does.
# A module is compiled to bytecode when it is first imported: pip would take a minute for all of them.
.venv/for-running: pyproject.toml | .venv/python-is-ready
	@echo "Setting up .venv: installing miniflow and what it needs ..."
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable ".[native]"
	@touch $@

.venv/for-testing: pyproject.toml | .venv/python-is-ready
	@echo "Setting up .venv: installing miniflow and its tools for development ..."
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable ".[dev]"
	@touch $@ .venv/for-running

.venv/python-is-ready:
	@$(PYTHON) tools/create_venv.py .venv
	@touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
