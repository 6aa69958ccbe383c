# make demo   set everything up and train on the demo tasks, without the Hub (about two minutes on two cores)
# make test   set everything up and run the tests
# make test-current   the same in an environment of its own, with the newest libraries and without adapters
# make test-lowest    the same with the lowest supported versions
# make lint   format, lint, annotations and docstrings, types: what the continuous integration checks first
# make slow   the tests that take minutes
# make bench-quick   compare ratios of speed with stored ones, in two minutes; fails if one has fallen by more than 10 %
# make docs   build the documentation site in build/site, strictly and without a network
# make dist   build the source distribution and the wheel in build/dist, and check their metadata
# make clean  remove what make installed; runs/ is kept

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
STACK ?= adapters,train
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)

.PHONY: demo test test-current test-lowest slow bench-quick lint docs dist clean

demo: $(VENV)/.installed-train
	$(BIN)/python training/multitask.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-current:
	$(MAKE) test VENV=.venv-current CONSTRAINTS=constraints-current.txt STACK=train

test-lowest:
	$(MAKE) test VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt

slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

bench-quick: $(VENV)/.installed-test
	$(BIN)/python benchmarks/quick.py

lint: $(VENV)/.installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/python -m mkdocs build --strict --quiet

dist: $(VENV)/.installed-dist
	rm -rf build/dist
	$(BIN)/python -m build --outdir build/dist
	$(BIN)/python -m twine check --strict build/dist/*

clean:
	rm -rf $(VENV) .venv-current .venv-lowest build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "metaeval needs Python 3.10 or later, found " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-train: $(BIN)/python setup.py $(CONSTRAINTS)
	@echo "Installing metaeval and what it trains with into $(VENV) ..."
	$(INSTALL) --editable '.[$(STACK)]'
	@touch $@

$(VENV)/.installed-test: $(BIN)/python setup.py $(CONSTRAINTS)
	@echo "Installing metaeval and what it is tested with into $(VENV) ..."
	$(INSTALL) --editable '.[$(STACK),tensorboard,analysis,serve,onnx,test]'
	@touch $@

$(VENV)/.installed-lint: $(VENV)/.installed-test
	$(INSTALL) --editable '.[lint]'
	@touch $@

$(VENV)/.installed-docs: $(BIN)/python setup.py $(CONSTRAINTS)
	@echo "Installing metaeval and what its documentation is built with into $(VENV) ..."
	$(INSTALL) --editable '.[$(STACK),docs]'
	@touch $@

$(VENV)/.installed-dist: $(BIN)/python setup.py $(CONSTRAINTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'build>=1.2' 'twine>=6.1'
	@touch $@
