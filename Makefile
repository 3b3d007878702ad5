# Each target is one line of help and a command that also works without make.
.DEFAULT_GOAL := help
.PHONY: help up down test chaos follower webhooks signatures growth fuzz lint type format lock vendor

BIN := .venv/bin

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

up: ## Start everything on this machine, in the foreground (as root)
	script/up

down: ## Stop what `make up` started
	script/up --down

test: ## Install what the tests need, then lint, type-check and test (as root)
	script/test

chaos: ## Kill processes under load on both engines, and count what went wrong (as root)
	script/chaos
	script/chaos --engine postgresql

follower: ## Kill the worker behind the mail log 100 times while the log rotates (as root)
	script/bootstrap dev
	.venv/bin/python -P bench/follower.py

webhooks: ## Webhooks to a fast endpoint, beside 50 dead ones, and with kill -9 of the worker (as root)
	script/bootstrap dev
	.venv/bin/python -P bench/webhooks.py
	.venv/bin/python -P bench/webhooks.py --engine postgresql

signatures: ## Does what was signed verify when it arrives?  10,000 messages, ten minutes (as root)
	script/bootstrap dev opendkim-tools iproute2
	.venv/bin/python -P bench/signatures.py

growth: ## Do ten million events make anything slower?  On PostgreSQL, twenty minutes (as root)
	script/bootstrap dev postgresql
	.venv/bin/python -P bench/growth.py

fuzz: ## Look for a bounce that its reader stumbles over, ten minutes (needs an atheris wheel: x86-64)
	script/bootstrap dev
	$(BIN)/pip install --quiet --require-hashes -r requirements/fuzz.lock
	$(BIN)/python -P bench/fuzz.py
	$(BIN)/pytest tests/worker/inbound/test_hostile.py --hypothesis-profile long --timeout 3600

lint: ## Ruff: style and likely mistakes
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: ## Ruff: rewrite the layout of the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

type: ## mypy, strict
	$(BIN)/mypy

LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header

lock: ## Write all lock files anew (needs uv and npm)
	$(LOCK) --extra web pyproject.toml -o requirements/web.lock
	$(LOCK) --extra stack pyproject.toml -o requirements/stack.lock
	$(LOCK) --extra dev pyproject.toml -o requirements/dev.lock
	$(LOCK) tests/clients/django-5.in -o tests/clients/django-5.lock
	$(LOCK) requirements/fuzz.in -o requirements/fuzz.lock
	$(LOCK:3.11=3.12) tests/clients/django-6.in -o tests/clients/django-6.lock
	npm install --prefix tests/clients --package-lock-only --ignore-scripts

vendor: ## Fetch the panel's CSS, JavaScript and icons anew (needs npm)
	@test -x script/vendor || { echo "script/vendor does not exist yet"; exit 1; }
	script/vendor
