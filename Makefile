# `make run` and `make test` are all the set-up there is. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test check fix generate bench clean

run: $(VENV)/.run
	@$(BIN)/python -m kimi_code.cli.make_run $(ARGS)

test: check
	$(BIN)/pytest -n auto --dist worksteal

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

fix: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: $(VENV)/.test
	$(BIN)/python -m kimi_code.cli.reference

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "kimi-code needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.run

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks.headless
	$(BIN)/python -m benchmarks.headless --profile
	$(BIN)/python -m benchmarks.edits
	$(BIN)/python -m benchmarks.decisions
	$(BIN)/python -m benchmarks.imports
	$(BIN)/python -m benchmarks.tui
	$(BIN)/python -m benchmarks.tui_stream

clean:
	rm -rf $(VENV) dist build
