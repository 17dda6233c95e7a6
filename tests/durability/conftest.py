"""What the durability tests share: their helpers, which are scripts too, and a library that watches writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """What ``recorder.c`` compiles to; None where there is no C compiler or no LD_PRELOAD."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    made = tmp_path_factory.mktemp("recorder") / "recorder.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, HERE / "recorder.c", "-ldl"], check=True)
    return made


@pytest.fixture(scope="session")
def recorder(library: Path | None) -> Path:
    """The library, without which there is nothing to test."""
    if library is None:
        pytest.skip("recording writes needs Linux and a C compiler")
    return library


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """What processes of their own see: one thread, no network."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
