# Everything sets itself up on a machine with Python (3.11 or newer), pip and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
# Journals that the published pages are made from; of two records of one cell the later counts.
RESULTS ?= $(sort $(wildcard benchmarks/results*.jsonl.gz))

.PHONY: help demo test check bench quick leaderboard method-pages peers peers-bench methods-bench microsimulation format samples clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	@touch $@

demo: $(VENV)/.installed ## Impute SCF wealth to CPS households on the bundled samples, into out/demo
	rm -rf out/demo
	$(BIN)/microimpute demo --out out/demo

test: $(VENV)/.installed-dev ## Run all tests
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed-dev ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench ## All numbers of docs/performance.md (SCF=SCFP2019.zip CPS=cps.csv.gz)
	@test -f "$(SCF)" -a -f "$(CPS)" || { echo "Say where the files are: make bench SCF=SCFP2019.zip CPS=cps.csv.gz"; exit 2; }
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/scoring_scale.py
	$(BIN)/python benchmarks/full_job.py --scf $(SCF) --cps $(CPS)
	$(BIN)/python benchmarks/same_population.py $(SCF)
	$(BIN)/python benchmarks/heldout.py $(SCF)

quick: $(VENV)/.installed ## Score the methods on two small tasks, into out/quick
	rm -rf out/quick
	$(BIN)/microimpute benchmark quick --out out/quick

leaderboard: $(VENV)/.installed ## Make docs/benchmarks.md again from the committed results
	$(BIN)/microimpute leaderboard $(RESULTS) --title "Benchmark results" --out out/leaderboard
	cp out/leaderboard/leaderboard.md docs/benchmarks.md

method-pages: $(VENV)/.installed ## Make docs/methods again from the code and the committed results
	$(BIN)/python scripts/make_method_pages.py docs/methods $(RESULTS) benchmarks/nets.jsonl.gz

PEERS     ?= .venv-peers
PYTHON312 ?= python3.12

# One environment per package, all versions pinned. microimpute 3.1.4 wants Python 3.12; its name is ours, too.
$(PEERS)/%/.installed: benchmarks/peers/%.txt
	$(if $(filter microimpute,$*),$(PYTHON312),$(PYTHON)) -m venv $(PEERS)/$*
	$(PEERS)/$*/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

peers: $(PEERS)/quantile_forest/.installed $(PEERS)/microimpute/.installed $(PEERS)/ctgan/.installed ## Make the environments of the packages that we are compared with

peers-bench: peers $(VENV)/.installed-bench ## All numbers of docs/peers.md but mice's (DATA=folder with the surveys' files)
	@test -d "$(DATA)" || { echo "Say where the files are: make peers-bench DATA=folder"; exit 2; }
	MICROIMPUTE_PEERS=$(PEERS) $(BIN)/python benchmarks/peers.py --data $(DATA)

methods-bench: $(VENV)/.installed-bench ## Time, memory, tails and dilution of the methods (SCF=SCFP2019.zip)
	@test -f "$(SCF)" || { echo "Say where the file is: make methods-bench SCF=SCFP2019.zip"; exit 2; }
	$(BIN)/python benchmarks/methods_scale.py
	$(BIN)/python benchmarks/tails.py
	$(BIN)/python benchmarks/tails.py --power 0.25
	$(BIN)/python benchmarks/dilution.py $(SCF)

microsimulation: $(VENV)/.installed-dev ## Run the tests that need Tax-Calculator and PolicyEngine, in environments of their own (2.4 GB)
	$(BIN)/python scripts/test_microsimulation.py

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

samples: $(VENV)/.installed-dev ## Make the bundled samples again (needs SCF=... and CPS=...)
	$(BIN)/python scripts/make_samples.py $(SCF) $(CPS)

clean: ## Remove the environment and all results
	rm -rf $(VENV) $(PEERS) out .pytest_cache .mypy_cache .ruff_cache .hypothesis
