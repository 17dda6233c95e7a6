"""Where results are: one JSON file a benchmark, with what is needed to run it again."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hybridret.errors import InputError

FOLDER = Path(__file__).parent / "results"
VERSION = 1
"""Of the files; grows when what they hold changes its meaning. Files that tell none are of version 1."""
_KEYS = {"result", "collections"}
"""Where a file has what was measured: a report's in ``collections``."""
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


def write_result(
    name: str,
    result: dict[str, Any],
    arguments: Sequence[str] | None = None,
    folder: Path | None = None,
    is_printed: bool = True,
) -> None:
    """Writes a result beside the machine, versions, commit and command, and prints it as the last line.

    Args:
        name: Of the benchmark.
        result: What was measured.
        arguments: The command's, where not all that were given are to be told; None: as given.
        folder: Where the file is written; None: where the benchmarks' results are.
        is_printed: Whether it is printed.
    """
    folder = folder or FOLDER
    document = {
        "benchmark": name,
        "version": VERSION,
        "command": " ".join(
            ["python", "-m", f"benchmarks.{name}", *(sys.argv[1:] if arguments is None else arguments)]
        ),
        **environment(),
        "result": result,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if is_printed:
        print(json.dumps(result, ensure_ascii=False))


def read_result(name: str, folder: Path | None = None) -> dict[str, Any]:
    """Reads a benchmark's result with the machine, versions, commit and command that belong to it.

    Args:
        name: Of the benchmark.
        folder: Where the files are; None: where the benchmarks write them.

    Raises:
        InputError: The file is missing, of another version, or no such file; the message names file and line.
    """
    path = (folder or FOLDER) / f"{name}.json"
    if not path.is_file():
        raise InputError(f"there is no {path}; python -m benchmarks.{name} makes it")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:1: not UTF-8") from error
    if not isinstance(document, dict) or document.get("benchmark") != name or not _KEYS & document.keys():
        raise InputError(f"{path}:1: not a result of the benchmark {name}")
    if (found := document.get("version", 1)) != VERSION:
        raise InputError(f"{path}:1: a result of version {found!r}, this is {VERSION}; python -m benchmarks.{name}")
    return document


def _processor() -> str:
    import torch

    return str(torch.cpu.get_capabilities().get("cpu_name", platform.machine()))
