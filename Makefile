# Every target first brings up .venv with what constraints.txt pins; a second call finds it done.
# PYTHON=python3.12 picks another interpreter. To take torch's CPU build on a machine without a GPU:
#   PIP_EXTRA_INDEX_URL=<the CPU index that the PyTorch site names> make demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= auto

.PHONY: help install demo test slow lint bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     measure the shipped model; ends with the verdicts and the report's path"
	@echo "make test     the fast tests"
	@echo "make slow     the slow tests"
	@echo "make install  the environment alone: $(BIN)/semhub"
	@echo "make lint     ruff, format check, mypy"
	@echo "make bench    time and memory against the bare forward pass and other packages; writes docs/bench*.md"
	@echo "make clean    remove $(VENV) and the benchmark's environments"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "semhub needs Python 3.11 or newer as '$(PYTHON)'; found: $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into $(VENV) (once; a few minutes)"
	@rm -f $@
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/semhub run --preset quick --out runs/demo

test: $(STAMP)
	@$(BIN)/python -m pytest -m 'not slow' -n $(WORKERS) --maxprocesses 8

slow: $(STAMP)
	@$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP)
	@$(BIN)/python bench/run.py --peers --write docs/bench.md
	@$(BIN)/python bench/steer.py --write docs/bench-steer.md

clean:
	rm -rf $(VENV) bench/.envs
