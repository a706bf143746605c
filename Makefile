# make demo   the whole chain on generated patients, in minutes
# make dev    store, webserver and daemon, to work with in a browser
# make test   lint and the tests that take minutes; make test-all adds the slow ones, make test-slow runs only these
# make coverage  which lines of some rooms their own tests run
# make docs   the documentation site into site/, warnings are errors
# make chaos  kills, cut connections and full disks, and what must hold after each; SECONDS=3600 for an hour
# make bench  speed as ratios, measured in one run
# make messages  new texts of the portal into its translations, chestgan_portal/locales
# make fuzz   mutated inputs of every kind for two minutes; an hour: make fuzz SECONDS=3600; other inputs: SEED=100000
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

export CHESTGAN_HOME ?= $(CURDIR)/.local
export DAGSTER_DISABLE_TELEMETRY := yes
# All of these work on this machine, also where it is a pod.
export CHESTGAN_EXECUTOR ?= multiprocess

.PHONY: demo dev test test-slow test-all coverage chaos bench fuzz docs messages lint lock clean

demo: $(VENV)/installed
	@$(BIN)/python -m chestgan_assets.local.demo

dev: $(VENV)/installed
	@$(BIN)/python -m chestgan_assets.local.dev

# One process per core, one thread each; large tensors from memory that the process keeps, which saves a tenth; modules
# compiled once, not by each of the hundred processes that tests start.
TEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824 \
  PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n logical --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed lint
	$(TEST) -m "not slow and not kubernetes"

test-slow: $(VENV)/installed
	$(TEST) -m "slow and not kubernetes"

test-all: test test-slow fuzz

# Rooms that need no PyTorch. Tracing costs a fifth of the time, too much for every test: make coverage ROOMS="slices metrics"
ROOMS ?= config dicom documents local
coverage: $(VENV)/installed
	$(BIN)/pytest -n 2 --durations=0 --durations-min=5 $(ROOMS:%=tests/%) $(ROOMS:%=--cov=chestgan_core/%)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: $(VENV)/installed
	@$(BIN)/python -m chaos --seconds $(or $(SECONDS),120) --seed $(or $(SEED),0)

bench: $(VENV)/installed
	@$(BIN)/python -m bench

fuzz: $(VENV)/installed
	@$(BIN)/python -m fuzz --seconds $(or $(SECONDS),120) --seed $(or $(SEED),0)

docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@! grep -rlE '<(link|script|img|iframe)[^>]+(href|src)="(https?:)?//' site --include='*.html' \
	  || { echo "the pages above load something from another host"; exit 1; }

# No line numbers and no dates, so that a diff shows texts. Then translate what is empty in the .po files; a test wants all.
LOCALES := chestgan_portal/locales
messages: $(VENV)/installed
	@mkdir -p $(CHESTGAN_HOME)
	cd chestgan_portal && ../$(BIN)/pybabel -q extract -F locales/extract.cfg -k _ -k ngettext:1,2 -k later -c TRANSLATORS: \
	  --no-location --sort-output --project chestgan --version portal \
	  --msgid-bugs-address "issues of the project" -o $(CHESTGAN_HOME)/portal.pot .
	for name in es; do $(BIN)/pybabel -q update -i $(CHESTGAN_HOME)/portal.pot -o $(LOCALES)/$$name/portal.po -l $$name \
	  --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 110; done

# Exact versions first, whose files have the hashes of the lock, then the project. The lock is complete: nothing is resolved here
$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# Needs uv. Universal: one file for Linux and macOS, Python 3.11 to 3.13; no index addresses. Then what the image has of it.
IMAGE_EXTRAS := deploy features idc portal studies structured-reports
LOCK := uv pip compile --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --python-version 3.11
lock:
	$(LOCK) --all-extras pyproject.toml -o requirements.lock
	$(LOCK) --no-annotate --constraint requirements.lock $(IMAGE_EXTRAS:%=--extra %) pyproject.toml -o requirements-image.lock

clean:
	rm -rf $(VENV) .local site .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
