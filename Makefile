# Every target makes its own .venv when that is missing or out of date; afterwards nothing
# here needs a network. PYTHON=python3.13 make … chooses the interpreter.

.DEFAULT_GOAL := help
.PHONY: help demo test lint types contracts bench screenshots clean

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

help:
	@echo 'make demo         the screen on an embedded capture (its report, without a terminal)'
	@echo 'make test         lint, types, import contracts, tests'
	@echo 'make lint         ruff, mypy, import contracts'
	@echo 'make bench        speed and memory beside tshark, tcpdump and tcptrace'
	@echo 'make screenshots  draw screenshots/ anew'
	@echo 'make clean        remove .venv and all that was built'

# A venv that was cut short, or whose interpreter went away, is made again.
$(VENV)/.made: Makefile
	@python="$(PYTHON)"; \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'tunnelscope needs Python 3.11 or newer; name one: make PYTHON=python3.12 …' >&2; exit 1; }; \
	$(PY) -m pip --version >/dev/null 2>&1 || { \
		echo 'making $(VENV) …' >&2; \
		"$$python" -m venv --clear $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
			echo "$$python cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; \
			exit 1; }; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.made pyproject.toml constraints.txt
	@echo 'installing tunnelscope into $(VENV) …' >&2
	@$(PIP) install -c constraints.txt -e .
	@$(PY) -m compileall -q capture widgets tui  # also where PYTHONDONTWRITEBYTECODE is set
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo 'installing the test tools into $(VENV) …' >&2
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.runtime
	@$(PY) -m tui demo

test: lint
	@$(PY) -m pytest $(PYTEST_ARGS)

lint: types contracts
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .

types: $(VENV)/.dev
	@$(PY) -m mypy

contracts: $(VENV)/.dev
	@said=$$($(PY) -c 'from importlinter.cli import lint_imports_command as run; run()' 2>&1) || { \
		echo "$$said" >&2; exit 1; }

bench: $(VENV)/.runtime
	@$(PY) -m bench.run $(BENCH_ARGS)

screenshots: $(VENV)/.dev
	@$(PY) -m tools.screenshots

clean:
	rm -rf $(VENV) .bench build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
