"""Where results go: one JSON file a benchmark, with what is needed to run it again."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
_PACKAGES = ("faiss-cpu", "numpy", "rank-bm25", "sentence-transformers", "torch", "transformers")


def environment() -> dict[str, Any]:
    """The commit, the machine and the versions that a measurement belongs to."""
    return {
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=FOLDER.parent
        ).stdout.strip(),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS")},
        "versions": {"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}},
    }


def write_result(name: str, result: dict[str, Any]) -> None:
    """Writes a result beside the machine, versions, commit and command, and prints it as the last line."""
    document = {
        "benchmark": name,
        "command": " ".join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]),
        **environment(),
        "result": result,
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, ensure_ascii=False))


def _processor() -> str:
    import torch

    return str(torch.cpu.get_capabilities().get("cpu_name", platform.machine()))
