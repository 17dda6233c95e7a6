# Everything runs in .venv, which the first target makes; nothing else needs to be installed.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2
TORCH_CPU ?= https://download.pytorch.org/whl/cpu

.PHONY: setup demo test lint types wheel bench clean

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@# Where there is no GPU, and torch would bring gigabytes of CUDA, it comes from the index of its CPU builds.
	@if ! command -v nvidia-smi > /dev/null && $(BIN)/pip install --dry-run --quiet --ignore-installed --report - \
			--constraint constraints.txt torch | grep -q '"name": "nvidia-'; then \
		$(BIN)/pip install --quiet --constraint constraints.txt --index-url $(TORCH_CPU) torch; \
	fi
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/hybridret demo

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --maxschedchunk 1

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

wheel: setup
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist .

bench: export OMP_NUM_THREADS = 1
bench: setup
	$(BIN)/python -m benchmarks.bm25_speed
	$(BIN)/python -m benchmarks.query_latency
	$(BIN)/python -m benchmarks.python_docs

clean:
	rm -rf .venv build dist *.egg-info
