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
.PHONY: demo test lint soak lock sbom offline clean help downloads python

help:
	@echo "make demo    a head MR goes through the node: brain volume, SEG, SR and a picture"
	@echo "make test    the whole suite, with a real PACS where it can be installed"
	@echo "make lint    ruff, mypy and the import contracts"
	@echo "make soak MINUTES=10   kill a node in operation, again and again: nothing may be lost"
	@echo "make offline MODELS='brain-mr lung-ct'   one archive to install from without network"
	@echo "make sbom    a bill of materials of what is installed and of models/"
	@echo "make lock    requirements.lock anew, after constraints.txt was changed"
	@echo "make clean   remove the virtual environment and caches; models/ and var/ stay"
	@echo
	@$(MAKE) --no-print-directory downloads

downloads:
	@echo "The first time, this is downloaded into $(VENV), models/ and var/:"
	@echo "  torch ($(TORCH)): 190 MB for the CPU alone, some GB with CUDA;"
	@echo "  the node's other packages: 110 MB; the weights of brain-mr: 10 MB;"
	@echo "  the head of the demo: 12 MB."
	@echo "Which torch: on Linux with an x86 processor pip takes the CUDA build by default."
	@echo "Choose another one by the address that pytorch.org names for it:"
	@echo "  make demo TORCH_INDEX_URL=ADDRESS"
	@echo "To change it later: make clean first."

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is not:" \
	    "install it, and name it with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv:" \
	    "install it with your packages, for example: apt install python3-venv" >&2; exit 1; }

# A stamp is written last: an installation that broke off is begun again.
$(NODE_STAMP): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory python downloads
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) '$(TORCH)'
	$(PIP) install -c constraints.txt -e '.[web]'
	touch $@

$(DEV_STAMP): $(NODE_STAMP)
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

demo: $(NODE_STAMP)
	$(BIN)/dicom-ai-node demo

# $(BIN) stays off PATH: pynetdicom installs namesakes of DCMTK's programs there.
test: $(DEV_STAMP)
	scripts/install_test_tools.sh
	$(BIN)/python -m tests.demo.fetched
	$(BIN)/python -m tests.viewers.fetch
	$(BIN)/python -m pytest -n 2 --dist loadfile --junit-xml build/junit.xml

MINUTES := 10
SEED := 1

# As root, so that a disk can be filled. The figures go to docs/reliability.md.
soak: $(DEV_STAMP)
	$(BIN)/python -m tests.acceptance.soak --minutes $(MINUTES) --seed $(SEED) \
	  --page docs/reliability.md

lint: $(DEV_STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.lock --check

# The models must be in the store, models/: dicom-ai-node models install NAME
MODELS := brain-mr
offline: $(NODE_STAMP)
	$(BIN)/python -m scripts.offline --models-store models --models $(MODELS) --torch '$(TORCH)' \
	  $(if $(TORCH_INDEX_URL),--torch-index-url $(TORCH_INDEX_URL)) --out dist

sbom: $(NODE_STAMP)
	mkdir -p dist
	$(BIN)/python -m scripts.sbom --models models --out dist/sbom.cdx.json

lock: $(DEV_STAMP)
	$(BIN)/python -m scripts.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
