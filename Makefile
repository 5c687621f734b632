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

.PHONY: tools models try-models gpu-fit peers validate pruning pruning-all caches demo check test test-rtl mutants test-all lint types contract docs unit bench clocks studies reproduce clean

# what no pip can install, on Debian and Ubuntu: a browser that looks at pages, a standard-cell library
tools:
	sh .ci/tools

# models with real weights, 0.3 GB: packages of third parties, of which files alone are read
models: $(VENV)/.models

demo: $(VENV)/.run
	$(BIN)/hwsim demo --out out/demo

# 2 minutes: style, types, import contract, links and unit tests, documents
check: $(VENV)/.dev
	$(MAKE) -j 2 --output-sync=target types unit lint contract docs

# 10 minutes: all of Python, one smallest build of each block of RTL, the shortest proofs
test: $(VENV)/.dev try-models
	$(PYTEST) --warm -m "not rtl and not nightly"

# 30 minutes: all builds, proofs, synthesis, cocotb
test-rtl: $(VENV)/.dev
	$(PYTEST) --warm -m rtl

# an hour: generated faults through the benches of the RTL; the kept page has the scores and what survived
mutants: $(VENV)/.dev
	$(BIN)/python -m tests.support.mutants --minutes 60
	mkdir -p reports/mutants
	cp out/mutants/report.md reports/mutants/README.md
	cp out/mutants/scores.csv reports/mutants/

# a night: all of the above, full sizes, floor of coverage, many kills, every planted fault, both papers again, benchmarks
test-all: $(VENV)/.dev try-models
	$(PYTEST) --warm
	$(BIN)/python -m tests.support.faults
	$(BIN)/python -m tests.support.mutants --minutes 60 --floor 90
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

# every cell of the page on pruning, hours: kept as they come, those that are there are not run
pruning-all: $(VENV)/.run $(VENV)/.models
	$(BIN)/hwsim pruning --store reports/pruning/cells

# cache methods on a real language model, half an hour: kept as they come, those that are there are not run; the kept page
caches: $(VENV)/.run $(VENV)/.models
	$(BIN)/hwsim cache --budget 64,256 --context 512,1024 --tokens 16 --seeds 3 --windows 2 --needles 3 \
	  --store reports/caches/cells --out out/caches
	mkdir -p reports/caches/figures
	cp out/caches/report.md reports/caches/README.md
	cp out/caches/figures/*.svg reports/caches/figures/

# the clocks that modules reach on an ECP5, placed and routed; the kept tables of docs/clock.md
clocks: $(VENV)/.dev
	mkdir -p reports/clocks
	for name in sat spatten; do \
	  $(BIN)/hwsim synth $$name --place ecp5 --out out/clocks/$$name || exit 1; \
	  cp out/clocks/$$name/clocks.csv reports/clocks/$$name.csv; \
	done

# figures of others beside ours, misses first; the kept page
validate: $(VENV)/.run
	$(BIN)/hwsim validate --out out/validation
	rm -rf reports/validation/figures
	mkdir -p reports/validation/figures
	cp out/validation/report.md reports/validation/README.md
	cp out/validation/figures/*.svg reports/validation/figures/

# seconds and memory beside SCALE-Sim, ZigZag and Verilator, half an hour; peers are installed into out/peers
peers: $(VENV)/.dev
	$(BIN)/python -m tests.bench.peers --venvs out/peers --out hwsim/systolic/peers.json

# the page on pruning from the kept cells, three of which are measured again; the kept page
AGAIN := smollm2-135m_magnitude_2_4_seed0,smollm2-135m_wanda_2_4_seed0,smollm2-135m_sparsegpt_2_4_seed0
pruning: $(VENV)/.run $(VENV)/.models
	$(BIN)/hwsim pruning --draw --again $(AGAIN) --store reports/pruning/cells --out out/pruning
	rm -rf reports/pruning/figures
	mkdir -p reports/pruning/figures
	cp out/pruning/report.md reports/pruning/README.md
	cp out/pruning/figures/*.svg reports/pruning/figures/

# the fitted numbers of the measured GPUs, minutes: fits them anew, says their errors
gpu-fit: $(VENV)/.run
	$(BIN)/python -m hwsim.tensor24.gpu.fit

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

MODELS = sh .ci/models "$(PIP)" $(BIN)/hwsim $(VENV)/.models
$(VENV)/.models: algorithms/models/catalog.py | $(VENV)/.run
	@$(MODELS)

# of tests: without a network those that need a model are skipped
try-models: $(VENV)/.run
	@$(MAKE) -q $(VENV)/.models || $(MODELS) try

clean:
	rm -rf $(VENV) out build *.egg-info
