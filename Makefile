# The daily commands. `make up` and `make test` need only Python 3.11+, make and a package index.

PYTHON ?= python3
BIN := .venv/bin
# Services and libraries are found, not named: one that is made (`limen new service`) is installed, checked and tested at once.
PROJECTS := . $(patsubst %/pyproject.toml,%,$(wildcard kit/pyproject.toml accounts/pyproject.toml shop/*/pyproject.toml))
STAMP := .venv/.installed

# Hundreds of processes are started below. Where Python may not keep what it has compiled, each compiles all of limen anew,
# which is half of the CPU that its start takes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up check test lint format types quick-tests limen-tests engine-tests command-tests reload-tests service-tests deploy-tests shop-tests conformance-tests chaos-tests new-tests new-check coverage access lock wheel compiled against-wheel audit fuzz soak chaos bench bench-micro bench-logins bench-attacks bench-resilience bench-peers clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(STAMP): requirements.lock $(addsuffix /pyproject.toml,$(PROJECTS))
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Limen needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Say which to use: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@# The build backend looks for its program on the path.
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(PROJECTS))
	@touch $@

COMPILED := $(BIN)/python tools/compiled.py

up: $(STAMP) ## Start the gateway and the three services, until Ctrl-C; ARGS are options of limen up
	@exec $(COMPILED) up $(ARGS)

CHECKS := $(BIN)/python tools/checks.py

check: $(STAMP) ## The inner loop: format, lint and types beside unit and wire tests, in about a minute
	@HYPOTHESIS_PROFILE=quick $(CHECKS) types lint quick-tests

test: $(STAMP) ## Every check and every test, with one summary at the end
	@rm -f .coverage .coverage.*
	@# Four at once, even on two processors: most tests wait, for sockets, for password hashes, or for whole processes.
	@# What waits most begins first, and what needs a processor all the time fills up what that leaves.
	@$(CHECKS) --lanes 4 --last coverage compiled deploy-tests service-tests command-tests shop-tests limen-tests engine-tests new-tests conformance-tests reload-tests chaos-tests types lint

lint: $(STAMP) ## ruff, import-linter, who imports whom in the shop, deptry
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python tools/service_imports.py
	@set -e; for project in $(PROJECTS); do (cd $$project && echo "deptry $$project" && $(CURDIR)/$(BIN)/deptry src); done

format: $(STAMP) ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## basedpyright, strict, tests included
	$(BIN)/basedpyright

quick-tests: $(STAMP)
	$(BIN)/python -m pytest -q tests/unit tests/wire

coverage: $(STAMP)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Each is one target of `make test`, none much longer than another: what is begun last ends soon after the others.
#
# Coverage is measured where tests reach lines that no others do. To measure all would take half as much CPU again as the
# tests do: what does the same many times over, such as what crosses both engines over sockets, schemathesis, and floods.
# Without the shop's gateway: it runs in tests/e2e alone, whole processes whose tests are not measured.
SOURCES := $(filter-out shop/gateway/%,$(wildcard $(addsuffix /src/*/__init__.py,$(PROJECTS))))
comma := ,
space := $(subst ,, )
MEASURED := $(BIN)/coverage run --source=$(subst $(space),$(comma),$(strip $(notdir $(SOURCES:/__init__.py=)))) -m pytest
UNMEASURED := $(BIN)/python -m pytest
CONTRACTS := $(wildcard shop/*/tests/test_*_contract.py) accounts/tests/test_accounts_document.py
REPEATING := $(addprefix tests/engine/,test_soak.py test_hostile_client.py test_cross_talk.py) $(wildcard tests/engine/test_prop_*.py)
RESTARTING := $(wildcard tests/cli/test_reload*.py tests/cli/test_up_*.py)

limen-tests: $(STAMP)
	$(MEASURED) tests/unit tests/wire

engine-tests: $(STAMP)
	$(MEASURED) tests/engine $(addprefix --ignore=,$(REPEATING))

command-tests: $(STAMP)
	$(MEASURED) tests/cli $(addprefix --ignore=,$(RESTARTING))

reload-tests: $(STAMP)
	$(MEASURED) $(RESTARTING)

service-tests: $(STAMP)
	$(MEASURED) kit/tests accounts/tests shop $(addprefix --ignore=,$(CONTRACTS))

deploy-tests: $(STAMP)
	$(MEASURED) tests/deploy tests/compat

shop-tests: $(STAMP)
	$(UNMEASURED) tests/e2e

conformance-tests: $(STAMP)
	$(UNMEASURED) tests/conformance tests/differential tests/fuzz $(REPEATING) $(CONTRACTS)

new-tests: $(STAMP)
	$(UNMEASURED) tests/new

chaos-tests: $(STAMP)
	$(UNMEASURED) tests/chaos

# The hot path compiled: the same sources, see docs/decisions/0006-compiled-hot-path.md. What is built is found by its hash.
wheel: $(STAMP) ## A wheel of limen with its hot path compiled, in dist/ (needs a C compiler)
	@$(COMPILED) build

compiled: $(STAMP) ## What goes over sockets, once more, against the compiled wheel
	@if missing=$$($(COMPILED) possible) || [ -n "$$CI" ]; then $(MAKE) --no-print-directory against-wheel; \
	else echo "SKIPPED: the compiled wheel is not tested: $$missing"; fi

against-wheel: wheel
	@# The same sources: what is drawn at random was drawn at length without the wheel.
	site=$$($(COMPILED) path) && HYPOTHESIS_PROFILE=quick LIMEN_COMPILED=1 PYTHONPATH=$$site $(BIN)/python -m pytest tests/wire tests/conformance tests/engine \
		tests/cli/test_first_line.py --ignore=tests/engine/test_soak.py

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-package limen \
	--no-emit-package limen-kit --no-emit-package limen-accounts --custom-compile-command "make lock"

access: $(STAMP) ## Write anew what the tables of README and docs/ take from the code, and the picture of its imports
	$(BIN)/python tools/architecture_picture.py
	$(BIN)/python tools/tables.py

lock: $(STAMP) ## Renew the locks (no index host is written into them)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) pyproject.toml $(wildcard kit/pyproject.toml accounts/pyproject.toml shop/*/pyproject.toml) --group dev --all-extras -o requirements.lock
	for one in $(patsubst %/,%,$(wildcard shop/*/)); do \
		$(COMPILE) $$one/pyproject.toml -c requirements.lock -o $$one/requirements.lock || exit 1; done
	echo 'pip-audit>=2.10,<3' | $(COMPILE) - -c requirements.lock -o audit.lock
	echo 'uv-build>=0.13,<0.14' | $(COMPILE) - -c requirements.lock -o build.lock

AUDIT := .venv/audit
AUDITED := requirements.lock build.lock audit.lock $(wildcard shop/*/requirements.lock)

$(AUDIT)/.installed: audit.lock $(STAMP)
	$(BIN)/python -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r audit.lock
	@touch $@

audit: $(AUDIT)/.installed ## Security rules, secrets in the tree, known vulnerabilities of what is locked
	$(BIN)/ruff check --select S --ignore S101 src kit/src accounts/src shop/*/src
	$(BIN)/python -m pytest -q tests/deploy/test_audit.py
	$(BIN)/python .ci/advisories.py $(AUDIT)/bin/pip-audit $(AUDITED)

bench: wheel ## Measure gateways on this machine, in turn, and keep the figures
	$(BIN)/python -m bench

soak: $(STAMP) ## Mixed, partly hostile load for half an hour: no leak, no wrong response
	$(BIN)/python -m bench.soak --minutes 30

chaos: $(STAMP) ## Targets that fail at random under load, in a minute; LIMEN_CHAOS=20000 is longer, ARGS are pytest's
	$(BIN)/python -m pytest -q -rP tests/chaos $(ARGS)

fuzz: $(STAMP) ## Property tests with 2000 examples each, then ten minutes of coverage-guided fuzzing; failures stay in .fuzz/
	$(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile=thorough
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python tests/fuzz/run.py request --seconds 300
	$(BIN)/python tests/fuzz/run.py response --seconds 300

new-check: $(STAMP) ## Make a service in a copy of this repository, and run make check there
	LIMEN_NEW_WHOLE=1 $(BIN)/python -m pytest -q tests/new/test_new_in_this_repository.py

bench-micro: $(STAMP) ## Measure the hot path without sockets
	$(BIN)/python -m bench.micro

bench-logins: $(STAMP) ## Measure how a thousand concurrent logins affect all other requests
	$(BIN)/python -m bench.logins --rounds 5 --seconds 20 --most 1.5

bench-attacks: $(STAMP) ## Measure how one hostile client, or service, affects all others, beside nginx and Envoy
	$(BIN)/python -m bench.attacks --anchors

bench-resilience: wheel ## Measure what clients notice when targets fail, beside Envoy and HAProxy
	$(BIN)/python -m bench.resilience

bench-peers: $(STAMP) ## Install the other gateways that bench compares with
	$(BIN)/python -m bench.peers install

clean: ## Remove what make made (data of the shop included)
	rm -rf .venv .limen .fuzz build dist .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis .import_linter_cache
