# Everything below is for people at a checkout; `make help` says what there is.

PYTHON ?= python3
# The tested version. Any other of pyproject.toml's range: make demo TORCH='torch==2.12.*'
TORCH ?= torch==2.13.0
# Where torch alone is taken from; empty: where pip takes everything else from.
TORCH_INDEX_URL ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NODE_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: demo test lint clean help

help:
	@echo "make demo    a head MR goes through the node: brain volume, SEG, SR and a picture"
	@echo "make test    the whole suite, with a real PACS where it can be installed"
	@echo "make lint    ruff, mypy and the import contracts"
	@echo "make clean   remove the virtual environment and caches; models/ and var/ stay"
	@echo
	@echo "All of them install into $(VENV). Settings: PYTHON, TORCH, TORCH_INDEX_URL; see"
	@echo "scripts/say_downloads.sh, which make demo prints first, for CPU and CUDA."

demo: $(NODE_STAMP)
	$(BIN)/dicom-ai-node demo

# $(BIN) stays off PATH: pynetdicom installs namesakes of DCMTK's programs there.
test: $(DEV_STAMP)
	scripts/install_test_tools.sh
	$(BIN)/dicom-ai-node models install brain-mr
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(DEV_STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
