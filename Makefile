# make book     set up, run the notebooks that are stale, build the book     (PROFILE=quick|full)
# make pdf      also the whole book on paper, _build/pdf/fsrepro.pdf; needs Chromium
# make check    look at each built page in Chromium, if it is installed
# make test     set up, run all tests (TESTS=all: with all that is drawn by chance)
# make verify   recompute a part of every published experiment, compare with results/full
# make genn     build the simulator GeNN into .venv       make test-genn  run its tests
# make lab      open the notebooks in JupyterLab
# make bench    time the spiking network against the trained one, and against other simulators
# make lint     check style and types     make readme     refill the README's table     make clean

SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: book pdf check test verify test-genn genn lab bench lint readme clean FORCE

# Two notebooks at a time, each mostly on one core; unless -j says otherwise, or several goals are
# named, which stay one after the other.
ifeq (,$(filter -j% --jobserver%,$(MAKEFLAGS))$(word 2,$(MAKECMDGOALS)))
MAKEFLAGS += -j2
endif

PROFILE ?= quick
TESTS ?=
PYTHON ?= python3
BIN := .venv/bin
export PROFILE
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Twice as fast on processors where TensorFlow leaves it off; the same kernels everywhere.
export TF_ENABLE_ONEDNN_OPTS ?= 1
# Time steps in vectors of 512 bits on processors that have them: up to twice as fast, the same bits.
export XLA_FLAGS ?= --xla_cpu_prefer_vector_width=512

# Two tests or notebooks at a time: threads of BLAS would wait for each other, up to twenty times over.
# Those of TensorFlow cost tests a sixth of their time; a notebook that runs alone has use for them.
test book: export OPENBLAS_NUM_THREADS = 1
test: export TF_NUM_INTRAOP_THREADS = 1
test: export TF_NUM_INTEROP_THREADS = 1

LIBRARY := $(shell find fsrepro -name '*.py' -o -name '*.json' -o -name '*.csv' | sort)
NOTEBOOKS := $(basename $(notdir $(wildcard notebooks/[0-9][0-9]_*.py)))
EXECUTED := $(NOTEBOOKS:%=book/notebooks/%.ipynb)
PARAMETERS := $(NOTEBOOKS:%=book/notebooks/.%.yml)
FIGURES := book/figures/.drawn
MATHJAX := book/static/mathjax/tex-svg.js
PLOTLY := book/static/explorer/plotly.min.js
NEURON := book/static/neuron/codes.js
RUNS := book/static/explorer/runs.js
NETWORK := book/static/network/network.js
ENVIRONMENT := .venv/.complete
PAGES := _build/html/.complete
# What pages are made of, beside what is made for them.
WRITTEN := $(shell find book README.md _config.yml results/full -type f -not -path 'book/notebooks/*' -not -path 'book/figures/*' -not -name '*.pyc')

book: $(PAGES)
	echo "The book is in _build/html/index.html (profile $(PROFILE))"

$(PAGES): $(EXECUTED) $(FIGURES) $(MATHJAX) $(PLOTLY) $(NEURON) $(RUNS) $(NETWORK) $(WRITTEN) $(LIBRARY) Makefile
	$(BIN)/jupyter-book build book -W --keep-going --quiet
	$(BIN)/python book/check_pages.py
	touch $@

# After the pages, because both builds keep their state in _build/.doctrees.
pdf: book
	$(BIN)/jupyter-book build book --builder singlehtml -W --keep-going --quiet
	$(BIN)/python book/print.py

check: $(ENVIRONMENT)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m built tests

test: $(ENVIRONMENT)
	FSREPRO_TESTS=$(TESTS) $(BIN)/python -m pytest -n 2 --dist worksteal

verify: $(ENVIRONMENT)
	$(BIN)/python notebooks/verify.py

test-genn: $(ENVIRONMENT)
	$(BIN)/python -c "import pygenn, ml_genn" || { echo "GeNN is not installed: make genn"; exit 1; }
	$(BIN)/python -m pytest -m genn

