# Two commands on a fresh machine: `make book` and `make test`. `make help` lists the others.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/installed
PIP   := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The CPU and the CUDA build of one torch release share this pin; tools/lock.sh says more.
TORCH := 2.13.0
# The first Python here that is new enough; `make book PYTHON=/path/to/python` names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PORT ?= 8000
PYTEST_ARGS ?=

PACKAGE := $(shell find sdmvae_lite -name '*.py')
PAGES   := $(shell find book -type f) _config.yml _toc.yml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup book serve lab test lint format hooks lock address colab-rehearsal clean FORCE

help:  ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(STAMP)  ## make .venv from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.lock
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

book: _build/html/index.html  ## execute the chapters and render _build/html/index.html

# Chapters run side by side, one a core and each on one thread: for networks of this size a second
# gains little, and on a busy machine it costs much.
_build/html/index.html: export OMP_NUM_THREADS := 1
_build/html/index.html: $(STAMP) _build/outputs $(PAGES)
	@echo "Executing what has changed (some minutes the first time) ..."
	@$(BIN)/python tools/execute_chapters.py _build/.jupyter_cache book/*.ipynb
	$(BIN)/jupyter-book build book --path-output . \
		--config _config.yml --toc $(CURDIR)/_toc.yml --warningiserror --keep-going

# Executed chapters are kept between builds. They are forgotten when the code behind them, or what
# they were asked to run on, is no longer the same.
_build/outputs: $(STAMP) $(PACKAGE) _build/settings
	@rm -rf _build/.jupyter_cache _build/.doctrees
	@touch $@

_build/settings: FORCE
	@mkdir -p _build
	@echo "$(SDMVAE_PRESET) $(SDMVAE_CORPUS)" | cmp -s - $@ \
		|| echo "$(SDMVAE_PRESET) $(SDMVAE_CORPUS)" >$@

serve: book  ## serve the rendered book on this machine
	@echo "The book is at http://127.0.0.1:$(PORT) (Ctrl-C stops)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html >/dev/null 2>&1

lab: setup  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --notebook-dir book

test: lint  ## check the style, then run every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: setup  ## check the style of code and notebooks
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup  ## put code and notebooks in order
	$(BIN)/python tools/strip_notebooks.py book
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

hooks: setup  ## refuse commits with notebooks that carry outputs
	@ln -sf ../../tools/pre-commit "$$(git rev-parse --git-path hooks)/pre-commit"

lock:  ## resolve pyproject.toml anew into requirements.lock
	@PYTHON="$(PYTHON)" tools/lock.sh $(TORCH)

address: setup  ## move the book to another repository: URL=https://github.com/you/fork
	@$(BIN)/python tools/set_address.py $(URL)

colab-rehearsal: setup  ## run every chapter as Colab would, with Colab's packages
	OMP_NUM_THREADS=1 $(BIN)/python tools/colab_rehearsal.py

clean:  ## forget the environment, the book and every cache
	rm -rf $(VENV) _build build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
