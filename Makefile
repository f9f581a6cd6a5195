# The two commands of this project: `make tables` and `make test`.

PYTHON ?= python3
CORES ?= all
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: tables test lint clean

## results/tables.csv of the small study (config.yaml)
tables: $(INSTALLED)
	snakemake --cores $(CORES) results/tables.csv
	@echo "Read results/tables.md; the numbers are in results/tables.csv."

## all tests that this machine can run, a file of tests at a time on each core
test: $(INSTALLED) lint
	python -m pytest --numprocesses auto --dist loadfile

lint: $(INSTALLED)
	ruff check src tests benchmarks docs
	ruff format --check src tests benchmarks docs
	lint-imports

clean:
	rm -rf .venv results logs resources .snakemake

# torch first and exactly: a looser request may bring gigabytes of CUDA packages.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(INSTALLED)
