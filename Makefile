# One environment for everything, made once and made anew only when the dependencies change.
# A Python of your own: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
DEMO_DIR ?= demo

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint docs bench fuzz clean

help:
	@echo "make demo   compare pruned and dense networks with PCA on digits; results in $(DEMO_DIR)/"
	@echo "make test   run all tests, docstring examples included"
	@echo "make coverage  run them again, and tell which lines and branches they leave out"
	@echo "make lint   check style, format, types, docstrings and spelling"
	@echo "make docs   build the documentation into docs/_build/html"
	@echo "make bench  time, memory and size beside other libraries, about half an hour; results in docs/"
	@echo "make fuzz   try damaged files and other things drawn at random for MINUTES=10"
	@echo "make clean  remove the environment, results and caches"

# Editable, so that a change of the sources needs no second installation.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " \
		+ sys.version.split()[0] + "; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

demo: $(STAMP)
	$(VENV)/bin/python -m skactprune compare --output $(DEMO_DIR)

# A process a core, and one thread in each.
test: $(STAMP)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile

# Branches, too; at least 95 % of them. Twice the time of the tests.
coverage: $(STAMP)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile --cov

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m numpydoc lint $$(git ls-files 'skactprune/*.py')
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell

# Runs the examples; DOCS_FLAGS='-D plot_gallery=0' leaves them.
docs: $(STAMP)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group docs
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m sphinx --fail-on-warning --keep-going $(DOCS_FLAGS) docs docs/_build/html

# Wants idle cores. An interrupted run goes on; BENCH_FLAGS=--fresh begins anew.
bench: $(STAMP)
	$(VENV)/bin/python -m benchmarks $(BENCH_FLAGS)

MINUTES ?= 10

fuzz: $(STAMP)
	cd tests && PYTHONPATH=.. ../$(VENV)/bin/python -m fuzz --minutes $(MINUTES)

clean:
	rm -rf $(VENV) $(DEMO_DIR) bench build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* docs/_build docs/auto_examples docs/api/generated
	find skactprune tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
