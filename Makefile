# Everything one does with a checkout. `make help` lists it.
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
# Much of the suite waits for servers: one process more than cores.
JOBS ?= $(shell echo $$(( $$(nproc) + 1 )))
# The checks read Django's settings; they get a data folder and an address of their own.
CHECKED := BACKUPSITE_DATA_DIR=$(CURDIR)/.venv/check-data BACKUPSITE_PUBLIC_URL=https://backups.example.com

.PHONY: help install install-dev up demo demo-stop test check lint types imports django schema messages bench screenshots clean

help: ## List these
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Make .venv with what Backupsite needs to run
	@scripts/bootstrap

install-dev: ## ... and with what tests and linters need
	@scripts/bootstrap dev

up: install ## Run Backupsite here: web, worker, beat and sweeper
	@exec $(PYTHON) manage.py serve

demo: install ## Back up, verify and restore samples of every engine before your eyes (KEEP=1 leaves them running)
	@$(PYTHON) -m demo $(if $(KEEP),--keep)

demo-stop: install ## Stop what `make demo KEEP=1` left running
	@$(PYTHON) -m demo --stop

# What failed among others runs again alone, see tests/again.py.
test: install-dev ## Run the tests against real servers (ARGS="-k name" passes options to pytest)
	@$(PYTHON) -m tests.servers.fetch
	@$(PYTHON) -m tests.again -n $(JOBS) --dist worksteal $(ARGS)

check: lint types imports django schema test ## Everything CI runs

lint: install-dev ## Format and lint
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .

types: install-dev ## Check types
	@$(CHECKED) $(PYTHON) -m mypy .

imports: install-dev ## Check that imports run one way
	@.venv/bin/lint-imports

django: install-dev ## Django's own checks: deployment, migrations
	@$(CHECKED) $(PYTHON) manage.py check --deploy --fail-level WARNING
	@$(CHECKED) $(PYTHON) manage.py makemigrations --check --dry-run

schema: install-dev ## Build and validate the API's schema
	@$(CHECKED) $(PYTHON) manage.py spectacular --validate --fail-on-warn --file /dev/null

# Needs GNU gettext (apt-get install gettext); the compiled catalogues are kept, so that nothing else does.
messages: install-dev ## Gather the texts of pages for the translators, and compile what they wrote (locale/README.md)
	@$(CHECKED) $(PYTHON) manage.py makemessages -l es -l fr --no-location --no-obsolete --no-wrap -v 0 \
	  $(addprefix -i ,data tests benchmarks demo deploy docs scripts static)
	@$(CHECKED) $(PYTHON) manage.py compilemessages -i '.*' -v 0

bench: install-dev ## Measure against bare pg_dump and django-dbbackup (ARGS="--size-mb 100" for a quick run)
	@$(PYTHON) -m benchmarks $(ARGS)

screenshots: install-dev ## Take the pictures of docs/ again, in a real browser (ALL=1: every page, into .screenshots)
	@$(PYTHON) -m tests.servers.fetch chromium
	@$(PYTHON) -m tests.browser.screenshots

clean: ## Remove what was fetched and made, your data excepted
	rm -rf .venv .servers .demo .bench .screenshots .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage*
