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

PACKAGE := $(shell find sdmvae_lite -name '*.py' -o -name '*.safetensors')
PAGES   := $(shell find book -type f -not -path '*/.*' -not -path '*/__pycache__/*') \
	_config.yml _toc.yml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup book pdf serve lab test lint format hooks lock address colab-rehearsal bench clean FORCE

help:  ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(STAMP)  ## make .venv from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@"$(PYTHON)" -m venv $(VENV)
	@$(PIP) -r requirements.lock
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

book: _build/html/index.html  ## execute the chapters and render _build/html/index.html

_build/html/index.html: $(STAMP) $(PACKAGE) $(PAGES) _build/outputs _build/contents
	$(BIN)/jupyter-book build book --path-output . \
		--config _config.yml --toc "$$PWD/_toc.yml" --warningiserror --keep-going
	@touch $@

# The tool knows what is to be executed, by content, and touches this file when an output is new.
# Chapters run side by side, one a core and each on one thread: for networks of this size a second
# gains little, and on a busy machine it costs much.
_build/outputs: export OMP_NUM_THREADS := 1
_build/outputs: $(STAMP) FORCE
	@$(BIN)/python tools/execute_chapters.py _build book/*.ipynb

# Other programs, or another table of contents: every page is rendered anew, and none is left over.
_build/contents: $(STAMP) _toc.yml $(wildcard book/_ext/*.py)
	@rm -rf _build/.doctrees _build/html _build/jupyter_execute
	@mkdir -p _build
	@touch $@

pdf: book  ## print the rendered book into _build/book.pdf, with Chromium
	@$(BIN)/python tools/print_book.py _build/html _build/book.pdf

serve: book  ## serve the rendered book on this machine, until Ctrl-C
	@$(BIN)/python -u -m http.server "$(PORT)" --bind 127.0.0.1 --directory _build/html 2>/dev/null \
		|| { echo "port $(PORT) is not free here: make serve PORT=8001 takes another" >&2; exit 1; }

lab: setup  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --notebook-dir book

test: lint  ## check style and types, then run every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
		--cov --cov-report term-missing:skip-covered $(PYTEST_ARGS)

lint: setup  ## check the style of code and notebooks, and the package's types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup  ## put code and notebooks in order
	$(BIN)/python tools/strip_notebooks.py book
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

hooks: setup  ## refuse commits with notebooks that carry outputs
	@prefix="$$(git rev-parse --show-prefix 2>/dev/null)" && [ -z "$$prefix" ] \
		|| { echo "$$PWD is no git repository, and has no hooks" >&2; exit 1; }; \
	hook="$$(git rev-parse --git-path hooks)/pre-commit"; ours="$$PWD/tools/pre-commit"; \
	if [ "$$(readlink "$$hook")" = "$$ours" ]; then exit 0; fi; \
	if [ -e "$$hook" ]; then \
		echo "$$hook exists already: call tools/pre-commit from it, or remove it" >&2; exit 1; \
	fi; \
	mkdir -p "$$(dirname "$$hook")" && ln -sf "$$ours" "$$hook"

lock:  ## resolve pyproject.toml anew into requirements.lock
	@PYTHON="$(PYTHON)" tools/lock.sh $(TORCH)

address: setup  ## move the book to another repository: URL=https://github.com/you/fork
	@$(BIN)/python tools/set_address.py "$$URL"

colab-rehearsal: setup  ## run every chapter as Colab would, with Colab's packages
	OMP_NUM_THREADS=1 $(BIN)/python tools/colab_rehearsal.py

bench: setup  ## measure speed and memory (a quarter of an hour, on a machine that does nothing else)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks

clean:  ## forget the environment, the book and every cache
	rm -rf $(VENV) _build build *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
