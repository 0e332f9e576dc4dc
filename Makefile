# Everything a newcomer types. `make` alone lists the targets.
SHELL := /bin/bash
PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test check soak bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: ## install what is missing: system packages, .venv from the pinned lock
	@scripts/setup

demo: setup ## a daemon, an image, containers, a port, a kill -9: under 90 s, leaves nothing behind
	@scripts/demo

test: setup ## all gates and all tests but the long ones (what CI runs)
	@scripts/test

check: setup ## the gates without the tests: ruff, mypy, import contracts
	@scripts/gates

soak: setup ## the long crash, churn and fuzz tests
	@scripts/soak

bench: setup ## measure beside the peers: make bench [ONLY=name]
	@$(PYTHON) -m bench $(ONLY)

clean: ## remove .venv, caches and build output
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
