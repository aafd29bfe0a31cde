# The interpreter of the virtual environment: the first of these that runs and is supported.
SUPPORTED := import sys, ensurepip; from bytemeter.versions import PYTHON; sys.exit(sys.version_info[:2] not in PYTHON)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
# SPARK=4.1: an environment of its own, with that Spark in place of the one in requirements/dev.txt.
LOCKS := requirements/dev.txt $(if $(SPARK),requirements/spark-$(SPARK).txt)
VENV := .venv$(if $(SPARK),-spark$(SPARK))
BIN := $(VENV)/bin
RECORDS ?= 2000000

.PHONY: python install demo test check lock bench notebooks notebook-docs faults schema dist clean

install: $(VENV)/.installed  ## the virtual environment, with what bytemeter, its tests and its checks need

$(VENV)/.installed: pyproject.toml $(addprefix requirements/,uv.txt build.txt build.cfg) $(LOCKS)
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c '$(SUPPORTED)' || { echo "bytemeter: found no Python 3.11 to 3.13 with venv;" \
	  "install one (e.g. apt install python3.11-venv), or run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "bytemeter: installing what $(LOCKS) lock into $(VENV)"
	$(BIN)/python -m embedded.locked $(LOCKS) --editable .
	@touch $@

python:
	@[ -n "$(PYTHON)" ] && echo $(PYTHON)

demo: install  ## everything with simulated traffic; Ctrl-C ends it
	$(BIN)/bytemeter demo $(DEMO)

test: install  ## all tests, on a real Kafka, PostgreSQL and Spark; SPARK=4.1 on another Spark
	$(BIN)/pytest $(TESTS)

check: install  ## lint, types, layers, SQL, licences, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar sql bytemeter speed_layer batch_layer ingest benchmarks
	$(BIN)/python -m requirements.licences
	$(BIN)/python -m requirements.audit

lock: install  ## the locked dependencies raised to the newest that fit together; ONLY=name raises or adds one alone
	$(BIN)/python -m requirements.lock $(if $(ONLY),--only $(ONLY))

bench: install  ## records/s against Spark's bare read, message shapes, latency, recomputes, a start; PEER=flink beside Flink SQL
	$(BIN)/python -m embedded.locked requirements/bench.txt
	$(BIN)/python -m benchmarks --records $(RECORDS) $(if $(PEER),--peer $(PEER)) $(BENCH)

notebooks: install  ## JupyterLab with the notebooks, on the settings in force or else the embedded stack, which stays up
	$(BIN)/python -m embedded.locked requirements/notebooks.txt
	@if [ -z "$$BYTEMETER_DATABASE_URL$$BYTEMETER_DATABASE_URL_FILE" ]; then \
	  $(BIN)/bytemeter up && settings=$$($(BIN)/bytemeter env) && eval "$$settings" || exit 1; fi; \
	cd notebooks && JUPYTER_CONFIG_PATH=$(CURDIR)/notebooks/.jupyter exec $(CURDIR)/$(BIN)/jupyter-lab $(LAB)

notebook-docs: install  ## the notebooks' copies with pictures in docs/notebooks anew, from simulated traffic
	$(BIN)/pytest --quiet --write-notebooks tests/notebooks

faults: install  ## the fault tests at full size: 100,000 agreements, 2,000,000 records, servers away for a minute, floods of garbage, three years of data plans, broken rules
	$(BIN)/pytest --full tests/integration/test_restart.py tests/integration/test_outage.py \
	  tests/integration/test_garbage.py tests/integration/test_cluster.py tests/integration/test_collector.py tests/integration/test_maintenance.py \
	  tests/integration/test_telemetry_kills.py tests/integration/test_yarn.py tests/integration/test_life.py tests/test_breaks.py tests/ingest/collector \
	  tests/embedded/test_superset.py tests/bytemeter/test_postgres.py

schema: install  ## docs/schema.sql anew, from the migrations
	$(BIN)/pytest --quiet --write-schema tests/integration/test_schema.py

dist: install  ## what spark-submit takes: dist/bytemeter.zip, the mains, and dist/jars.txt with Maven coordinates
	$(BIN)/python -m bytemeter.dist dist

clean:  ## all that is not in the repository; the embedded stack of .bytemeter is stopped first
	-[ -x $(BIN)/bytemeter ] && $(BIN)/bytemeter down
	rm -rf .venv .venv-* .bytemeter .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build *.egg-info
