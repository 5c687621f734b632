# `make demo`, `make check` and `make test` are all a stranger needs; each makes its own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
# torch's CPU threads spin while they wait: sleeping is faster on a busy machine
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 0

# tests on all cores, the longest first; kernels are compiled once before
PYTEST := $(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder

.PHONY: tools demo check test test-rtl test-all lint types contract docs unit bench studies reproduce clean

# what no pip can install, on Debian and Ubuntu: a browser that looks at pages, a standard-cell library
tools:
	sh .ci/tools

demo: $(VENV)/.run
	$(BIN)/hwsim demo --out out/demo

# 2 minutes: style, types, import contract, links and unit tests, documents
check: $(VENV)/.dev
	$(MAKE) -j 2 --output-sync=target types unit lint contract docs

# 10 minutes: all of Python, one smallest build of each block of RTL, the shortest proofs
test: $(VENV)/.dev
	$(PYTEST) --warm -m "not rtl and not nightly"

# 30 minutes: all builds, proofs, synthesis, cocotb, floor of coverage
test-rtl: $(VENV)/.dev
	$(PYTEST) --warm -m rtl

# a night: all of the above, full sizes, many kills, every planted fault, both papers again, benchmarks
test-all: $(VENV)/.dev
	$(PYTEST) --warm
	$(BIN)/python -m tests.support.faults
	$(MAKE) bench
	$(MAKE) reproduce

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contract: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/python -m pytest tests/unit

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --site-dir out/site

bench: $(VENV)/.dev
	$(BIN)/python -m pytest tests/bench --benchmark-only --benchmark-disable-gc

# the kept results of the shipped sweeps
STUDIES := $(notdir $(patsubst %/spec.yaml,%,$(wildcard reports/studies/*/spec.yaml)))
studies: $(VENV)/.run
	for name in $(STUDIES); do \
	  $(BIN)/hwsim sweep $$name --out out/$$name || exit 1; \
	  cp out/$$name/report.md reports/studies/$$name/README.md; \
	  cp out/$$name/results.parquet reports/studies/$$name/; \
	  mkdir -p reports/studies/$$name/figures; cp out/$$name/figures/*.png reports/studies/$$name/figures/; \
	done

# every claim of both papers; the kept page
reproduce: $(VENV)/.run
	$(BIN)/hwsim reproduce --out out/reproduction
	rm -rf reports/reproduction
	mkdir -p reports/reproduction
	cp -r out/reproduction/figures out/reproduction/study reports/reproduction/
	cp out/reproduction/report.md reports/reproduction/README.md
	rm -f reports/reproduction/figures/*.png

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first, by its exact version: a looser request may choose a build with gigabytes of GPU libraries
$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) torch==2.13.0
	$(PIP) -e '.[train,report,sweep,synth]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.run
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) out build *.egg-info
