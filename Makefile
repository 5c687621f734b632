# `make demo` and `make test` are all a stranger needs; both make their own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
# torch's CPU threads spin while they wait: sleeping is faster on a busy machine
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 0

.PHONY: demo test lint bench studies reproduce clean

demo: $(VENV)/.run
	$(BIN)/hwsim demo --out out/demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

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
