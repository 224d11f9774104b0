# make demo: try Trivet on this machine.   make test: everything needed, then the whole suite.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fast check bench clean

demo: .venv/.installed
	@scripts/demo

test: .venv/.installed-dev
	scripts/toolchains
	$(BIN)/pytest -n auto --dist loadgroup

fast: .venv/.installed-dev
	$(BIN)/pytest -n auto --dist loadgroup -m "not slow"

check: .venv/.installed-dev
	scripts/check

clean:
	@scripts/demo --end
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trivet needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/.installed
