# A bare machine with Python 3.11 or newer, make and git is enough. Everything goes into .venv, the
# embedded model into the user's cache.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench model setup clean

demo: model  ## Answer a few questions offline and show every step
	@$(BIN)/langgraph-conductor demo

test: model  ## Every test; no network but loopback
	$(BIN)/python -m pytest -q

lint: $(READY)  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: model  ## The figures of the README; fails if a limit is broken
	$(BIN)/python -m tests.bench

model: $(READY)
	@$(BIN)/langgraph-conductor fetch > /dev/null

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is %s; run: make PYTHON=python3.12" % sys.version.split()[0])'
	@echo "Installing into $(VENV) (half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt pip
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --build-constraint constraints.txt \
		-e ".[openai,anthropic,google,openrouter,vllm,mcp,local,cli]" --group dev
	@touch $(READY)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis build dist
