# Two commands on a fresh machine: `make demo` and `make test`. Everything here bootstraps .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# uv trusts what the machine trusts, a private certificate authority included.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

.PHONY: venv demo demo-alerts test test-cron test-shells test-real test-runitor check fmt lint types imports bench bench-logs bench-server bench-faults lock docs pictures reference retype newcomer-log clean
venv: $(STAMP)

$(STAMP): requirements.lock requirements-uv.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON) here; install Python 3.11 or newer, or name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "telemhq needs Python 3.11 or newer; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "this Python has no venv or pip; on Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt; }
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: venv
	@$(BIN)/python -m tools.demo $(if $(KEEP),--keep)

demo-alerts: venv ## a scheduled tracker fails, mails and recovers, on SQLite and on PostgreSQL, in under a minute
	@$(BIN)/python -m tools.demo_alerts

test: venv
	@$(BIN)/python -m pytest -q -n 2 $(ARGS)

test-real: venv ## the real codex and claude, from npm, against a fake model on loopback
	@TELEMHQ_TEST_REAL=1 $(BIN)/python -m pytest -q tests/real $(ARGS)

test-cron: venv ## jobs under Debian's own cron: as root, a minute or two; installs cron and faketime where they are missing
	@if test "$$(id -u)" -ne 0; then echo "test-cron: skipped: only root may write a table for cron"; exit 0; fi; \
	if ! command -v cron >/dev/null || ! command -v faketime >/dev/null; then \
	  command -v apt-get >/dev/null || { echo "test-cron: skipped: there is no cron or no faketime, and no apt-get here"; exit 0; }; \
	  echo "test-cron: installing Debian's cron and faketime with apt-get"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends cron faketime; } >/dev/null 2>&1 \
	    || { echo "test-cron: skipped: apt-get cannot install cron and faketime"; exit 0; }; \
	fi; \
	$(BIN)/python -m pytest -q -p no:xdist tests/journeys/real_cron.py tests/journeys/real_cron_clock.py $(ARGS)

test-runitor: venv ## the real runitor, Healthchecks' wrapper, in front of a real server; skipped where there is none
	@if ! command -v runitor >/dev/null && test "$$(id -u)" -eq 0 && command -v apt-get >/dev/null; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends runitor; } >/dev/null 2>&1 || true; \
	fi; \
	command -v runitor >/dev/null || { echo "test-runitor: skipped: there is no runitor here, and apt-get has none"; exit 0; }; \
	$(BIN)/python -m pytest -q -p no:xdist tests/journeys/real_runitor.py $(ARGS)

test-shells: venv ## completion in real bash, zsh and fish; installs zsh and fish where they are missing and root may
	@if { ! command -v zsh || ! command -v fish; } >/dev/null && test "$$(id -u)" -eq 0 && command -v apt-get >/dev/null; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends zsh fish; } >/dev/null 2>&1 || true; \
	fi; \
	for shell in zsh fish; do command -v $$shell >/dev/null || echo "test-shells: without $$shell, which is not here"; done; \
	$(BIN)/python -m pytest -q -p no:xdist tests/telemhq_cli/completion $(ARGS)

test-terminal: venv ## the main views in tmux, 80 x 24 and 160 x 50, UTF-8 and ASCII, beside kept screens: three minutes; UPDATE_GOLDEN=1 keeps new ones
	@if ! command -v tmux >/dev/null; then \
	  test "$$(id -u)" -eq 0 && command -v apt-get >/dev/null || { echo "test-terminal: skipped: there is no tmux here, and only root installs it with apt-get"; exit 0; }; \
	  echo "test-terminal: installing Debian's tmux with apt-get"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends tmux; } >/dev/null 2>&1 \
	    || { echo "test-terminal: skipped: apt-get cannot install tmux"; exit 0; }; \
	fi; \
	$(BIN)/python -m pytest -q -p no:xdist tests/terminal/real_screens.py tests/terminal/real_live.py tests/terminal/real_setup.py $(ARGS)

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: venv
	@$(BIN)/mypy

imports: venv
	@$(BIN)/lint-imports

check: lint types imports test

fmt: venv
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

bench: venv
	@$(BIN)/python -m bench.client
	@$(BIN)/python -m bench.startup
	@$(BIN)/python -m bench.server --runs 100000 --rounds 1

bench-logs: venv ## reading local logs, beside ccusage and tokscale
	@$(BIN)/python -m bench.logs $(if $(MB),--mb $(MB)) $(ARGS)

bench-server: venv ## durable pings per second beside bare ASGI, at 10 thousand and 10 million stored runs
	@$(BIN)/python -m bench.server $(ARGS)

bench-faults: venv ## what becomes of pings when things break
	@$(BIN)/python -m bench.faults $(ARGS)

docs: venv ## the site, in site/: Markdown in, HTML, Markdown and llms.txt out; no network
	@$(BIN)/mkdocs build --strict $(if $(SITE),--site-dir $(abspath $(SITE))) $(ARGS)
	@echo "the site is in $(or $(SITE),site)/; look at it: $(BIN)/python -m http.server --directory $(or $(SITE),site) --bind 127.0.0.1 8000"

pictures: venv ## docs/pictures/*.svg, from the demo data
	@$(BIN)/python -m tools.pictures

reference: venv ## the generated pages of docs/reference
	@$(BIN)/python -m tools.make_reference

retype: venv ## README and tutorial show what their commands really say
	@$(BIN)/python -m tools.retype

newcomer-log: venv ## the tutorial typed in a fresh copy with an empty home, everything installed anew, with times
	@$(BIN)/python -m tools.newcomer_log

lock: ## refresh the pinned versions (hashes, no registry address)
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.txt; }
	@$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --quiet --output-file requirements.lock $(ARGS)

clean:
	@rm -rf .venv dist build site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .demo
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
