# Needs Python 3.11+ and make, nothing else. PYTHON=python3.12 make install picks another interpreter.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo dev test judge-exam judge-real judge-speed bench scale capacity large-day kill-delivery reliability random-kills mutants search-recall api-fuzz lint format lock clean soak fuzz

help:  ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(VENV)/installed  ## Make .venv/ with the locked packages and the `grace` and `dagster` commands

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "grace_assets needs Python 3.11 or newer"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	touch $@

demo: install  ## 90 days of sample missions through the whole loop, and the last brief
	$(BIN)/grace demo

dev: install  ## The Dagster UI on http://127.0.0.1:3000, and the dashboard on port 8000
	$(BIN)/grace dev

test: $(VENV)/installed-dev  ## Run the tests, or some: make test TESTS=tests/core
	$(BIN)/python -m pytest $(or $(TESTS),-n auto --dist loadfile --no-loadscope-reorder)

judge-exam: $(VENV)/installed-dev  ## The judge against simulated truths, beside three peers (one minute)
	$(BIN)/python -m benchmarks.judge_exam $(ARGS)

judge-real: $(VENV)/installed-dev  ## The judge on real sets: make judge-real DATA="folder …"
	$(BIN)/python -m benchmarks.judge_real $(DATA)

judge-speed: $(VENV)/installed-dev  ## 100,000 missions against 10 million samples, beside reading them
	$(BIN)/python -m benchmarks.judge_speed $(ARGS)

search-recall: $(VENV)/installed-dev  ## How often search finds the right mission among five
	$(BIN)/python -m benchmarks.search_recall

bench: $(VENV)/installed-dev  ## Everything that takes time, beside a peer in the same run (a quarter of an hour)
	$(BIN)/python -m benchmarks.suite $(ARGS)

scale: $(VENV)/installed-dev  ## Two workers on PostgreSQL, S3 and Redis, one killed: tables as of one machine
	$(BIN)/python -m benchmarks.scale $(ARGS)

large-day: $(VENV)/installed-dev  ## One day of many missions through all tables, within 4 GiB
	$(BIN)/python -m benchmarks.large_day $(ARGS)

capacity: $(VENV)/installed-dev  ## What a mission, a day and a sample cost, and what that means for more
	$(BIN)/python -m benchmarks.capacity

kill-delivery: $(VENV)/installed-dev  ## Kill deliveries at each system call (under ten minutes; needs strace)
	$(BIN)/python -m benchmarks.kill_delivery $(ARGS)

reliability: $(VENV)/installed-dev  ## Kills, disks, power loss, races: nothing lost or torn; CI: ARGS=--part (needs strace)
	$(BIN)/python -m benchmarks.reliability.suite $(ARGS)

soak: $(VENV)/installed-dev  ## Events for minutes or an hour while briefs are sent: nothing lost, nothing growing
	$(BIN)/python -m benchmarks.reliability.soak $(ARGS)

random-kills: $(VENV)/installed-dev  ## kill -9 of API, daemon, code server and runs at random (ten minutes)
	$(BIN)/python -m benchmarks.reliability.random_kills $(ARGS)

fuzz: $(VENV)/installed-dev  ## Ten minutes each of inputs that look for ways through the line parser and the escapers
	$(BIN)/python -m benchmarks.reliability.fuzz lines -max_total_time=600
	$(BIN)/python -m benchmarks.reliability.fuzz escapers -max_total_time=600

mutants: $(VENV)/installed-dev  ## Seeded bugs, each of which a test must catch (twenty minutes; needs strace)
	$(BIN)/python -m benchmarks.mutants $(ARGS)

api-fuzz: $(VENV)/installed-dev  ## 2,000 requests that the OpenAPI allows
	API_FUZZ_CASES=2000 $(BIN)/python -m pytest tests/api/test_openapi.py

lint: $(VENV)/installed-dev  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed-dev  ## Apply style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/installed  ## Resolve the locked sets anew (needs uv on the PATH)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --upgrade \
	  --extra build pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header \
	  --extra build --extra dev --constraint requirements.lock pyproject.toml -o requirements-dev.lock

clean:  ## Remove the environment and caches; data/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .tmp_dagster_home_* dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
