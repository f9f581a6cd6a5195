# The two commands of this project: `make tables` and `make test`. Those of its developers: CONTRIBUTING.md.

PYTHON ?= python3
CORES ?= all
LOCK ?=
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: tables test quick lint coverage docs lock clean

## results/tables.csv and results/report.html of the small study (config.yaml)
tables: $(INSTALLED)
	snakemake --cores $(CORES) results/tables.csv results/report.html
	@echo "Open results/report.html; the numbers are in results/tables.csv."

## all tests that this machine can run, a file of tests at a time on each core
test: $(INSTALLED) lint
	python -m pytest --numprocesses auto --dist loadfile

## the tests that start no Snakemake and register no whole heads: a few minutes
quick: $(INSTALLED)
	python -m pytest --numprocesses auto --dist loadfile -m "not workflow and not slow"

## how much of the code the tests run, by file; HTML in htmlcov
coverage: $(INSTALLED)
	python -m pytest --numprocesses auto --dist loadfile --cov --cov-report=term --cov-report=html

## the documentation as pages in docs/_build; a warning is an error
docs: $(INSTALLED)
	python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build
	@echo "Read docs/_build/index.html."

## requirements.lock from pyproject.toml, with the versions it has; LOCK=--upgrade takes the newest
lock:
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	uv pip compile --quiet --extra dev --python-version 3.11 --no-annotate --custom-compile-command "make lock" \
		--output-file requirements.lock $(LOCK) pyproject.toml >/dev/null

lint: $(INSTALLED)
	ruff check src tests benchmarks docs
	ruff format --check src tests benchmarks docs
	lint-imports
	mypy

clean:
	rm -rf .venv results logs resources .snakemake docs/_build htmlcov

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(INSTALLED)
