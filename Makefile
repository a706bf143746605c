# make demo   the whole chain on generated patients, in minutes
# make dev    store, webserver and daemon, to work with in a browser
# make test   every check that CI runs
# make bench  speed as ratios, measured in one run
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

export CHESTGAN_HOME ?= $(CURDIR)/.local
export DAGSTER_DISABLE_TELEMETRY := yes
# All of these work on this machine, also where it is a pod.
export CHESTGAN_EXECUTOR ?= multiprocess

.PHONY: demo dev test bench lint lock clean

demo: $(VENV)/installed
	@$(BIN)/python -m chestgan_assets.local.demo

dev: $(VENV)/installed
	@$(BIN)/python -m chestgan_assets.local.dev

test: $(VENV)/installed lint
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -n 3 --no-loadscope-reorder

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed
	@$(BIN)/python -m bench

# Exact versions first, then the project without looking at its dependencies again.
$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# Needs uv. Universal: one file for Linux and macOS, Python 3.11 to 3.13; no index addresses.
lock:
	uv pip compile --universal --no-emit-index-url --custom-compile-command "make lock" --python-version 3.11 --all-extras pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
