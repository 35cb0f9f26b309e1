# Pursuit's commands. `make help` lists them.

ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif
PY = .venv/bin/python

.PHONY: set-up run test lint torture sweep faults bench messages screenshots lock clean help python

set-up: python ## install what Pursuit needs, into this folder
	@$(PYTHON) scripts/set_up.py run

run: set-up ## set up, load the demo company once, start web server and worker on http://127.0.0.1:8000 (PORT=… for another)
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py demo
	@exec $(PY) manage.py serve

test: set-up-test ## every check and test, unit and browser, on SQLite and on PostgreSQL
	@$(PY) scripts/gate.py test

lint: set-up-test ## the checks of `make test` alone
	@$(PY) scripts/gate.py lint

torture: set-up-test ## the long tests: faults, permission sweep, hostile cases, random operations
	@$(PY) -m pytest -m torture -rs --hypothesis-profile=torture

faults: set-up-test ## the faults that the product must bear, short and long: docs/faults.md
	@$(PY) -m pytest -m "torture or not torture" tests/faults -rs

sweep: set-up-test ## the permission sweep: every address, as everybody, by every method, against a table written by hand
	@$(PY) -m pytest -m "torture or not torture" tests/sweep

bench: set-up-test ## how fast it is, beside a bare Django application, at 100,000 opportunities (ROWS=… for others)
	@$(PY) -m tests.bench $(ROWS)

messages: set-up-test ## bring the catalogues up to the code; then translate what is new
	@$(PY) scripts/catalogues.py update

screenshots: python ## photograph every page, wide and narrow, light and dark, into var/screenshots
	@$(PYTHON) scripts/set_up.py screenshots
	@$(PY) -m tests.browser.screenshots

lock: set-up ## write requirements.lock and package-lock.json anew from pyproject.toml and package.json
	@$(PY) scripts/lock.py
	@npm install --package-lock-only --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved

clean: ## remove what was installed and made here; the database in var/ stays
	rm -rf .venv node_modules var/gate var/static .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: set-up-test
set-up-test: python
	@$(PYTHON) scripts/set_up.py test

python:
	@if [ -z "$(PYTHON)" ]; then \
	echo 'There is no Python 3.11 or newer here.'; \
	echo 'Install one (on Debian: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3 …'; exit 1; fi