# Built from source. With pybind11 3.1 GeNN 5.4 turns integer parameters into doubles.
genn: $(ENVIRONMENT)
	export PIP_CONSTRAINT=$(CURDIR)/constraints-genn.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints-genn.txt
	$(BIN)/python -m pip install --disable-pip-version-check -e .[genn]

# A double click opens a notebook as a notebook, not as text.
lab: $(ENVIRONMENT)
	mkdir -p .venv/share/jupyter/lab/settings
	echo '{"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"python": "Jupytext Notebook"}}}' \
		> .venv/share/jupyter/lab/settings/overrides.json
	$(BIN)/jupyter lab $(LAB_OPTIONS)

bench: $(ENVIRONMENT)
	$(BIN)/python benchmarks/few_spikes.py
	$(BIN)/python benchmarks/peers.py

lint: $(ENVIRONMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

readme: $(ENVIRONMENT)
	$(BIN)/python book/readme.py

clean:
	rm -rf _build book/notebooks book/figures results/quick results/tiny results/verify

# The lock file pins and hashes every package, uv first, which installs the others sooner
# than pip would; pip does where uv reaches no packages, as behind a mirror that only pip is told of.
# The project itself is installed in place. Compiled by all cores afterwards.
$(ENVIRONMENT): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	pip="$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile"
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	$$pip --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --no-cache --python $(BIN)/python --require-hashes -r requirements.lock \
		|| { echo "uv could not; pip tries, which takes longer"; $$pip --require-hashes -r requirements.lock; }
	$$pip --no-build-isolation --no-deps -e .
	$(BIN)/python -m compileall -qq -j 0 .venv/lib || true  # some packages ship files for other Pythons
	touch $@

# Each notebook's own parameters, written anew where they changed: another profile makes all
# notebooks stale, another value in a profile only the notebook that reads it.
book/notebooks/.parameters: FORCE $(ENVIRONMENT)
	@$(BIN)/python notebooks/parameters.py $(PROFILE) $(@D)

$(PARAMETERS): book/notebooks/.parameters ;

book/notebooks/%.ipynb: book/notebooks/.%.yml notebooks/%.py notebooks/run.py notebooks/parameters.py $(LIBRARY) $(ENVIRONMENT)
	$(BIN)/python notebooks/run.py $* --profile $(PROFILE) --output $@

$(FIGURES): book/draw.py book/export_runs.py book/provenance.py book/cards.py fsrepro/figures.py fsrepro/experiments/figures.py fsrepro/experiments/results.py $(wildcard results/full/* checkpoints/*) $(if $(filter full,$(PROFILE)),$(EXECUTED)) | $(ENVIRONMENT)
	$(BIN)/python book/draw.py
	$(BIN)/python book/provenance.py
	$(BIN)/python book/cards.py
	touch $@

# One file sets all equations without a network, one draws the explorer; packages of the lock file
# ship them.
$(MATHJAX): PACKAGE := sphinx-mathjax-offline
$(PLOTLY): PACKAGE := plotly
$(MATHJAX) $(PLOTLY): | $(ENVIRONMENT)
	@mkdir -p $(@D)
	$(BIN)/python -c "from importlib.metadata import files; import shutil; shutil.copy(next(f.locate() for f in files('$(PACKAGE)') if f.name == '$(@F)'), '$@.partial')"
	mv $@.partial $@

# The runs that the explorer of the first page shows.
$(RUNS): book/export_runs.py results/full/headline.csv $(LIBRARY) | $(ENVIRONMENT)
	$(BIN)/python book/export_runs.py

# The tables behind the page "A neuron to play with".
$(NEURON): book/export_codes.py $(wildcard fsrepro/codes/*.py fsrepro/codes/*.json) | $(ENVIRONMENT)
	$(BIN)/python book/export_codes.py

# The networks behind the page "A network to play with".
$(NETWORK): book/export_network.py $(LIBRARY) | $(ENVIRONMENT)
	$(BIN)/python book/export_network.py
